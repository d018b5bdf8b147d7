# SPDX-License-Identifier: MIT
"""The networks of 2020: shapes, names of the published weights, counts, and the start from the KLT."""

import math

import pytest
import torch

from vgic_lib.networks.discriminator import Discriminator
from vgic_lib.networks.vaegan import (
    CHANNEL_COUNTS,
    Encoder,
    Generator,
    PaddedResidualBlock,
    initialise_as_published,
)


def published_shapes(n):
    """Names and shapes in the files generator_<n>.model of the 2020 project."""
    return {
        "d_up_conv_1.0.weight": (64, n, 3, 3),
        "d_up_conv_1.0.bias": (64,),
        "d_up_conv_1.3.weight": (64, 128, 2, 2),
        "d_up_conv_1.3.bias": (128,),
        "d_block_1.1.weight": (128, 128, 3, 3),
        "d_block_1.1.bias": (128,),
        "d_block_1.4.weight": (128, 128, 3, 3),
        "d_block_1.4.bias": (128,),
        "d_block_2.1.weight": (128, 128, 3, 3),
        "d_block_2.1.bias": (128,),
        "d_block_2.4.weight": (128, 128, 3, 3),
        "d_block_2.4.bias": (128,),
        "d_block_3.1.weight": (128, 128, 3, 3),
        "d_block_3.1.bias": (128,),
        "d_block_3.4.weight": (128, 128, 3, 3),
        "d_block_3.4.bias": (128,),
        "d_up_conv_2.0.weight": (32, 128, 3, 3),
        "d_up_conv_2.0.bias": (32,),
        "d_up_conv_2.3.weight": (32, 256, 2, 2),
        "d_up_conv_2.3.bias": (256,),
        "d_up_conv_3.0.weight": (16, 256, 3, 3),
        "d_up_conv_3.0.bias": (16,),
        "d_up_conv_3.3.weight": (3, 16, 3, 3),
        "d_up_conv_3.3.bias": (3,),
    }


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("num_channels", [2, 8])
def test_the_generator_has_the_names_and_shapes_of_the_published_weights(num_channels):
    state = Generator(num_channels).state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert shapes == published_shapes(num_channels)
    assert list(shapes) == list(published_shapes(num_channels))


def test_the_encoder_names_its_layers_in_the_same_manner():
    names = set(Encoder(2).state_dict())
    layers = [
        "e_conv_1.1",
        "e_conv_2.1",
        *(f"e_block_{i}.{j}" for i in (1, 2, 3) for j in (1, 4)),
        "e_conv_3.0",
    ]
    assert names == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}


@pytest.mark.parametrize("num_channels", CHANNEL_COUNTS)
def test_parameter_counts(num_channels):
    """Sums over the layers, worked out by hand; only one layer of each network depends on n."""
    assert count(Encoder(num_channels)) == 1_095_296 + (128 * 25 + 1) * num_channels
    assert count(Generator(num_channels)) == 1_025_699 + 64 * 9 * num_channels
    with torch.device("meta"):
        assert count(Discriminator(num_channels)) == 38_497_176 + 12 * 9 * num_channels


@torch.no_grad()
@pytest.mark.parametrize("size", [(218, 178), (14, 14), (14, 18), (34, 22)])
def test_sizes_of_2_modulo_4_come_back(size):
    x = torch.rand(2 if size != (218, 178) else 1, 3, *size) * 2 - 1
    y = Encoder(4)(x)
    assert y.shape == (len(x), 4, *((side - 2) // 4 for side in size))
    assert y.abs().max() <= 1
    x_hat = Generator(4)(y)
    assert x_hat.shape == x.shape
    assert x_hat.abs().max() <= 1


@torch.no_grad()
def test_a_residual_block_without_its_last_layer_is_the_identity():
    block, x = PaddedResidualBlock(3), torch.randn(1, 3, 5, 4)
    assert not torch.equal(block(x), x)
    block[4].weight.zero_()
    block[4].bias.zero_()
    assert torch.equal(block(x), x)


def test_published_initialisation():
    torch.manual_seed(0)
    generator = Generator(8)
    biases = {n: p.clone() for n, p in generator.named_parameters() if n.endswith("bias")}
    initialise_as_published(generator)
    for name, parameter in generator.named_parameters():
        if name.endswith("weight"):
            assert abs(parameter.mean()) < 4 * 0.05 / math.sqrt(parameter.numel())
            assert parameter.std().item() == pytest.approx(0.05, rel=0.1)
        else:
            assert torch.equal(parameter, biases[name])
