# SPDX-License-Identifier: MIT
"""The linear codec that training of the VAE-GAN starts from."""

import math

import pytest
import torch
from helpers.samples import assert_near, smooth_crops
from torch.nn import functional as F

from vgic_lib.networks.klt import fit_klt, initialise_klt
from vgic_lib.networks.vaegan import (
    Encoder,
    Generator,
)


def psnr_db(x_hat, x):
    """Pixels in [-1, 1], away from the border of five pixels."""
    inner = slice(5, -5)
    return -10 * math.log10((x_hat - x)[:, :, inner, inner].square().mean() / 4)


def linear_reconstruction(x, num_channels):
    """Keep the leading principal components of the 4x4 blocks that begin one pixel from the border."""
    size = (x.shape[2] - 2, x.shape[3] - 2)
    blocks = F.unfold(x[:, :, 1:-1, 1:-1], 4, stride=4).transpose(1, 2)  # (B, L, 48), colour-major
    mean = blocks.reshape(-1, 3, 16).mean((0, 2)).repeat_interleave(16)
    centred = (blocks - mean).reshape(-1, 48)
    basis = torch.linalg.svd(centred, full_matrices=False).Vh[:num_channels]
    kept = (mean + (blocks - mean) @ basis.T @ basis).transpose(1, 2)
    return F.pad(F.fold(kept, size, 4, stride=4), (1, 1, 1, 1))


@torch.no_grad()
@pytest.mark.parametrize(("num_channels", "loss_db"), [(2, 0.5), (4, 1.0), (8, 3.0)])
def test_the_klt_start_reaches_the_linear_codec(num_channels, loss_db):
    """But for what tanh bends, which weighs more the finer the reconstruction."""
    x = smooth_crops(6, 34, 34)
    torch.manual_seed(0)
    encoder, generator = Encoder(num_channels), Generator(num_channels)
    random_start = psnr_db(generator(encoder(x)), x)
    initialise_klt(encoder, generator, fit_klt(x[:, :, 1:-1, 1:-1]))
    linear = psnr_db(linear_reconstruction(x, num_channels), x)
    reached = psnr_db(generator(encoder(x)), x)
    assert linear - loss_db < reached < linear + 0.5
    assert reached > random_start + 5


@torch.no_grad()
def test_the_klt_start_leaves_room_to_learn():
    """Gradients reach every layer, although the residual blocks begin as identities."""
    with torch.enable_grad():
        x = smooth_crops(2, 18, 18)
        encoder, generator = Encoder(4), Generator(4)
        initialise_klt(encoder, generator, fit_klt(x))
        (generator(encoder(x)) - x).square().mean().backward()
    last_layers = [
        n.get_submodule(f"{p}_block_{i}")[4] for n, p in ((encoder, "e"), (generator, "d")) for i in (1, 2, 3)
    ]
    assert all(layer.weight.grad.abs().max() > 0 for layer in last_layers)


def test_fit_klt_finds_orthonormal_components_in_order():
    klt = fit_klt(smooth_crops(4, 32, 32))
    assert_near(klt.basis.T @ klt.basis, torch.eye(48), atol=1e-5)
    assert (klt.deviation[:-1] >= klt.deviation[1:]).all()
    assert klt.mean.shape == (3,)
    grey = klt.basis[:, 0].abs()
    assert grey.std() < 0.1 * grey.mean()  # the first component of photographs is their brightness
