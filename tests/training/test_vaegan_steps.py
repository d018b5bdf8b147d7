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
from vgic_lib.training.vaegan_steps import Networks, Optimizers, adversarial_step, head_start_step


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
    losses = {"distortion": l1, "generator_loss": generator_loss, "discriminator_loss": loss}
    return losses, gradients


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
    for name, theirs in expected.items():
        assert found[name].item() == pytest.approx(theirs.item(), rel=1e-5), name
    assert found["loss"] == found["generator_loss"] == found["adversarial_loss"] + found["distortion"]
    for network, theirs in zip(
        (networks.discriminator, networks.generator, networks.encoder), gradients, strict=True
    ):
        for parameter, gradient in zip(network.parameters(), theirs, strict=True):
            assert_near(parameter.grad, gradient, atol=1e-3 * gradient.abs().max().item())


def small_networks():
    torch.manual_seed(0)
    networks = Networks(SmallEncoder(2), SmallGenerator(2), SmallDiscriminator(2))
    codec = [*networks.encoder.parameters(), *networks.generator.parameters()]
    sgd = torch.optim.SGD(codec, 0.01), torch.optim.SGD(networks.discriminator.parameters(), 0.01)
    return networks, Optimizers(*sgd)


def test_in_its_head_start_the_discriminator_alone_learns():
    networks, optimizers = small_networks()
    before = [[p.clone() for p in network.parameters()] for network in networks]
    found = head_start_step(networks, optimizers, smooth_crops(3, 18, 14), VaeGanConfig(num_channels=(2,)))
    moved = [
        any(not torch.equal(p, was) for p, was in zip(network.parameters(), weights, strict=True))
        for network, weights in zip(networks, before, strict=True)
    ]
    assert moved == [False, False, True]
    assert {"loss", "distortion", "discriminator_loss"} < found.keys() and "generator_loss" not in found


@pytest.mark.parametrize(("certain", "real", "fake"), [(0.1, 0, 1), (0.9, 1, 0)])
def test_accuracy_counts_what_the_discriminator_got_right(certain, real, fake):
    """One that always says the same is right about one kind and wrong about the other."""
    networks, optimizers = small_networks()
    networks.discriminator.forward = lambda images, y: (
        torch.full((len(images),), certain) + 0 * next(networks.discriminator.parameters()).sum()
    )
    found = adversarial_step(networks, optimizers, smooth_crops(3, 18, 14), VaeGanConfig(num_channels=(2,)))
    assert (found["accuracy_real"], found["accuracy_fake"]) == (real, fake)


def test_the_adversarial_loss_has_its_weight():
    networks, optimizers = small_networks()
    config = VaeGanConfig(num_channels=(2,), adversarial_weight=0.25)
    found = adversarial_step(networks, optimizers, smooth_crops(3, 18, 14), config)
    assert found["generator_loss"] == 0.25 * found["adversarial_loss"] + found["distortion"]


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
