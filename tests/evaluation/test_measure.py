# SPDX-License-Identifier: MIT
"""Every codec is measured by one path, from its file."""

import math

import pytest
from helpers.fakes import FakeModel
from helpers.measured import points_of
from PIL import Image

from vgic_lib.evaluation import measure
from vgic_lib.evaluation.points import ladder_points
from vgic_lib.images import to_array
from vgic_lib.metrics import distortion


def test_a_row_says_what_is_in_the_file(
    model: FakeModel, picture: measure.Picture, context: measure.Context
) -> None:
    point = points_of(model, [6])[0]
    row = measure.measure(picture, point, context)
    data = (context.folder / row.file).read_bytes()
    assert (row.width, row.height, row.bytes, row.bits, row.num_channels) == (150, 130, len(data), 6, 3)
    assert row.bpp == pytest.approx(8 * len(data) / (150 * 130))
    assert row.compression_ratio == pytest.approx(3 * 150 * 130 / len(data))
    assert row.nominal_cr == pytest.approx(3 * 150 * 130 / (3 * 38 * 33))
    assert 0 < row.bits_estimated < math.inf
    decoded = to_array(point.decode(data))
    assert row.psnr_db == distortion.psnr_db(to_array(picture.image), decoded)
    assert row.encode_s > 0 and row.decode_s > 0
    assert (row.run, row.seed, row.commit, row.device) == ("test", 3, "abc1234", "cpu")


def test_classical_rows_take_the_same_path(picture: measure.Picture, context: measure.Context) -> None:
    points = ladder_points(["jpeg", "webp"])
    rows = [measure.measure(picture, point, context) for point in points[::7]]
    assert {row.codec for row in rows} == {"jpeg", "webp"}
    for row in rows:
        with Image.open(context.folder / row.file) as decoded:
            assert row.psnr_db == distortion.psnr_db(to_array(picture.image), to_array(decoded))
        assert math.isnan(row.nominal_cr) and math.isnan(row.bits_estimated)
