# SPDX-License-Identifier: MIT
"""Files within a largest error, through codec, command line and Pillow, with the shipped weights."""

import io
from dataclasses import replace

import numpy as np
import pytest
import skimage
from helpers.pictures import of_photo_cd
from PIL import Image

import vgic_lib.pillow_plugin  # noqa: F401 - registers the format
from vgic_lib import codec
from vgic_lib.bitstream import container
from vgic_lib.bitstream.container import Layout
from vgic_lib.cli import main
from vgic_lib.codec.exact import continuation, exact_model, notes, writer_of
from vgic_lib.errors import BitstreamError, ParameterError
from vgic_lib.metrics.distortion import HIGHEST_DB, psnr_db
from vgic_lib.models.store import load_model


@pytest.fixture(scope="module")
def photo():
    return Image.fromarray(skimage.data.astronaut()[100:148, 100:160])


def largest_error(one, other):
    return int(np.abs(np.asarray(one).astype(int) - np.asarray(other)).max())


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "RGBA"])
@pytest.mark.parametrize("options", [{"lossless": True}, {"max_error": 2}], ids=str)
def test_all_modes_stay_within_their_bound(photo, mode, options):
    picture = photo.convert(mode)
    if "A" in mode:
        picture.putalpha(Image.linear_gradient("L").resize(photo.size))
    data = codec.compress(picture, **options)
    decoded = codec.decompress(data)
    header = container.read_header(data)
    assert decoded.mode == mode and header.version == 3 and Layout.EXACT in header.layout
    assert largest_error(picture, decoded) == options.get("max_error", 0)
    assert codec.info(data).mode == mode and codec.info(data).model == "lossless"
    assert codec.encode(picture, **options).reconstruction.tobytes() == decoded.tobytes()


def test_pillow(photo):
    stream = io.BytesIO()
    photo.save(stream, "VGIC", lossless=True)
    assert Image.open(stream).tobytes() == photo.tobytes()
    with pytest.raises(ValueError, match="max_error must be"):
        photo.save(io.BytesIO(), "VGIC", max_error="2")


def test_command_line(photo, tmp_path, capsys):
    photo.save(tmp_path / "in.png")
    for words, name in ((["--lossless"], "lossless"), (["--max-error", "3"], "largest error 3")):
        main(["compress", str(tmp_path / "in.png"), str(tmp_path / f"{name}.vgic"), *words])
        assert name in capsys.readouterr().out
        assert main(["decompress", str(tmp_path / f"{name}.vgic"), str(tmp_path / "out.png"), "--force"]) == 0
    assert largest_error(photo, Image.open(tmp_path / "out.png")) == 3
    assert main(["compress", str(tmp_path / "in.png"), str(tmp_path / "no.vgic"), "--max-error", "65"]) == 1
    assert "0..64" in capsys.readouterr().err and not (tmp_path / "no.vgic").exists()
    Image.new("I;16", (9, 9)).save(tmp_path / "deep.png")
    assert main(["compress", str(tmp_path / "deep.png"), str(tmp_path / "no.vgic"), "--lossless"]) == 1
    error = capsys.readouterr().err
    assert (
        "more than 8 bits per channel" in error
        and error.count("\n") == 1
        and not (tmp_path / "no.vgic").exists()
    )


def test_targets_go_on_beyond_quality_100(photo):
    exact = codec.compress(photo, lossless=True)
    assert codec.compress(photo, target_bytes=len(exact)) == exact
    fewer = codec.compress(photo, target_bytes=len(exact) - 1)
    assert len(fewer) < len(exact) and 1 <= largest_error(photo, codec.decompress(fewer)) <= 6
    assert codec.compress(photo, target_psnr=90) == exact
    lossy = codec.compress(photo, target_psnr=25)
    assert Layout.EXACT not in container.read_header(lossy).layout


def test_more_bytes_are_never_worse(photo):
    """Over quality 100, the settings beyond, errors, and lossless: each target has the best file of all."""
    exact = codec.compress(photo, lossless=True)
    best = len(codec.compress(photo, quality=100))
    found = []
    for share in (0, 0.1, 0.4, 1):
        data = codec.compress(photo, target_bytes=round(best + share * (len(exact) - best)))
        decoded = codec.decompress(data)
        found.append((len(data), psnr_db(np.asarray(photo), np.asarray(decoded))))
    assert found == sorted(found) and len(set(found)) == len(found)
    assert found[-1] == (len(exact), HIGHEST_DB)


def test_the_scale_of_the_desk_is_monotone(photo):
    """Quality up to 100, then largest errors of 4 levels down to 0."""
    scale = [{"quality": quality} for quality in (1, 50, 85, 100)] + [{"max_error": 4 - k} for k in range(5)]
    files = [codec.compress(photo, **step) for step in scale]
    errors = [largest_error(photo, codec.decompress(data)) for data in files]
    sizes = [len(data) for data in files]
    assert sizes == sorted(sizes) and errors == sorted(errors, reverse=True)
    assert errors[-5:] == [4, 3, 2, 1, 0]


def test_an_exact_file_is_taken_where_it_is_smaller_than_one_within_a_bound(photo):
    """As of a picture of a Photo CD; more bytes are never worse."""
    scan = Image.fromarray(of_photo_cd(np.asarray(photo)))
    exact, within = codec.compress(scan, lossless=True), codec.compress(scan, max_error=1)
    assert within == exact and len(exact) < 0.8 * len(codec.compress(photo, max_error=1))
    coarse = codec.compress(scan, max_error=9)
    assert len(coarse) < len(exact) and 0 < largest_error(scan, codec.decompress(coarse)) <= 9
    assert codec.compress(scan, target_psnr=60) == exact
    assert len(codec.compress(scan, target_bytes=len(exact) - 1)) < len(exact)


def test_a_psnr_between_the_ranges_takes_the_smaller_file(photo):
    finest = codec.compress(photo, quality=100)
    target = psnr_db(np.asarray(photo), np.asarray(codec.decompress(finest))) + 1
    data = codec.compress(photo, target_psnr=target)
    assert psnr_db(np.asarray(photo), np.asarray(codec.decompress(data))) >= target
    assert len(finest) < len(data) < len(codec.compress(photo, max_error=1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_error": 65}, "0..64"),
        ({"max_error": -1}, "0..64"),
        ({"lossless": True, "quality": 50}, "exclude each other"),
        ({"lossless": True, "max_error": 1}, "exclude each other"),
        ({"max_error": 1, "target_psnr": 45}, "exclude each other"),
        ({"lossless": True, "search_steps": 2}, "nothing to search"),
        ({"lossless": True, "tune": "eye"}, "nothing to search"),
        ({"max_error": 1, "model": "vaegan-8"}, "keeps no largest error"),
        ({"model": "lossless", "search_steps": 2}, "nothing to search"),
    ],
    ids=str,
)
def test_options_that_cannot_be(photo, options, message):
    with pytest.raises(ParameterError, match=message) as caught:
        codec.compress(photo, **options)
    assert "\n" not in str(caught.value)


def test_which_model_writes(photo):
    lossy, exact, old = map(load_model, ("hyperprior", "lossless", "vaegan-8"))
    assert exact_model(lossy) is exact_model(exact) is continuation(lossy) is exact
    assert continuation(exact) is continuation(old) is None
    assert writer_of(codec.compress(photo, quality=9), lossy) is lossy
    assert writer_of(codec.compress(photo, max_error=9), lossy) is exact


def test_files_beyond_quality_100_need_version_3_and_say_so(photo):
    model = load_model("hyperprior")
    data = codec.compress(photo, setting=model.finer[100])
    header, sections = container.unpack(data)
    assert header.version == 3 and Layout.FINER in header.layout
    assert notes(data, model, None) == ["beyond quality 100"]
    assert notes(codec.compress(photo, quality=100), model, None) == []
    for setting, layout in ((header.setting, Layout(0)), (model.code(model.setting(100)), Layout.FINER)):
        with pytest.raises(BitstreamError, match="layout is not one of its model"):
            codec.decompress(container.pack(replace(header, setting=setting, layout=layout), sections))


def test_old_programs_refuse_new_files_and_forged_layouts_are_refused(photo, monkeypatch):
    data = codec.compress(photo, lossless=True)
    header, *rest = container.unpack(data)
    with monkeypatch.context() as patch:
        patch.setattr(container, "VERSION", 2)
        with pytest.raises(BitstreamError, match="format version 3; update vgic"):
            container.unpack(data)
    forged = container.pack(replace(header, layout=Layout(0)), list(rest[0]))
    with pytest.raises(BitstreamError, match="layout is not one of its model"):
        codec.decompress(forged)
