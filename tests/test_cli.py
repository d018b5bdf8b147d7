# SPDX-License-Identifier: MIT
"""The command line: what it writes, and one line for everything that can go wrong."""

import errno
import io
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.fakes import FakeModel, install
from helpers.surroundings import largest_file
from helpers.tiny_hyperprior import tiny_model
from PIL import Image

import vgic_lib
from vgic_lib import codec, paths
from vgic_lib.cli import main
from vgic_lib.errors import ModelError
from vgic_lib.models import store
from vgic_lib.models.vaegan import VaeGan
from vgic_lib.training import run as training_run
from vgic_lib.training.presets import PRESETS
from vgic_lib.workbook import pipeline

Refuse = Callable[..., str]


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    model = FakeModel()
    install(monkeypatch, model)
    monkeypatch.setenv("VGIC_PROGRESS", "0")
    return model


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    pixels = np.random.default_rng(0).integers(0, 256, (30, 41, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def packed(photo: Path) -> Path:
    path = photo.with_suffix(".vgic")
    path.write_bytes(codec.compress(Image.open(photo)))
    return path


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Refuse:
    """Run a command that must fail with one line and leave every file as it was."""

    def run(*arguments: object, status: int = 1) -> str:
        before = contents(tmp_path)
        try:
            assert main([str(argument) for argument in arguments]) == status
        except SystemExit as stop:
            assert stop.code == status
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("vgic: error: ") and captured.err.count("\n") == 1
        assert contents(tmp_path) == before
        return captured.err

    return run


def contents(folder: Path) -> dict[Path, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: np.fromfile(path, np.uint8).tobytes() for path in files}  # tests replace Path.read_bytes


def test_round_trip(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small, back = tmp_path / "new" / "small.vgic", tmp_path / "back.png"
    assert main(["compress", str(photo), str(small), "--quality", "80"]) == 0
    assert f"{small.stat().st_size} bytes" in capsys.readouterr().out
    assert main(["decompress", str(small), str(back)]) == 0
    expected = codec.encode(Image.open(photo), quality=80).reconstruction
    np.testing.assert_array_equal(Image.open(back), expected)
    assert main(["info", str(small)]) == 0
    out = capsys.readouterr().out
    assert "41" in out and "bits=8" in out and "fake" in out


def test_targets(photo: Path, tmp_path: Path, refuse: Refuse, capsys: pytest.CaptureFixture[str]) -> None:
    small, size = tmp_path / "small.vgic", len(codec.compress(Image.open(photo), quality=50))
    assert main(["compress", str(photo), str(small), "--target-bytes", str(size)]) == 0
    assert small.stat().st_size == size
    assert main(["compress", str(photo), str(small), "--target-psnr", "5", "--force"]) == 0
    assert small.stat().st_size < size
    capsys.readouterr()
    assert main(["compress", str(photo), str(small), "--target-bytes", "99999", "--force"]) == 0
    assert "at quality 100" in capsys.readouterr().out
    assert small.read_bytes() == codec.compress(Image.open(photo), quality=100)
    out = tmp_path / "out.vgic"
    assert "smallest" in refuse("compress", photo, out, "--target-bytes", "9")
    assert "dB" in refuse("compress", photo, out, "--target-psnr", "200")
    assert "points" in refuse("compress", photo, out, "--target-ssimulacra2", "100")
    assert main(["compress", str(photo), str(small), "--target-ssimulacra2", "-1000", "--force"]) == 0
    assert small.read_bytes() == codec.compress(Image.open(photo), quality=1)
    capsys.readouterr()
    refuse("compress", photo, out, "--target-ssimulacra2", "30", "--target-psnr", "30", status=2)
    refuse("compress", photo, out, "--target-psnr", "30", "--target-bytes", "999", status=2)
    refuse("compress", photo, out, "--quality", "30", "--target-bytes", "999", status=2)


def test_info_of_a_model(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    model = tiny_model()
    install(monkeypatch, model)
    assert main(["info", "--model", "tiny"]) == 0
    facts = dict(line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert facts["model"] == "tiny" and facts["operating points"] == "897"
    assert int(facts["parameters"]) == sum(parameter.numel() for parameter in model.parameters())
    linear = 24 * 768 / 256 / 1000  # the synthesis' largest part, in thousands a pixel
    assert linear < float(facts["decoder kmac per pixel"]) < 5 * linear


@pytest.mark.parametrize("ending", [".webp", ".tif", ".PNG"])
def test_lossless_formats(packed: Path, ending: str) -> None:
    back = packed.with_name(f"back{ending}")
    assert main(["decompress", str(packed), str(back)]) == 0
    np.testing.assert_array_equal(Image.open(back), codec.decompress(packed.read_bytes()))


def test_jpeg_output(packed: Path) -> None:
    assert main(["decompress", str(packed), str(packed.with_suffix(".jpg"))]) == 0
    assert Image.open(packed.with_suffix(".jpg")).format == "JPEG"


def test_existing_output_is_kept_unless_forced(photo: Path, packed: Path, refuse: Refuse) -> None:
    packed.write_bytes(b"mine")
    assert "--force" in refuse("compress", photo, packed)
    assert main(["compress", str(photo), str(packed), "--force"]) == 0
    assert packed.read_bytes() == codec.compress(Image.open(photo))


def test_photographs_are_never_overwritten_by_compressed_files(photo: Path, refuse: Refuse) -> None:
    """A shell may put the names of several photographs where a pattern stood."""
    other = photo.with_name("other.jpg")
    Image.open(photo).save(other)
    assert "must end in .vgic" in refuse("compress", photo, other, "--force")
    assert "must end in .vgic" in refuse("compress", photo, photo.with_name("no-such-folder"))
    refuse("compress", photo, other, photo, "--force", status=2)
    photo = photo.rename(photo.with_name("photo.vgic"))
    assert "is the input itself" in refuse("compress", photo, photo, "--force")


def test_empty_names(photo: Path, refuse: Refuse) -> None:
    assert "name is empty" in refuse("compress", "", photo.with_name("out.vgic"))
    assert "name is empty" in refuse("compress", photo, "")
    assert "name is empty" in refuse("info", "")


def test_bad_pictures(tmp_path: Path, photo: Path, refuse: Refuse) -> None:
    out = tmp_path / "out.vgic"
    assert "No such file" in refuse("compress", tmp_path / "missing.png", out)
    (tmp_path / "text.png").write_text("not a picture")
    assert "not a picture" in refuse("compress", tmp_path / "text.png", out)
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:200])
    assert "truncated" in refuse("compress", tmp_path / "cut.png", out)
    (tmp_path / "empty.png").touch()
    assert "empty.png is empty" in refuse("compress", tmp_path / "empty.png", out)
    Image.open(photo).convert("CMYK").save(tmp_path / "print.jpg")
    assert "CMYK" in refuse("compress", tmp_path / "print.jpg", out)
    Image.new("I;16", (9, 9)).save(tmp_path / "deep.png")
    assert "8 bits" in refuse("compress", tmp_path / "deep.png", out)
    (tmp_path / "no-pictures").mkdir()
    assert "no file to convert" in refuse("compress", tmp_path / "no-pictures", tmp_path / "out")


def test_warnings_are_one_line_each_and_do_not_stop(
    tmp_path: Path, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame, album = Image.open(photo), tmp_path / "album"
    album.mkdir()
    frame.save(album / "a.gif", save_all=True, append_images=[frame.rotate(180)])
    frame.save(album / "b.png", icc_profile=b"no profile")
    frame.save(album / "c.jxl", lossless=True)
    for _ in range(2):  # also the second time in one process
        assert main(["compress", str(album), str(tmp_path / "packed"), "--force"]) == 0
        captured = capsys.readouterr()
        assert "3 of 3 files done" in captured.out
        first, second = captured.err.splitlines()
        assert first.startswith(f"vgic: warning: {album / 'a.gif'}: holds several pictures")
        assert second.startswith(f"vgic: warning: {album / 'b.png'}: its colour profile cannot be used")


def test_bad_files(tmp_path: Path, photo: Path, packed: Path, refuse: Refuse) -> None:
    back, data = tmp_path / "back.png", packed.read_bytes()
    broken = tmp_path / "broken.vgic"
    assert "No such file" in refuse("decompress", tmp_path / "missing.vgic", back)
    assert "photo.png: this is not a .vgic file" in refuse("decompress", photo, back)
    broken.write_bytes(data[: len(data) // 2])
    assert "broken.vgic: the file is truncated or altered" in refuse("decompress", broken, back)
    assert "broken.vgic: the file is truncated or altered" in refuse("info", broken)
    broken.write_bytes(data[:50] + bytes([data[50] ^ 1]) + data[51:])
    assert "truncated or altered" in refuse("decompress", broken, back)
    broken.write_bytes(codec.compress(Image.open(photo), model=FakeModel("other")))
    assert "broken.vgic: model" in refuse("decompress", broken, back)
    assert main(["info", str(broken)]) == 0


def test_bad_output_names(tmp_path: Path, photo: Path, packed: Path, refuse: Refuse) -> None:
    assert "must end in .png" in refuse("decompress", packed, tmp_path / "back.xyz")
    assert "must end in .png" in refuse("decompress", packed, tmp_path / "back")
    assert "is not a folder" in refuse("compress", photo, photo / "below-a-file.vgic")
    clear = tmp_path / "clear.vgic"
    clear.write_bytes(codec.compress(Image.new("RGBA", (4, 4))))
    assert "JPEG cannot hold" in refuse("decompress", clear, tmp_path / "clear.jpg")


@pytest.mark.parametrize(
    "options",
    [
        ("--quality", "0"),
        ("--quality", "nan"),
        ("--search-steps", "-1"),
        ("--model", "no-such"),
        ("--tune", "ear"),
        ("--target-ssimulacra2", "nan"),
    ],
)
def test_bad_settings(photo: Path, tmp_path: Path, refuse: Refuse, options: tuple[str, str]) -> None:
    refuse("compress", photo, tmp_path / "out.vgic", *options)


def test_the_tune_of_a_search(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.vgic"
    assert main(["compress", str(photo), str(out), "--search-steps", "5", "--tune", "eye"]) == 0
    assert out.read_bytes() == codec.compress(Image.open(photo), search_steps=5, tune="eye")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-command"],
        ["compress", "a.png"],
        ["info"],
        ["info", "a.vgic", "--model", "tiny"],
        ["compress", "a.png", "b.vgic", "--quality", "high"],
        ["compress", "a.png", "b.vgic", "--no-such-option"],
        ["run", "-p", "name"],
        ["train", "--num-channels", "8"],
    ],
)
def test_wrong_command_lines(arguments: list[str], refuse: Refuse) -> None:
    assert "--help" in refuse(*arguments, status=2)


def test_no_weights(monkeypatch: pytest.MonkeyPatch, photo: Path, packed: Path, refuse: Refuse) -> None:
    install(monkeypatch)
    refuse("compress", photo, photo.with_name("out.vgic"))
    refuse("decompress", packed, photo.with_name("out.png"))


def test_disk_is_full_half_way(photo: Path, packed: Path, refuse: Refuse) -> None:
    """The system refuses to write past a few bytes: the half-written file must be gone."""
    with largest_file(10):
        assert "cannot write" in refuse("compress", photo, photo.with_name("out.vgic"))
        assert "cannot write" in refuse("decompress", packed, photo.with_name("out.png"))
        assert "cannot write" in refuse("compress", photo, packed, "--force")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_writing_is_refused(
    monkeypatch: pytest.MonkeyPatch, photo: Path, packed: Path, refuse: Refuse, number: int
) -> None:
    """Full disk, read-only disk, folder of someone else (simulated: tests may run as root)."""

    def fail(path: Path, data: bytes) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "write_bytes", fail)
    reason = os.strerror(number)
    assert reason in refuse("compress", photo, photo.with_name("out.vgic"))
    assert reason in refuse("decompress", packed, photo.with_name("out.png"))


def test_reading_is_refused(monkeypatch: pytest.MonkeyPatch, packed: Path, refuse: Refuse) -> None:
    def fail(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    read_bytes = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: fail(path) if path == packed else read_bytes(path))
    assert "Permission denied" in refuse("decompress", packed, packed.with_suffix(".out.png"))


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_shows_the_traceback(photo: Path, tmp_path: Path, place: str) -> None:
    arguments = ["compress", str(photo), str(tmp_path / "out.vgic"), "--model", "no-such"]
    with pytest.raises(ModelError):
        main(["--debug", *arguments] if place == "before" else [*arguments, "--debug"])


def test_the_second_run_of_a_command_has_nothing_to_do(
    photo: Path, tmp_path: Path, refuse: Refuse, capsys: pytest.CaptureFixture[str]
) -> None:
    small = tmp_path / "small.vgic"
    for told in ("bytes", "done before"):
        assert main(["compress", str(photo), str(small)]) == 0
        assert told in capsys.readouterr().out
    assert "--force" in refuse("compress", photo, small, "--search-steps", "1")


def test_an_interruption_says_what_starts_again(
    monkeypatch: pytest.MonkeyPatch, photo: Path, refuse: Refuse
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(codec, "compress", interrupt)
    line = ["compress", photo, photo.with_name("out.vgic"), "--search-steps", "9"]
    assert "starts again with its search" in refuse(*line, status=130)
    assert "search" not in refuse(*line[:3], status=130)


def stream(data: bytes = b"", encoding: str = "utf-8") -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(data), encoding=encoding)


def test_standard_input_and_output(
    monkeypatch: pytest.MonkeyPatch, photo: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Data alone on standard output, though searches tell there how far they are."""
    monkeypatch.setenv("VGIC_PROGRESS", "1")
    monkeypatch.setattr(sys, "stdin", stream(photo.read_bytes()))
    assert main(["compress", "-", "-", "--search-steps", "1"]) == 0
    data, told = capsysbinary.readouterr()
    assert data == codec.compress(Image.open(photo), search_steps=1)
    assert b"latent search" in told and b"- -> -: %d bytes" % len(data) in told
    monkeypatch.setattr(sys, "stdin", stream(data))
    assert main(["decompress", "-", "-"]) == 0
    back = Image.open(io.BytesIO(capsysbinary.readouterr().out))
    assert back.tobytes() == codec.decompress(data).tobytes()
    monkeypatch.setattr(sys, "stdin", stream(data))
    assert main(["info", "-"]) == 0 and b"fake" in capsysbinary.readouterr().out


def test_closed_standard_streams(monkeypatch: pytest.MonkeyPatch, photo: Path, refuse: Refuse) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert "standard input is closed" in refuse("compress", "-", "-")
    monkeypatch.setattr(sys, "__stdout__", None)
    assert "standard output is closed" in refuse("compress", photo, "-")
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["compress", str(photo), str(photo.with_suffix(".vgic"))]) == 0


def test_names_and_letters_that_standard_output_lacks(monkeypatch: pytest.MonkeyPatch, photo: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(photo.with_name("gr")) + b"\xf6\xdfer \xe2\x82\xac.png"))
    photo.rename(odd)
    monkeypatch.setattr(sys, "stdout", stream(encoding="ascii"))
    assert main(["compress", str(odd), str(odd.with_suffix(".vgic"))]) == 0
    assert rb"\u20ac.vgic: " in sys.stdout.buffer.getvalue()


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 1, "photo.png: not enough memory"),
        (ImportError("libtorch.so: failed to map segment from shared object"), 1, "not enough memory"),
        (RuntimeError("two\nlines"), 1, "photo.png); add --debug"),
    ],
)
def test_other_ends(
    monkeypatch: pytest.MonkeyPatch,
    photo: Path,
    refuse: Refuse,
    error: BaseException,
    status: int,
    text: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(codec, "compress", fail)
    assert text in refuse("compress", photo, photo.with_name("out.vgic"), status=status)


def test_models_are_listed(
    monkeypatch: pytest.MonkeyPatch, home: Path, refuse: Refuse, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line for a set of weights, the shipped ones first; a copy of them is no other model."""
    monkeypatch.setattr(paths, "WEIGHTS", home / "weights")
    assert "no model" in refuse("models")
    run = home / "outputs" / "runs" / "mine" / "training"
    trained = store.save_model(VaeGan([2]), run / "a" / "b.safetensors", "my own")
    shipped = store.save_model(VaeGan([2, 4]), home / "weights" / "tiny.safetensors", "a small one")
    (run / "c").mkdir()
    (run / "c" / "d.safetensors").write_bytes((home / "weights" / "tiny.safetensors").read_bytes())
    assert main(["models"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("tiny-2, -4 ") and shipped.hex() in first and "a small one" in first
    assert second.startswith("outputs/runs/mine/training/a/b.safetensors:2 ") and trained.hex() in second


def test_run_hands_everything_on(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(pipeline, "run", lambda *arguments: calls.append(arguments))
    line = "run --profile smoke -p limit 2 --parameter bits 8 --run mine --only 03 04"
    assert main(line.split()) == 0
    assert main(["run", "--profile", "smoke"]) == 0
    assert calls == [
        ("smoke", {"limit": "2", "bits": "8"}, "mine", ["03", "04"]),
        ("smoke", {}, None, []),
    ]


def test_run_refuses_what_is_unknown(refuse: Refuse) -> None:
    assert "no-such" in refuse("run", "--profile", "no-such")
    assert "no-such" in refuse("run", "--profile", "smoke", "-p", "no-such", "1")


def test_train_hands_everything_on(monkeypatch: pytest.MonkeyPatch, home: Path, tmp_path: Path) -> None:
    calls = []
    monkeypatch.setattr(training_run, "train_model", lambda *arguments: calls.append(arguments))
    (tmp_path / "photos").mkdir()
    for seed in range(5):
        pixels = np.random.default_rng(seed).integers(0, 256, (70, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{seed}.png")
    (tmp_path / "mine.yaml").write_text("steps: 7\nbatch: 3\n")
    line = "train --nested --num-channels 2,4 --set batch=5 --run mine --dataset folder"
    files = ["--folder", str(tmp_path / "photos"), "--config", str(tmp_path / "mine.yaml")]
    assert main([*line.split(), *files]) == 0
    config, run, photographs = calls[0]
    assert (config.steps, config.batch, config.num_channels, run) == (7, 5, (2, 4), "mine")
    assert {photograph.split for photograph in photographs} == {"train", "validation", "test"}


def test_train_takes_a_preset_and_a_folder_to_validate_on(
    monkeypatch: pytest.MonkeyPatch, home: Path, tmp_path: Path
) -> None:
    calls = []
    monkeypatch.setattr(training_run, "train_model", lambda *arguments: calls.append(arguments))
    for folder, seeds in (("all", (1, 2, 3)), ("held_out", (3, 4))):
        (tmp_path / folder).mkdir()
        for seed in seeds:
            pixels = np.random.default_rng(seed).integers(0, 256, (70, 80, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{seed}.png")
    folders = ["--folder", str(tmp_path / "all"), "--validation-folder", str(tmp_path / "held_out")]
    line = "train --model hyperprior --preset hyperprior-gpu --set crop_side=64 --run mine --dataset folder"
    assert main([*line.split(), *folders]) == 0
    config, _, photographs = calls[0]
    assert config == replace(PRESETS["hyperprior-gpu"], crop_side=64)
    splits = sorted((photograph.name, photograph.split) for photograph in photographs)
    assert splits == [("1", "train"), ("2", "train"), ("3", "validation"), ("4", "validation")]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--model", "no-such"], "no-such"),
        (["--preset", "no-such"], "hyperprior-cpu"),
        (["--preset", "hyperprior-cpu"], "--model hyperprior"),
        (["--model", "hyperprior", "--nested", "--set", "bits=8"], "bits"),
        (["--model", "hyperprior", "--num-channels", "8"], "num_channels"),
        (["--set", "no_such=1"], "no_such"),
        (["--set", "steps"], "NAME=VALUE"),
        (["--set", "steps=many"], "steps"),
        (["--num-channels", "0"], "num_channels"),
        (["--dataset", "no-such"], "no-such"),
        (["--config", "missing.yaml"], "missing.yaml"),
    ],
)
def test_train_refuses_what_is_unknown(refuse: Refuse, home: Path, options: list[str], text: str) -> None:
    assert text in refuse("train", "--run", "mine", *options)


@pytest.mark.parametrize("text", ["- a\n- b\n", "steps: [1", "\xff"])
def test_train_refuses_a_file_that_is_no_configuration(
    refuse: Refuse, home: Path, tmp_path: Path, text: str
) -> None:
    (tmp_path / "bad.yaml").write_bytes(text.encode("latin-1"))
    assert "bad.yaml" in refuse("train", "--run", "mine", "--config", tmp_path / "bad.yaml")


def test_help_is_fast_and_the_module_runs() -> None:
    """Help must not wait for the slow libraries."""
    code = (
        "import sys, runpy; sys.argv = ['vgic', '--version']\n"
        "try: runpy.run_module('vgic_lib', run_name='__main__')\n"
        "finally: print([name for name in ('torch', 'numpy', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"vgic {vgic_lib.__version__}", "[]"]
