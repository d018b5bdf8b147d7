# SPDX-License-Identifier: MIT
"""Start the VAE-GAN from the best linear codec instead of from noise.

The Karhunen-Loeve transform (KLT) of 4 x 4 x 3 pixel blocks is the linear transform with the least
squared error for every number of kept coefficients (Jolliffe, "Principal Component Analysis", ch. 2).
Convolutions with LeakyReLU between them compute it, because leaky(a) - leaky(-a) = (1 + slope) a: each
value travels as a pair of opposite signs. Only the tanh of the latents bends it, little for few channels.
The rest of each layer keeps a random start and learns what a linear codec cannot do.
"""

import itertools
from typing import NamedTuple

import torch
from torch import nn

from vgic_lib.networks.vaegan import STRIDE, Encoder, Generator

PAIR = 1.01  # 1 + slope of LeakyReLU
SPREAD = 3.0  # standard deviations of an AC coefficient that reach tanh's argument 1
BLOCK = list(itertools.product(range(3), range(STRIDE), range(STRIDE)))  # (colour, row, column) in a block
QUAD = list(itertools.product(range(3), range(2), range(2)))  # the same for a 2 x 2 block


class Klt(NamedTuple):
    """Principal components of 4 x 4 x 3 blocks of pixels in [-1, 1]."""

    mean: torch.Tensor  # (3,) per colour
    basis: torch.Tensor  # (48, 48): columns are components, largest variance first
    deviation: torch.Tensor  # (48,) standard deviation of each coefficient


def fit_klt(crops: torch.Tensor) -> Klt:
    """Fit the transform to crops (B, 3, H, W) in [-1, 1]; H and W are cut to multiples of 4."""
    blocks = nn.functional.unfold(crops.double(), STRIDE, stride=STRIDE)  # (B, 48, L), colour-major
    vectors = blocks.transpose(1, 2).reshape(-1, 3 * STRIDE**2)
    mean = vectors.mean(0).reshape(3, -1).mean(1)
    centred = vectors - mean.repeat_interleave(STRIDE**2)
    variance, basis = torch.linalg.eigh(centred.T @ centred / len(centred))
    order = torch.argsort(variance, descending=True)
    return Klt(mean.float(), basis[:, order].float(), variance[order].clamp(min=0).sqrt().float())


@torch.no_grad()
def initialise_klt(encoder: Encoder, generator: Generator, klt: Klt) -> None:
    """Set both networks so that they compute the KLT with as many coefficients as there are channels."""
    channels = encoder.e_conv_3[0].out_channels
    basis, gain = klt.basis[:, :channels], 1 / (SPREAD * klt.deviation[:channels])
    gain[0] = 1.2 / (48**0.5)  # the mean grey is bounded, not heavy-tailed: its extremes reach 1.2
    for block in (m for net in (encoder, generator) for name, m in net.named_children() if "block" in name):
        nn.init.zeros_(block[4].weight)
        nn.init.zeros_(block[4].bias)
    _initialise_encoder(encoder, klt.mean, basis, gain)
    _initialise_generator(generator, klt.mean, basis, gain)


def _initialise_encoder(
    encoder: Encoder, mean: torch.Tensor, basis: torch.Tensor, gain: torch.Tensor
) -> None:
    first, second, last = encoder.e_conv_1[1], encoder.e_conv_2[1], encoder.e_conv_3[0]
    for layer, count in ((first, 2 * len(QUAD)), (second, 2 * len(BLOCK))):
        nn.init.zeros_(layer.weight[:count])
        nn.init.zeros_(layer.bias[:count])
    for (k, (colour, row, column)), sign in itertools.product(enumerate(QUAD), (0, 1)):
        first.weight[2 * k + sign, colour, 2 + row, 2 + column] = 1.0 - 2 * sign
    nn.init.zeros_(last.weight)
    for k, (colour, row, column) in enumerate(BLOCK):
        source = QUAD.index((colour, row % 2, column % 2))
        for sign in (0, 1):
            tap = second.weight[2 * k + sign, :, 1 + row // 2, 1 + column // 2]
            tap[2 * source], tap[2 * source + 1] = (1 - 2 * sign) / PAIR, (2 * sign - 1) / PAIR
            last.weight[:, 2 * k + sign, 2, 2] = gain * basis[k] * (1 - 2 * sign) / PAIR
    last.bias.copy_(-gain * (mean.repeat_interleave(STRIDE**2) @ basis))


def _initialise_generator(
    generator: Generator, mean: torch.Tensor, basis: torch.Tensor, gain: torch.Tensor
) -> None:
    latent, up_1 = generator.d_up_conv_1[0], generator.d_up_conv_1[3]
    half, up_2 = generator.d_up_conv_2[0], generator.d_up_conv_2[3]
    channels = len(gain)
    nn.init.zeros_(latent.weight[: 2 * channels])
    nn.init.zeros_(latent.bias[: 2 * channels])
    nn.init.zeros_(up_1.weight[:, : len(QUAD)])
    for k, sign in itertools.product(range(channels), (0, 1)):
        latent.weight[2 * k + sign, k, 1, 1] = 1.0 - 2 * sign
        for b, (colour, row, column) in enumerate(BLOCK):
            target = QUAD.index((colour, row % 2, column % 2))
            value = basis[b, k] / gain[k] * (1 - 2 * sign) / PAIR
            up_1.weight[2 * k + sign, target, row // 2, column // 2] = value
    nn.init.zeros_(half.weight[: 2 * len(QUAD)])
    nn.init.zeros_(half.bias[: 2 * len(QUAD)])
    nn.init.zeros_(up_2.weight[:, :3])
    nn.init.zeros_(up_2.bias[:3])
    for (k, (colour, row, column)), sign in itertools.product(enumerate(QUAD), (0, 1)):
        up_1.bias[k] = mean[colour]
        half.weight[2 * k + sign, k, 1, 1] = 1.0 - 2 * sign
        up_2.weight[2 * k + sign, colour, row, column] = (1 - 2 * sign) / PAIR
    _initialise_pixels(generator.d_up_conv_3[0], generator.d_up_conv_3[3])


def _initialise_pixels(hidden: nn.Conv2d, output: nn.Conv2d) -> None:
    """Undo the final tanh: five LeakyReLU units a colour fit atanh, weighted by tanh's slope."""
    units = torch.tensor(
        [(1.0, 1.2), (1.0, -0.5), (-1.0, -0.5), (1.0, -0.8), (-1.0, -0.8)]
    )  # (slope, offset)
    value = torch.linspace(-0.97, 0.97, 389)
    response = nn.functional.leaky_relu(value[:, None] * units[:, 0] + units[:, 1])
    design = torch.cat([response, torch.ones(len(value), 1)], 1)
    weight = (1 - value.square())[:, None]
    fit = torch.linalg.lstsq(weight * design, weight * torch.atanh(value)[:, None]).solution[:, 0]
    count = 3 * len(units)
    nn.init.zeros_(hidden.weight[:count])
    nn.init.zeros_(output.weight)
    for colour, (k, (slope, offset)) in itertools.product(range(3), enumerate(units)):
        unit = colour * len(units) + k
        hidden.weight[unit, colour, 1, 1] = slope
        hidden.bias[unit] = offset
        output.weight[colour, unit, 1, 1] = fit[k]
    output.bias.copy_(fit[-1].expand(3))
