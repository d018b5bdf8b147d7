# SPDX-License-Identifier: MIT
"""Files of one picture beyond quality 100, as notebook 04 shows them."""

import numpy as np
import pytest
import skimage
from PIL import Image

from vgic_lib import codec
from vgic_lib.evaluation.exact_files import FORMATS, LOSSLESS, OURS, differences, exact_files
from vgic_lib.metrics.distortion import HIGHEST_DB


@pytest.fixture(scope="module")
def photo():
    return Image.fromarray(skimage.data.astronaut()[100:148, 100:160])


def test_table(photo):
    table = exact_files(photo).set_index(["codec", "setting"])
    ours = table.loc[OURS]
    assert ours["bytes"].is_monotonic_increasing and [*ours["largest_error"][1:]] == [4, 2, 1, 0]
    assert ours["bytes"][LOSSLESS] == len(codec.compress(photo, lossless=True))
    assert ours["bpp"][LOSSLESS] == pytest.approx(8 * ours["bytes"][LOSSLESS] / (48 * 60))
    exact = table.xs(LOSSLESS, level="setting")
    assert {*exact.index} == {OURS, *FORMATS}
    assert (exact["largest_error"] == 0).all() and (exact["psnr_db"] == HIGHEST_DB).all()


def test_differences(photo):
    off = np.asarray(photo).copy()
    off[3, 4, 1] ^= 2
    largest, psnr = differences(photo, Image.fromarray(off))
    assert largest == 2 and psnr == pytest.approx(10 * np.log10(255**2 * 48 * 60 * 3 / 4))
