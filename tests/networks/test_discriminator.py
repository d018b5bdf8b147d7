# SPDX-License-Identifier: MIT
"""The discriminator of 2020."""

import torch
from helpers.samples import assert_near

from vgic_lib.networks.discriminator import IMAGE_SIZE, Discriminator


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
