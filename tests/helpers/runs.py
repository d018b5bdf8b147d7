# SPDX-License-Identifier: MIT
"""Training runs that are cut off, and what they leave."""

import torch
from torch import nn

from helpers.samples import smooth_pictures
from vgic_lib.networks.shared_random import Dropout
from vgic_lib.training.config import HyperpriorConfig, VaeGanConfig
from vgic_lib.training.loop import CHECKPOINT


class Cut(BaseException):
    """The process ends here: nobody catches this, as nobody catches SIGKILL."""


def state_of(folder):
    """Everything in a checkpoint but wall-clock times."""
    state = torch.load(folder / CHECKPOINT, weights_only=True)
    del state["elapsed_s"]
    for row in state["metrics"]:
        del row["time_s"], row["images_per_s"], row["matmul_fraction"]
    return state


def assert_same(a, b):
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_same(one, other)
    else:
        assert a == b


def cut_at(monkeypatch, owner, name, call, error, after=False):
    """Raise `error` at the given call (0 is the first) of a function, or just after it."""
    function, calls = getattr(owner, name), []

    def replacement(*args, **options):
        calls.append(name)
        if len(calls) == call + 1 and not after:
            raise error
        result = function(*args, **options)
        if len(calls) == call + 1:
            raise error
        return result

    monkeypatch.setattr(owner, name, replacement)


NESTED = VaeGanConfig(
    num_channels=(2, 4), bits=(4, 8), initialisation="klt", distortion="psnr", adversarial_from=1.0,
    crop_height=14, crop_width=18, batch=2, steps=5, learning_rate=1e-3, warmup_steps=2, schedule="cosine",
    ema_decay=0.9, clip_norm=1.0, seed=3, log_every=2, validate_every=4, checkpoint_every_s=0.0,
)  # fmt: skip
ADVERSARIAL = VaeGanConfig(
    num_channels=(2,), adversarial_from=0.5, batch=1, steps=4, log_every=1, checkpoint_every_s=0.0
)

TINY = HyperpriorConfig(
    groups=(2, 4), context_sides=(3, 1), analysis_widths=(4, 4, 8), analysis_blocks=(1, 0, 1),
    synthesis_latent=4, synthesis_widths=(4, 4, 8),
    synthesis_blocks=(0, 1, 1), hyper_latent=4, features=8, context=4, hidden=8, batch=8, crop_side=16,
    late_from=0.5, late_crop_side=32, initial_crops=16, steps=6, warmup_steps=2, seed=3, log_every=2,
    validate_every=4, checkpoint_every_s=0.0,
)  # fmt: skip


def pictures():
    return smooth_pictures(3, 24, 30)


class SmallEncoder(nn.Module):
    """Stands for Encoder where 218 x 178 pixels would take seconds."""

    def __init__(self, num_channels):
        super().__init__()
        self.layer = nn.Conv2d(3, num_channels, 6, 4)

    def forward(self, x):
        return torch.tanh(self.layer(x))


class SmallGenerator(nn.Module):
    """Stands for Generator."""

    def __init__(self, num_channels):
        super().__init__()
        self.layer = nn.ConvTranspose2d(num_channels, 3, 6, 4)

    def forward(self, y):
        return torch.tanh(self.layer(y))


class SmallDiscriminator(nn.Module):
    """Stands for Discriminator: random too, by dropout."""

    def __init__(self, num_channels):
        super().__init__()
        self.up, self.down = nn.ConvTranspose2d(num_channels, 3, 6, 4), nn.Conv2d(6, 4, 9, 8)
        self.dropout = Dropout(0.3)

    def forward(self, images, y):
        condition = self.up(y).repeat_interleave(len(images) // len(y), 0)
        features = self.dropout(self.down(torch.cat([images, condition], 1)))
        return torch.sigmoid(features.mean((1, 2, 3)))
