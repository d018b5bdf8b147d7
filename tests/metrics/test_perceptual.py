# SPDX-License-Identifier: MIT
"""Perceptual metrics of 8-bit pictures: against values of their reference programs."""

import io
import sys

import numpy as np
import pytest
import skimage
from PIL import Image

from vgic_lib.errors import ParameterError
from vgic_lib.metrics import perceptual, st_lpips


def pixels(width=768, height=512):
    return np.asarray(Image.fromarray(skimage.data.astronaut()).resize((width, height)))


def jpeg(image, quality):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


@pytest.fixture(scope="module")
def small():
    return pixels(192, 128)


@pytest.mark.parametrize(
    "metric, better", [(perceptual.ssimulacra2, 1), (perceptual.st_lpips, -1), (perceptual.cvvdp, 1)]
)
def test_scores_follow_quality(small, metric, better):
    scores = [better * metric(small, jpeg(small, quality)) for quality in (5, 20, 60, 95)]
    assert scores == sorted(scores) and scores[0] < scores[-1]


def test_equal_pictures(small):
    assert perceptual.ssimulacra2(small, small) == pytest.approx(100)
    assert perceptual.st_lpips(small, small) == 0
    assert perceptual.cvvdp(small, small) == pytest.approx(10)


def test_pictures_that_are_too_small_have_no_st_lpips():
    x = pixels(40, perceptual.SMALLEST_SIDE - 1)
    assert np.isnan(perceptual.st_lpips(x, x)) and perceptual.st_lpips(pixels(40, 32), pixels(40, 32)) == 0


def test_st_lpips_is_the_published_metric():
    x = pixels()
    assert perceptual.st_lpips(x, jpeg(x, 20)) == pytest.approx(0.131, abs=0.001)  # by the authors' program


def test_the_original_of_several_files_is_looked_at_once(small, monkeypatch):
    originals = []
    reference = perceptual.StLpipsReference
    monkeypatch.setattr(perceptual, "StLpipsReference", lambda x: originals.append(x) or reference(x))
    perceptual._st_lpips_reference.cache_clear()
    files = [jpeg(small, quality) for quality in (10, 50)]
    first = [perceptual.st_lpips(small, x_hat) for x_hat in files]
    assert len(originals) == 1
    turned = np.ascontiguousarray(small[::-1])
    assert perceptual.st_lpips(turned, files[0]) > perceptual.st_lpips(small, files[0]) == first[0]
    assert perceptual.st_lpips(small.reshape(96, 256, 3), files[0].reshape(96, 256, 3)) != first[0]


def test_cvvdp_keeps_to_its_value_and_leaves_the_search_path_alone():
    path = sys.path.copy()
    x = pixels()
    assert perceptual.cvvdp(x, jpeg(x, 5)) == pytest.approx(8.264, abs=0.001)  # version 0.5.7
    assert sys.path == path


@pytest.mark.parametrize(
    "metric, package",
    [
        (perceptual.ssimulacra2, "ssimulacra2"),
        (perceptual.st_lpips, "stlpips-pytorch"),
        (perceptual.cvvdp, "cvvdp"),
    ],
)
def test_a_missing_package_is_named(small, metric, package, monkeypatch):
    st_lpips._weights.cache_clear()
    perceptual._cvvdp.cache_clear()
    for module in (perceptual, st_lpips):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ParameterError, match=f"pip install {package}$"):
        metric(small, small)
    with pytest.raises(ParameterError, match="pip install s"):
        perceptual.require()
