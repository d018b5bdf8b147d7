# SPDX-License-Identifier: MIT
"""The networks of 2020: shapes, names of the published weights, counts, and the start from the KLT."""

import math

import pytest
import torch
from helpers.samples import assert_near, smooth_crops
from torch.nn import functional as F

from vgic_lib.networks.discriminator import IMAGE_SIZE, Discriminator
from vgic_lib.networks.klt import fit_klt, initialise_klt
from vgic_lib.networks.vaegan import (
    CHANNEL_COUNTS,
    Encoder,
    Generator,
    ResidualBlock,
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
    block, x = ResidualBlock(3), torch.randn(1, 3, 5, 4)
    assert not torch.equal(block(x), x)
    block[4].weight.zero_()
    block[4].bias.zero_()
    assert torch.equal(block(x), x)


@torch.no_grad()
def test_the_discriminator_judges_two_groups_of_images_as_it_judges_them_apart():
    torch.manual_seed(0)
    discriminator = Discriminator(2).eval()
    images, y = torch.rand(2, 3, *IMAGE_SIZE) * 2 - 1, torch.rand(1, 2, 54, 44) * 2 - 1
    assert discriminator.latent_to_image(y).shape == (1, 3, *IMAGE_SIZE)
    together = discriminator(images, y)
    assert together.shape == (2,)
    assert ((together > 0) & (together < 1)).all()
    apart = torch.cat([discriminator(image[None], y) for image in images])
    assert_near(together, apart, atol=1e-6)


def test_the_discriminator_has_the_layers_of_2020():
    with torch.device("meta"):
        discriminator = Discriminator(8)
    up = [layer[0] for layer in discriminator.latent_to_image if isinstance(layer, torch.nn.Sequential)]
    down = [layer[0] for layer in discriminator.features if isinstance(layer, torch.nn.Sequential)]
    assert [layer.in_channels for layer in up] == [8, 12, 16, 24, 36]
    assert [layer.in_channels for layer in down] == [6, 64, 128, 32, 16]
    dropouts = [m.p for m in discriminator.modules() if isinstance(m, torch.nn.Dropout)]
    assert dropouts == [0.3] * 5
    dense = [m for m in discriminator.modules() if isinstance(m, torch.nn.Linear)]
    assert [(m.in_features, m.out_features) for m in dense] == [(19008, 2000), (2000, 100), (100, 1)]


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
