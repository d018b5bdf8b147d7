# SPDX-License-Identifier: MIT
"""ST-LPIPS on tensors against values of the authors' program, its slopes against finite differences."""

import numpy as np
import pytest
import torch
from helpers.distorted import assert_slopes_are_true, encoded, noise_tensors
from PIL import Image
from skimage import data

from vgic_lib.errors import ParameterError
from vgic_lib.metrics import perceptual, st_lpips
from vgic_lib.metrics.st_lpips import StLpipsReference
from vgic_lib.metrics.tensors import as_tensor


@torch.no_grad()
def test_alex_is_the_published_metric():
    x = np.asarray(Image.fromarray(data.astronaut()).resize((768, 512)))
    distance = st_lpips.st_lpips(as_tensor(x), as_tensor(encoded(x, "JPEG", 5)), "alex")
    assert distance.item() == pytest.approx(0.160, abs=0.0006)


def test_alex_and_vgg_differ_and_pixels_go_to_vgg():
    x = np.ascontiguousarray(data.chelsea()[100:164, 100:170])
    x_hat = encoded(x, "JPEG", 10)
    vgg, alex = (st_lpips.st_lpips(as_tensor(x), as_tensor(x_hat), trunk).item() for trunk in ("vgg", "alex"))
    assert perceptual.st_lpips(x, x_hat) == pytest.approx(vgg)
    assert 0 < alex < 0.9 * vgg


@pytest.mark.parametrize("trunk", ["alex", "vgg"])
def test_slopes_and_batches(trunk):
    x, x_hat = noise_tensors(34, 32)
    assert_slopes_are_true(StLpipsReference(x, trunk).score, x_hat, directions=2, step=1e-7)
    with torch.no_grad():
        together = st_lpips.st_lpips(x, x_hat, trunk)
        assert together[0] != together[1]
        assert torch.allclose(st_lpips.st_lpips(x[1:], x_hat[1:], trunk), together[1:])


@pytest.mark.parametrize("trunk", ["alex", "vgg"])
def test_equal_pictures(trunk):
    x, _ = noise_tensors(32, 40, batch=1, dtype=torch.float32)
    x_hat = x.clone().requires_grad_()
    distance = st_lpips.st_lpips(x, x_hat, trunk)
    distance.sum().backward()
    assert distance.item() == 0 and x_hat.grad.isfinite().all()


def test_no_weight_asks_for_a_gradient():
    weights = st_lpips._weights("alex", torch.float32, torch.device("cpu"))
    assert not any(weight.requires_grad for weight in weights.values())


def test_refuses_small_pictures_and_other_trunks():
    with pytest.raises(ParameterError, match="at least 32"):
        st_lpips.st_lpips(torch.zeros(1, 3, 31, 60), torch.zeros(1, 3, 31, 60))
    with pytest.raises(ParameterError, match="choose from alex, vgg"):
        st_lpips.st_lpips(torch.zeros(1, 3, 32, 60), torch.zeros(1, 3, 32, 60), "squeeze")
