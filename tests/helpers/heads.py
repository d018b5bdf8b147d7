# SPDX-License-Identifier: MIT
"""A small codec with a generative head beside it, where the library finds both."""

import torch

from helpers.tiny_hyperprior import noise, tiny_model
from vgic_lib.models.head import RealismHead
from vgic_lib.models.store import load_model, save_model
from vgic_lib.networks.head import Head


def install_head(home):
    """Put codec and head below the outputs of the project folder `home`; returns the loaded codec."""
    folder = home / "outputs/runs/tiny/training/tiny"
    folder.mkdir(parents=True)
    save_model(tiny_model(), folder / "tiny.safetensors", "tiny")
    body = load_model(str(folder / "tiny.safetensors"))
    save_model(random_head(body), folder / "tiny-head.safetensors", "head of tiny")
    return body


def random_head(body):
    """A head that adds something everywhere, noise included."""
    head = Head(body.network.architecture)
    with torch.no_grad():
        for name, parameter in head.named_parameters():
            parameter.copy_(noise(name, parameter.shape))
        head.noise.weight.mul_(0.1)
    made = RealismHead(head, body.network.architecture, body.model_id)
    return made.eval().requires_grad_(False)
