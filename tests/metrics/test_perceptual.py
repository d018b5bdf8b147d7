# SPDX-License-Identifier: MIT
"""Perceptual metrics against values of their reference programs, and what is judged of a run."""

import io

import numpy as np
import pytest
import skimage
from PIL import Image

from vgic_lib.errors import ParameterError
from vgic_lib.metrics import perceptual


def pixels(width=768, height=512):
    return np.asarray(Image.fromarray(skimage.data.astronaut()).resize((width, height)))


def jpeg(image, quality):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


@pytest.fixture(scope="module")
def small():
    return pixels(192, 128)


@pytest.mark.parametrize("metric, better", [(perceptual.ssimulacra2, 1), (perceptual.st_lpips, -1)])
def test_scores_follow_quality(small, metric, better):
    scores = [better * metric(small, jpeg(small, quality)) for quality in (5, 20, 60, 95)]
    assert scores == sorted(scores) and scores[0] < scores[-1]


def test_equal_pictures(small):
    assert perceptual.ssimulacra2(small, small) == pytest.approx(100)
    assert perceptual.st_lpips(small, small) == 0


def test_pictures_that_are_too_small_have_no_st_lpips():
    x = pixels(40, perceptual.SMALLEST_SIDE - 1)
    assert np.isnan(perceptual.st_lpips(x, x)) and perceptual.st_lpips(pixels(40, 32), pixels(40, 32)) == 0


def test_st_lpips_is_the_published_metric():
    x = pixels()
    assert perceptual.st_lpips(x, jpeg(x, 20)) == pytest.approx(0.131, abs=0.001)  # by the authors' program


@pytest.mark.parametrize("metric", [perceptual.ssimulacra2, perceptual.st_lpips])
def test_a_missing_package_is_named(small, metric, monkeypatch):
    perceptual._st_lpips_weights.cache_clear()
    monkeypatch.setattr(perceptual, "find_spec", lambda name: None)
    with pytest.raises(ParameterError, match="pip install s"):
        metric(small, small)
    with pytest.raises(ParameterError, match="pip install s"):
        perceptual.require()
