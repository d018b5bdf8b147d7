# SPDX-License-Identifier: MIT
"""Photographs, what codecs, blur and noise make of them, and slopes of a metric."""

import io

import numpy as np
import skimage
import torch
from PIL import Image, ImageFilter


def photograph(name="astronaut", height=256, width=256, top=0, left=0):
    """Part of a picture that comes with scikit-image, uint8."""
    return np.ascontiguousarray(getattr(skimage.data, name)()[top : top + height, left : left + width])


def encoded(pixels, codec, quality):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, codec, quality=quality)
    return np.asarray(Image.open(stream).convert("RGB"))


def noisy(pixels, sigma):
    noise = np.random.default_rng(1).normal(0, sigma, pixels.shape)
    return np.clip(np.round(pixels + noise), 0, 255).astype(np.uint8)


def blurred(pixels, sigma):
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma)))


def noise_tensors(height, width, batch=2, sigma=0.05, dtype=torch.float64):
    """Two smooth pictures (B, 3, H, W) in [0.2, 0.8] and noisy versions of them."""
    random = torch.Generator().manual_seed(3)
    coarse = torch.rand(batch, 3, 5, 6, generator=random, dtype=dtype)
    x = 0.2 + 0.6 * torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return x, (x + sigma * torch.randn(x.shape, generator=random, dtype=dtype)).clamp(0.01, 0.99)


def assert_slopes_are_true(metric, x_hat, directions=3, step=1e-6, rtol=1e-4):
    """The gradient of the sum of `metric` against finite differences along random directions; float64."""
    x_hat = x_hat.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(metric(x_hat).sum(), x_hat)
    random = torch.Generator().manual_seed(5)
    for _ in range(directions):
        away = torch.randn(x_hat.shape, generator=random, dtype=x_hat.dtype)
        with torch.no_grad():
            rise = (metric(x_hat + step * away).sum() - metric(x_hat - step * away).sum()) / (2 * step)
        expected = (gradient * away).sum()
        scale = gradient.norm()  # that of the slope along a random direction
        assert scale > 0 and abs(rise - expected) < rtol * scale, (rise, expected)
