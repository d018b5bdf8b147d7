# SPDX-License-Identifier: MIT
"""The discriminator of 2020."""

import torch
from helpers.samples import assert_near

from vgic_lib.networks.discriminator import IMAGE_SIZE, Discriminator, whiten_first_layer


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


@torch.no_grad()
def test_whitened_patches_vary_alike_in_all_components():
    """Colour that hardly changes from pixel to pixel counts as much as light and dark."""
    torch.manual_seed(0)
    images = torch.rand(20, 3, 70, 70)
    images[:, 1:] = images[:, :1] + 0.4 * torch.rand(20, 2, 70, 70)
    discriminator = Discriminator(2)
    before = discriminator.features[0][0].weight.clone()
    whiten_first_layer(discriminator, images)
    first = discriminator.features[0][0]
    seen = first(torch.cat([images, torch.rand(20, 3, 70, 70)], 1)).transpose(0, 1).flatten(1)
    assert_near(seen[:27].mean(1), torch.zeros(27), atol=0.1)
    assert_near(seen[:27].std(1), torch.ones(27), atol=0.15)
    assert_near(seen[27:54], -seen[:27], atol=1e-4)
    assert torch.equal(first.weight[54:], before[54:])


@torch.no_grad()
def test_what_does_not_vary_is_not_blown_up():
    """Photographs without colour have 18 components that are nothing but rounding."""
    discriminator = Discriminator(2)
    grey = torch.rand(20, 1, 70, 70).expand(-1, 3, -1, -1)
    whiten_first_layer(discriminator, grey)
    first = discriminator.features[0][0]
    coloured = grey + 0.004 * torch.randn(20, 3, 70, 70)
    seen = first(torch.cat([coloured, grey], 1)).transpose(0, 1).flatten(1)
    assert sorted((seen[:27].std(1) < 0.3).tolist()) == [False] * 9 + [True] * 18
