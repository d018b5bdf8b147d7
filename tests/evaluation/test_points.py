# SPDX-License-Identifier: MIT
"""What is measured: settings and their names."""

import numpy as np
import pytest
from helpers.fakes import FakeModel, install
from helpers.heads import install_head
from helpers.tiny_hyperprior import tiny_model

from vgic_lib import codec
from vgic_lib.errors import ParameterError
from vgic_lib.evaluation import bench as bench_module
from vgic_lib.evaluation import measure
from vgic_lib.evaluation.points import (
    heads_of,
    latent_points,
    numbers,
    operating_points,
    ratio_points,
    whole_numbers,
)
from vgic_lib.images import to_array
from vgic_lib.metrics import distortion


def test_wrong_parameters_are_one_liners(model: FakeModel) -> None:
    with pytest.raises(ParameterError, match="5 bits; choose from 4, 6, 8"):
        operating_points(model, [], [5])
    with pytest.raises(ParameterError, match="like 15,43,71"):
        numbers("15;43")
    with pytest.raises(ParameterError, match="unknown split"):
        bench_module.select([], ["tset"])
    with pytest.raises(ParameterError, match="no photograph"):
        bench_module.select([], ["test"])


def test_whole_numbers_are_whole():
    assert whole_numbers(" 20,150,20 ") == [20, 150] and whole_numbers("") == []
    with pytest.raises(ParameterError, match="whole"):
        whole_numbers("20,1.5")


def test_no_search_points_without_steps(model: FakeModel) -> None:
    at, searched = (operating_points(model, [50], bits) for bits in ([4, 6], [6]))
    labels = [point.setting for point in latent_points(model, at, searched, 20)]
    assert labels == ["b4-s0", "b6-s0", "b6-s20"]
    labels = [point.setting for point in latent_points(model, at, searched, 20, "eye")]
    assert labels == ["b4-s0", "b6-s0", "b6-s20-eye"]
    assert len(latent_points(model, at, searched, 0)) == 2


def test_rows_of_the_codec_name_quality_code_and_steps(
    monkeypatch: pytest.MonkeyPatch, picture: measure.Picture, context: measure.Context
) -> None:
    model = tiny_model()
    install(monkeypatch, model)
    at = operating_points(model, numbers("1, 50.5,100"), [6])
    points = latent_points(model, at, at[1:2], 1) + latent_points(model, at[:1], at[1:2], 10, "eye")[1:]
    assert [point.setting for point in points] == [
        "q0-s0", "q448-s0", "q896-s0", "q448-s1", "q448-s10-eye"
    ]  # fmt: skip
    rows = [measure.measure(picture, point, context) for point in points]
    assert [row.quality for row in rows] == [1, 50.5, 100, 50.5, 50.5]
    for_the_eye = codec.compress(picture.image, quality=50.5, search_steps=10, tune="eye")
    assert (context.folder / rows[-1].file).read_bytes() == for_the_eye
    for row in rows:
        assert (row.num_channels, row.bits, row.codec) == (0, 0, model.name)
        data = (context.folder / row.file).read_bytes()
        assert row.psnr_db == distortion.psnr_db(to_array(picture.image), to_array(codec.decompress(data)))
        assert 0.9 < 8 * row.bytes / (row.bits_estimated + 8 * 24) < 1.1


def test_the_codec_meets_real_compression_ratios(
    monkeypatch: pytest.MonkeyPatch, picture: measure.Picture, context: measure.Context, model: FakeModel
) -> None:
    assert ratio_points(model, [6.12], 0) == []  # bit depths are too far apart
    tiny = tiny_model()
    install(monkeypatch, tiny)
    pixel_bytes = 3 * picture.image.width * picture.image.height
    middle = measure.measure(picture, latent_points(
        tiny, operating_points(tiny, [50], []), [], 0)[0], context)  # fmt: skip
    points = ratio_points(tiny, [middle.compression_ratio * 0.99, 1.01, 1e4], 0)
    met, largest = (measure.measure(picture, point, context) for point in points[:2])
    assert met.setting.startswith("r") and np.isnan(met.quality)
    assert 0.97 * middle.bytes <= met.bytes <= pixel_bytes / (middle.compression_ratio * 0.99)
    finest = codec.compress(picture.image, model=tiny, setting=tiny.finer[-1])
    assert largest.bytes == len(finest) < pixel_bytes / 1.01
    with pytest.raises(ParameterError, match="no file of at most"):
        measure.measure(picture, points[2], context)


def test_heads_are_found_where_models_have_one(home) -> None:
    body, other = install_head(home), FakeModel("fake-3")
    heads = heads_of([other, body], [1.0])
    assert list(heads) == [body.model_id.hex()] and heads[body.model_id.hex()] != body.model_id.hex()
    assert heads_of([other, body], []) == heads_of([], [1.0]) == {}
    with pytest.raises(ParameterError, match="generative head, and fake-3 has none"):
        heads_of([other], [0.5])
    with pytest.raises(ParameterError, match="realism 2 is not in 0..1"):
        heads_of([body], [0.5, 2.0])
