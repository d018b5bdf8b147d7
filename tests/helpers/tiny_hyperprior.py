# SPDX-License-Identifier: MIT
"""A small hyperprior that is the same on every machine and with every release of every library.

Its weights are short binary fractions, made from integers by integer arithmetic; so are its tables. Its
linear transform are the smoothest Walsh functions of each colour, so it is a codec, if a poor one; all other
layers are noise, so that means, scales and contexts depend on everything.
"""

import zlib

import numpy as np
import torch

from vgic_lib.bitstream.fixed_point import LARGEST_RESIDUAL
from vgic_lib.models.hyperprior import HyperpriorModel
from vgic_lib.networks.hyperprior import Architecture, Hyperprior
from vgic_lib.networks.logistic import SCALES
from vgic_lib.networks.quality import ANCHORS

GROUPS = (3, 9, 12)
LAMBDAS = (8e-4, 0.15)


def tiny_network():
    sizes = Architecture(
        groups=GROUPS, context_sides=(3, 1, 3), analysis_widths=(4, 4, 8), analysis_blocks=(1, 0, 1),
        synthesis_latent=12, synthesis_widths=(4, 4, 8), synthesis_blocks=(0, 1, 1), hyper_latent=6,
        features=16, context=8, hidden=12,
    )  # fmt: skip
    network = Hyperprior(sizes)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(noise(name, parameter.shape))
        for part in (network.analysis, network.synthesis):
            part.linear.border.copy_(torch.eye(16))
            part.linear.basis.copy_(walsh())
            part.last.weight.mul_(2**-6)
            part.last.bias.zero_()
        rise = 0.4375 * torch.arange(ANCHORS)[:, None]
        network.log_gain.copy_(1 + rise.expand_as(network.log_gain))
        network.log_inverse_gain.copy_(-network.log_gain)
        network.log_z_gain.mul_(0.25).add_(2)
        network.context.norm.copy_(torch.tensor([2.0**-5] * 3 + [2.0**-2] * 9 + [1.0] * 12))
        start = torch.tensor([4.0] * 3 + [2.5] * 9 + [1.0] * 12)
        network.context.base.copy_(start + rise)
        network.z_base.mul_(4).add_(2)
    return network


def tiny_model():
    model = HyperpriorModel(tiny_network(), LAMBDAS)
    model.frequencies.copy_(tables())
    model.name, model.model_id = "tiny", b"tiny"
    return model.requires_grad_(False).eval()


def noise(name, shape):
    """Multiples of 2**-8 in [-1, 1) times a power of two near 1 / sqrt(inputs): splitmix64 of the name."""
    count, inputs = int(np.prod(shape)), int(np.prod(shape[1:])) if len(shape) > 2 else 16
    state = np.arange(count, dtype=np.uint64) + np.uint64(zlib.crc32(name.encode()) << 20)
    state = state * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    values = (state >> np.uint64(55)).astype(np.int64) - 256
    amplitude = 2.0 ** -(inputs.bit_length() // 2) if len(shape) > 1 else 0.25
    return torch.from_numpy(values / 256 * amplitude).float().reshape(shape)


def walsh():
    """(24, 3, 16, 16): the first eight Walsh functions of two dimensions, for each colour, orthonormal."""
    matrix = np.array([[1]])
    for _ in range(4):
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    matrix = matrix[np.argsort((np.diff(matrix) != 0).sum(1))]
    pairs = [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1)]
    basis = np.zeros((len(pairs), 3, 3, 16, 16))
    for place, (down, right) in enumerate(pairs):
        for colour in range(3):
            basis[place, colour, colour] = np.outer(matrix[down], matrix[right]) / 16
    return torch.from_numpy(basis).float().flatten(0, 1)


def tables():
    """Frequencies that halve after about as many residuals as the scale of a table says."""
    half_life = (1 << (np.arange(SCALES) // 5))[:, None]
    halvings = np.minimum(16 * np.arange(LARGEST_RESIDUAL + 1) // half_life, 22 * 16)
    within = 32 - halvings % 16  # from 32 down to 17: nearly geometric
    frequencies = ((1 << 22) >> halvings // 16) * within // 32
    return torch.from_numpy(np.maximum(1, frequencies).astype(np.int32))
