# SPDX-License-Identifier: MIT
"""A small lossless model of any kind, the same on every machine and with every release of every library."""

import torch

from helpers.tiny_hyperprior import noise
from vgic_lib.models.lossless import FirstLosslessModel, LosslessModel, SecondLosslessModel
from vgic_lib.networks.pixels import SCALES
from vgic_lib.networks.shapes import LosslessNetwork

WIDTH, HEAD = 8, 6
IDS = {FirstLosslessModel: b"less", SecondLosslessModel: b"les2", LosslessModel: b"les3"}


def tiny_lossless_network(kind=LosslessModel):
    network = LosslessNetwork(WIDTH, HEAD, kind.signed, kind.parts)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "shapes" not in name:
                scale = 2**-4 if "straight" in name or ".out." in name else 2**-2
                parameter.copy_(noise(name, parameter.shape) * scale)
    return network


def tiny_lossless(kind=LosslessModel):
    model = kind(tiny_lossless_network(kind))
    entry = torch.arange(SCALES, dtype=torch.int64)
    for part in model.network.parts:  # no logarithm may decide on them
        narrow = (2**62 - 2**61 // (1 + entry) ** 2).clamp(max=2**62 - 2**50)
        getattr(model, f"{part}_decays").copy_(torch.stack([narrow, (narrow + 2**62) // 2], 1))
        getattr(model, f"{part}_shares").fill_(2**27)
    model.name, model.model_id = "tiny-lossless", IDS[kind]
    return model.requires_grad_(False).eval()
