# SPDX-License-Identifier: MIT
"""The bench: finished work is kept, matched files have the length of their targets."""

import dataclasses

import pytest
from helpers.fakes import FakeModel
from helpers.heads import install_head
from helpers.measured import points_of
from PIL import Image

from vgic_lib import codec
from vgic_lib.errors import ParameterError
from vgic_lib.evaluation import bench as bench_module
from vgic_lib.evaluation import measure, results
from vgic_lib.evaluation.points import heads_of, ladder_points, latent_points, operating_points
from vgic_lib.images import to_array
from vgic_lib.metrics import distortion


def test_finished_work_is_not_done_again(
    model: FakeModel, picture: measure.Picture, context: measure.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = points_of(model, [4, 8])

    def measure_all(overwrite: bool = False) -> list[results.Row]:
        bench = bench_module.Bench(context, overwrite)
        ours = bench.run([picture], points, "ours")
        return ours + bench.match([picture], ["jpeg"], ours, "equal bytes")

    first = measure_all()
    calls = []
    monkeypatch.setattr(bench_module, "measure", lambda *a: calls.append(a) or measure.measure(*a))
    times = [(row.key, row.encode_s) for row in first]
    assert [(row.key, row.encode_s) for row in measure_all()] == times and not calls
    (context.folder / first[0].file).unlink()
    assert [row.key for row in measure_all()] == [row.key for row in first] and len(calls) == 1
    measure_all(overwrite=True)
    assert len(calls) == 1 + len(first)


def test_an_interrupted_bench_keeps_what_it_measured(
    model: FakeModel, picture: measure.Picture, context: measure.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = points_of(model, [4, 6, 8])
    stopped = dataclasses.replace(points[2], encode=lambda image: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        bench_module.Bench(context).run([picture], [*points[:2], stopped], "ours")
    assert [row.bits for row in results.read_rows(context.folder / "measured.csv")] == [4, 6]


def test_files_of_other_code_are_told(
    model: FakeModel, picture: measure.Picture, context: measure.Context
) -> None:
    bench = bench_module.Bench(context)
    bench.run([picture], points_of(model, [4, 8]), "ours")
    assert bench_module.Bench(context).of_other_code() == ""
    assert bench_module.Bench(context._replace(commit="later"), overwrite=True).of_other_code() == ""
    told = bench_module.Bench(context._replace(commit="later")).of_other_code()
    assert told.startswith(f"2 files keep what other code measured ({context.commit})")


def test_matched_files_are_as_long_as_their_targets(
    model: FakeModel, picture: measure.Picture, context: measure.Context
) -> None:
    bench = bench_module.Bench(context)
    targets = bench.run([picture], points_of(model, [6, 8]), "ours")
    matched = bench.match([picture], ["jpeg", "jp2"], targets, "equal bytes")
    assert {(row.codec, row.matched_to) for row in matched} == {
        (codec, f"fake-3/b{bits}-s0") for codec in ("jpeg", "jp2") for bits in (6, 8)
    }
    lengths = {f"{row.codec}/{row.setting}": row.bytes for row in targets}
    for row in matched:
        assert abs(row.bytes / lengths[row.matched_to] - 1) < 0.1
        assert row.model_id == model.model_id.hex()


def test_reconstructions_are_kept_as_decoded(
    model: FakeModel, picture: measure.Picture, context: measure.Context
) -> None:
    points = [points_of(model, [6])[0], ladder_points(["webp"])[5]]
    rows = bench_module.Bench(context).run([picture], points, "both")
    bench_module.keep_reconstructions(rows, context.folder)
    for row in rows:
        with Image.open(measure.reconstruction_path(row.file, context.folder)) as kept:
            assert distortion.psnr_db(to_array(picture.image), to_array(kept)) == row.psnr_db


def test_realism_shows_the_same_files_once_more(
    home, picture: measure.Picture, context: measure.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = install_head(home)
    points = latent_points(body, operating_points(body, [30, 70], []), [], 0)
    bench = bench_module.Bench(context)
    ours = bench.run([picture], points, "ours")
    monkeypatch.setattr(codec, "compress", lambda *_, **__: pytest.fail("encoded again"))
    heads = heads_of([body], [0.5, 1.0])
    shown = bench.with_realism([picture], ours, heads, [0, 0.5, 1.0], "with realism")
    assert [row.setting for row in shown] == [f"{o.setting}+r{r}" for o in ours for r in ("0.5", "1")]
    files = {row.file for row in [*ours, *shown]}
    assert len(files) == 6
    bench_module.keep_reconstructions(shown, context.folder)
    for row, own in zip(shown, [ours[0], ours[0], ours[1], ours[1]], strict=True):
        data = (context.folder / own.file).read_bytes()
        assert (context.folder / row.file).read_bytes() == data and row.model_id in heads.values()
        assert (row.bytes, row.encode_s, row.quality) == (own.bytes, own.encode_s, own.quality)
        assert (row.nominal_cr, row.bits_estimated) == pytest.approx((own.nominal_cr, own.bits_estimated))
        decoded = codec.decompress(data, realism=results.shown_realism(row.setting))
        assert row.psnr_db == distortion.psnr_db(to_array(picture.image), to_array(decoded)) != own.psnr_db
        with Image.open(measure.reconstruction_path(row.file, context.folder)) as kept:
            assert to_array(kept).tolist() == to_array(decoded).tolist()
    assert bench.with_realism([picture], ours, heads, [1.0], "again") == shown[1::2]
    assert bench.with_realism([picture], ours, {}, [1.0], "no head") == []


def test_the_pictures_that_figures_show_are_some_of_those_measured(picture: measure.Picture) -> None:
    other = picture._replace(name="other")
    assert bench_module.shown_pictures([picture, other], []) == [picture]
    assert bench_module.shown_pictures([picture, other], [], 4) == [picture, other]
    assert bench_module.shown_pictures([picture, other], ["other", "astronaut"]) == [other, picture]
    with pytest.raises(ParameterError, match="no picture is called 'chelsea', to be shown"):
        bench_module.shown_pictures([picture], ["chelsea"])
