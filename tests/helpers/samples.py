# SPDX-License-Identifier: MIT
"""Small pictures and small models that tests make instead of loading photographs and trained weights."""

import torch
from torch.nn import functional as F

from vgic_lib.models.vaegan import VaeGan
from vgic_lib.networks.klt import fit_klt, initialise_klt


def smooth_crops(count, height, width, seed=0):
    """(count, 3, height, width) in [-1, 1]: noise of several scales, mostly grey, as photographs are."""
    random = torch.Generator().manual_seed(seed)
    x = torch.zeros(count, 3, height, width)
    for scale in (2, 4, 8, 16):
        coarse = torch.randn(count, 3, max(2, height // scale), max(2, width // scale), generator=random)
        x += scale / 30 * F.interpolate(coarse, (height, width), mode="bicubic")
    grey = x.mean(1, keepdim=True)
    return (grey + 0.4 * (x - grey)).clamp(-0.95, 0.95)


def smooth_pictures(count, height, width, seed=0):
    """The same as a list of (height, width, 3) uint8."""
    x = (smooth_crops(count, height, width, seed) + 1) * 127.5
    return list(x.round().byte().permute(0, 2, 3, 1).numpy().copy())


def smooth_symbols(channels, height, width, bits, seed=0):
    """(1, channels, height, width): neighbours resemble each other, later channels vary less."""
    random = torch.Generator().manual_seed(seed)
    field = 0.1 * torch.randn(1, channels, height, width, generator=random)
    for scale in (4, 8):
        coarse = torch.randn(1, channels, height // scale + 2, width // scale + 2, generator=random)
        field += F.interpolate(coarse, (height, width), mode="bicubic")
    shrinking = 1 / torch.arange(1, channels + 1)[:, None, None]
    return (2**bits * (0.5 + 0.15 * shrinking * field)).round().clamp(0, 2**bits - 1)


def linear_model(channel_counts=(2, 8)):
    """A model that needs no training: its networks compute the best linear transform of `smooth_crops`."""
    torch.manual_seed(0)
    model = VaeGan(channel_counts)
    initialise_klt(model.encoder, model.generator, fit_klt(smooth_crops(8, 32, 32)))
    return model.requires_grad_(False).eval()


def assert_near(found, expected, atol, rtol=0.0):
    """As torch.testing.assert_close, which takes seconds to import symbolic algebra at its first call."""
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, rtol=rtol, atol=atol), (found - expected).abs().max()


def fitted_model():
    """A linear model for 2 and 4 channels whose priors know smooth symbols."""
    model = linear_model((2, 4))
    for bits in model.bit_depths:
        model.priors[str(bits)].fit([smooth_symbols(4, 20, 20, bits)])
    return model
