# SPDX-License-Identifier: MIT
"""Bulk work on the workers of a scheduler: the bytes of one process, whatever is killed or missing."""

import dataclasses
import os
import platform
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from helpers.jobs import fail, faults_of_reuse, kill_at_three, write_slowly
from helpers.tiny_hyperprior import tiny_model
from helpers.workbook import COUNT, TABLE, write_notebook, write_profile
from PIL import Image

from vgic_lib import cluster, paths
from vgic_lib.cli import main
from vgic_lib.codec import conversion
from vgic_lib.errors import ClusterError, ParameterError, PictureWarning
from vgic_lib.evaluation import bench, measure
from vgic_lib.evaluation.points import latent_points, operating_points
from vgic_lib.models import store


@pytest.fixture(scope="module")
def at():
    """Two workers on loopback; the scheduler suspects a job as soon as its worker is lost."""
    pytest.importorskip("distributed", reason="needs the extra `cluster`: dask and distributed")
    import dask

    with (
        pytest.MonkeyPatch.context() as patch,
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
    ):
        patch.setenv("OMP_NUM_THREADS", "1")
        with cluster._local_cluster(2) as local:
            yield cluster.Place(local.scheduler_address)


@pytest.fixture
def album(tmp_path):
    """Six pictures, one of them cut off, one an animation; noise, so that no two files are the same."""
    folder = tmp_path / "album"
    (folder / "trip").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in ("a.png", "b.png", "c.png", "trip/a.png"):
        Image.fromarray(random.integers(0, 256, (33, 40, 3), np.uint8)).save(folder / name)
    frame = Image.open(folder / "a.png")
    frame.save(folder / "d.gif", save_all=True, append_images=[frame.rotate(180)])
    (folder / "e.png").write_bytes((folder / "a.png").read_bytes()[:99])
    return folder


@pytest.fixture
def model(home):
    """Weights of a small model where workers find them, too."""
    path = paths.training_dir("mine") / "small" / "small.safetensors"
    store.save_model(tiny_model(), path, "for tests")
    return store.load_model(str(path))


def contents(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def collected(jobs, function, at, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return dict(cluster.each(function, jobs, "jobs", at, **options))


def test_a_folder_there_and_back_byte_by_byte(album, model, at, tmp_path):
    found = {}
    for name, where in (("here", None), ("there", at)):
        small, back = tmp_path / name / "small", tmp_path / name / "back"
        with pytest.warns(PictureWarning, match="d.gif: holds several pictures"):
            first = conversion.run(conversion.compression(model), album, small, at=where)
        again = conversion.run(conversion.compression(model), album, small, at=where)
        assert (first.text, again.text) == ("5 of 6 files done", "5 of 6 files done, 5 done before")
        assert len(first.errors) == 1 and str(album / "e.png") in first.errors[0]
        assert conversion.run(conversion.decompression(), small, back, at=where).text == "5 of 5 files done"
        found[name] = contents(tmp_path / name)
    assert found["there"] == found["here"] and len(found["here"]) == 10


def test_rows_of_the_bench_are_those_of_one_process(album, model, at, tmp_path):
    """All but seconds; and what was measured is not measured again."""
    found = {}
    for name, where in (("here", None), ("there", at)):
        context = measure.Context("test", tmp_path / name, 3, "abc1234", "cpu")
        pictures = [bench_picture(album / f"{letter}.png", context) for letter in "ab"]
        points = latent_points(model, operating_points(model, [10, 60], []), [], 0)
        measuring = bench.Bench(context, at=where)
        ours = measuring.run(pictures, points, "ours")
        rows = ours + measuring.match(pictures, ["jpeg"], ours, "equal bytes")
        assert [
            row.key for row in bench.Bench(context, at=cluster.Place("no")).run(pictures, points, "")
        ] == [row.key for row in ours]
        blank = {"encode_s": 0, "decode_s": 0, "device": ""}
        found[name] = [dataclasses.replace(row, **blank) for row in rows], contents(context.folder / "files")
    assert len(found["here"][0]) == 8
    assert repr(found["there"][0]) == repr(found["here"][0])  # NaN is not itself
    assert found["there"][1] == found["here"][1]


def bench_picture(path, context):
    picture = measure.make_picture(path.stem, "test", Image.open(path))
    target = measure.original_path(context.folder, picture.name, picture.image_id)
    target.parent.mkdir(parents=True)
    picture.image.save(target)
    return picture


def test_a_killed_worker_loses_nothing(at, tmp_path):
    jobs = [tmp_path / "out" / f"{number}" for number in range(60)]
    results, killed = {}, None
    for number, pid in cluster.each(write_slowly, jobs, "jobs", at, writes=tmp_path / "out"):
        assert number not in results
        results[number] = pid
        if len(results) == 5:
            killed = pid
            os.kill(killed, signal.SIGKILL)
    assert sorted(results) == list(range(60)) and len(set(results.values())) > 1
    found = contents(tmp_path / "out")
    assert {name for name in found if name[0] != "."} == {path.name for path in jobs}
    assert all(found[path.name] == path.name.encode() for path in jobs)


def test_a_job_that_kills_its_workers_costs_itself_alone(at):
    results = collected(range(9), kill_at_three, at)
    assert isinstance(results.pop(3), ClusterError)
    assert results == {number: number for number in range(9) if number != 3}


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc of glibc")
def test_workers_use_freed_memory_again(at):
    pages, count = (8 << 20) // 4096, 100
    assert collected([count], faults_of_reuse, at)[0] < 10 * pages


def test_errors_of_a_job(at):
    (refused,) = collected(range(1), fail, at).values()
    assert isinstance(refused, ParameterError) and str(refused) == "refused"
    with pytest.raises(ZeroDivisionError, match="a fault of ours"):
        collected(range(2), fail, at)


def test_a_worker_without_the_model_or_with_other_weights(album, model, at, tmp_path):
    path = next(paths.outputs().rglob("*.safetensors"))
    compression = conversion.compression(model)
    store.save_model(tiny_model(), path, "made anew")
    with pytest.raises(ClusterError, match="worker tcp://.*has other weights"):
        conversion.run(compression, album, tmp_path / "new" / "small", at=at)
    path.unlink()
    with pytest.raises(ClusterError, match="worker tcp://.*no weights at"):
        conversion.run(compression, album, tmp_path / "new" / "small", at=at)
    assert not (tmp_path / "new").exists()


def test_a_worker_that_does_not_see_the_folder(at, tmp_path):
    (tmp_path / "a.png").write_bytes(b"picture")
    with (tmp_path / "a.png").open() as file:
        os.dup2(file.fileno(), 500)
        with pytest.raises(ClusterError, match="does not see the folder /proc/self/fd; share it"):
            collected(range(3), abs, at, reads=[Path("/proc/self/fd/500")])
        os.close(500)


def test_a_worker_of_another_version(at, monkeypatch):
    from distributed.client import version_module

    versions = version_module.get_versions

    def newer(packages=None):
        found = versions(packages)
        found["packages"]["torch"] = "99.0"
        return found

    monkeypatch.setattr(version_module, "get_versions", newer)
    with pytest.raises(
        ClusterError, match="worker tcp://.* has torch .*, this process 99.0; install the same"
    ):
        collected(range(3), abs, at)


def test_a_worker_with_other_code(at, monkeypatch):
    monkeypatch.setattr(cluster.environment, "library_digest", lambda: "another")
    with pytest.raises(ClusterError, match="worker tcp://.* has other code or weights"):
        collected(range(3), abs, at)


def test_fewer_workers_than_asked_for(at, monkeypatch):
    monkeypatch.setattr(cluster, "ARRIVE_S", 0.3)
    with pytest.raises(ClusterError, match="[12] of 5 workers have come .* --workers"):
        collected(range(3), abs, at._replace(workers=5))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense", "tls://127.0.0.1:9", "foo://a:1"])
def test_no_scheduler(monkeypatch, album, tmp_path, capsys, address):
    pytest.importorskip("distributed", reason="needs the extra `cluster`: dask and distributed")
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    before = contents(tmp_path)
    assert main(["compress", str(album), str(tmp_path / "new"), "--cluster", address]) == 1
    told = capsys.readouterr()
    assert told.err.startswith(f"vgic: error: no Dask scheduler answers at {address}")
    assert told.err.count("\n") == 1 and contents(tmp_path) == before


def test_a_scheduler_that_is_lost(monkeypatch):
    """What was done is kept, and one line says how to go on."""
    pytest.importorskip("distributed", reason="needs the extra `cluster`: dask and distributed")
    monkeypatch.setenv("VGIC_PROGRESS", "0")  # as the worker, which lives in this process, sets it for good
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=":0"
    ) as local:
        work = cluster.each(abs, range(10**6), "jobs", cluster.Place(local.scheduler_address))
        next(work)
        local.close()
        with pytest.raises(ClusterError, match="the scheduler is lost; run the same command again"):
            list(work)


def test_dask_is_not_installed(monkeypatch):
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    assert cluster.place(None) is None
    with pytest.raises(ParameterError, match=r"needs Dask; install it: pip install 'vgic\[cluster\]'"):
        cluster.place("local")


@pytest.mark.parametrize("options", [(None, 2), ("", 2), ("local", 0), ("local", -1)])
def test_numbers_of_workers_that_are_refused(options):
    with pytest.raises(ParameterError, match="--workers"):
        cluster.place(*options)


def test_a_single_file_needs_no_cluster(album, model, tmp_path):
    with pytest.raises(ParameterError, match="a.png is not a folder"):
        conversion.run(
            conversion.compression(model), album / "a.png", tmp_path / "x.vgic", at=cluster.Place("local")
        )


def test_batches_grow_to_a_second_of_work_and_shrink_at_the_end():
    batches = cluster._Batches(10_000, 2)
    assert next(batches) == range(0, 1)
    batches.took(10, 0.1)  # a hundred a second
    assert next(batches) == range(1, 101)
    sizes = [len(batch) for batch in batches]
    assert sizes[0] == 100 and sizes[-1] == 1 and sum(sizes) == 10_000 - 101
    slow = cluster._Batches(100, 2)
    slow.took(1, 60.0)
    assert [len(batch) for batch in slow] == [1] * 100


def test_ctrl_c_ends_the_work_and_the_workers(album, home, model, tmp_path):
    """`local` workers; what is written is whole, and nothing lies beside it."""
    pytest.importorskip("distributed", reason="needs the extra `cluster`: dask and distributed")
    path = next(paths.outputs().rglob("*.safetensors"))
    for number in range(400):
        (album / f"{number}.png").symlink_to("a.png")
    line = ["compress", str(album), str(tmp_path / "out"), "--model", str(path), "--cluster", "local"]
    process = subprocess.Popen(
        [sys.executable, "-m", "vgic_lib", *line, "--workers", "1", "--search-steps", "3"],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    while not list((tmp_path / "out").glob("*.vgic")) and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130 and told.splitlines()[-1].startswith("vgic: error: interrupted; run the")
    assert "Traceback" not in told
    assert 0 < len(list((tmp_path / "out").glob("*.vgic"))) < 400
    assert list((tmp_path / "out").glob(".*")) == []
    assert _ends(process.pid)


def _ends(group, seconds=20):
    """Whether a group of processes has ended, or does so soon."""
    for _ in range(10 * seconds):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
def test_a_sweep_side_by_side(home, at, capsys):
    write_notebook(home, "01_count", COUNT.format(name="count") + TABLE.replace("| n | psnr_db |", "| n |"))
    write_profile(home, "01_count")
    from vgic_lib.workbook.sweep import sweep

    swept = sweep("tiny", [("step", ["1", "2"])], at=at)
    assert swept == ((), 2)
    for steps in "12":
        log = home / f"outputs/runs/tiny-sweep-steps-{steps}/data/count.txt"
        assert log.read_text() == f"{steps}\n"
    sweep("tiny", [("steps", ["1", "2"])], at=at)  # all is done
    assert log.read_text() == "2\n"
