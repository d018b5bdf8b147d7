# SPDX-License-Identifier: MIT
"""A training step of the VAE-GAN: the losses and gradients of 2020."""

import pytest
import torch
from helpers.runs import SmallDiscriminator, SmallEncoder, SmallGenerator
from helpers.samples import assert_near, smooth_crops
from torch.nn import functional as F

from vgic_lib.networks.discriminator import Discriminator
from vgic_lib.networks.vaegan import Encoder, Generator
from vgic_lib.training import vaegan_steps
from vgic_lib.training.config import VaeGanConfig
from vgic_lib.training.vaegan_steps import Networks, Optimizers, StepLosses, adversarial_step


def naive_gradients(networks, x):
    """Losses and gradients of a step by the published order of passes, without noise in labels.

    Each network is run anew for each use. The discriminator's update is made, with its optimizer's rate
    of 0.01, before generator and encoder meet it.
    """
    encoder, generator, discriminator = networks
    one = torch.ones(len(x))
    x_hat, y_real, y_fake = generator(encoder(x)), encoder(x), encoder(x)
    discriminator.zero_grad()
    loss = F.binary_cross_entropy(discriminator(x, y_real), 0.9 * one)
    loss = loss + F.binary_cross_entropy(discriminator(x_hat, y_fake), 0 * one)
    loss.backward(retain_graph=True)
    gradients = [[p.grad.clone() for p in discriminator.parameters()]]
    torch.optim.SGD(discriminator.parameters(), 0.01).step()
    for network in (generator, encoder):
        network.zero_grad()
        l1 = 2 * (x - x_hat).abs().mean()
        generator_loss = F.binary_cross_entropy(discriminator(x_hat, y_fake), 0.9 * one) + l1
        generator_loss.backward(retain_graph=True)
        gradients.append([p.grad.clone() for p in network.parameters()])
    return StepLosses(l1, generator_loss, loss), gradients


@pytest.mark.parametrize(
    ("kinds", "size", "batch"),
    [
        ((SmallEncoder, SmallGenerator, SmallDiscriminator), (18, 14), 3),
        pytest.param((Encoder, Generator, Discriminator), (218, 178), 1, marks=pytest.mark.slow),
    ],
    ids=["small", "published"],
)
def test_a_step_has_the_losses_and_gradients_of_2020(monkeypatch, kinds, size, batch):
    torch.manual_seed(0)
    networks = Networks(*(kind(2) for kind in kinds))
    networks.discriminator.eval()  # no dropout
    monkeypatch.setattr(vaegan_steps, "_smooth", torch.full_like)
    x = smooth_crops(batch, *size)
    copies = Networks(*(kind(2) for kind in kinds))
    for copy, network in zip(copies, networks, strict=True):
        copy.load_state_dict(network.state_dict())
    copies.discriminator.eval()
    expected, gradients = naive_gradients(copies, x)

    codec = [*networks.encoder.parameters(), *networks.generator.parameters()]
    discriminator = networks.discriminator.parameters()
    optimizers = Optimizers(torch.optim.SGD(codec, 0.01), torch.optim.SGD(discriminator, 0.01))
    found = adversarial_step(networks, optimizers, x, VaeGanConfig(num_channels=(2,)))
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    for network, theirs in zip(
        (networks.discriminator, networks.generator, networks.encoder), gradients, strict=True
    ):
        for parameter, gradient in zip(network.parameters(), theirs, strict=True):
            assert_near(parameter.grad, gradient, atol=1e-3 * gradient.abs().max().item())


def test_labels_are_smoothed():
    real, fake = (vaegan_steps._smooth(torch.zeros(1000), low) for low in (0.9, 0))
    assert 0.9 <= real.min() < 0.91 < 0.99 < real.max() <= 1
    assert 0 <= fake.min() < 0.01 < 0.09 < fake.max() <= 0.1


def test_the_quantiser_rounds_and_lets_the_gradient_pass():
    y = torch.linspace(-1, 1, 33).reshape(1, 1, 1, 33).requires_grad_()
    y_hat = vaegan_steps.quantise_straight_through(y, torch.full((1, 1, 1, 1), 2))
    steps = (y_hat.detach() + 1) * 1.5
    assert_near(steps, steps.round(), atol=1e-6)
    assert_near(steps, ((y.detach() + 1) * 1.5).round(), atol=1e-6)
    y_hat.sum().backward()
    assert torch.equal(y.grad, torch.ones_like(y))


def test_the_mask_keeps_the_first_channels():
    mask = vaegan_steps.channel_mask(torch.tensor([1, 3]), 3)
    assert mask[:, :, 0, 0].tolist() == [[1, 0, 0], [1, 1, 1]]
