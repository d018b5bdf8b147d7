# SPDX-License-Identifier: MIT
"""One training step of the VAE-GAN: VGIC against the order of computations that was published in 2020.

Both take the same networks, batch, image size and losses: BCE of the discriminator on real and
reconstructed images with smoothed labels; BCE towards "real" plus 2 x L1 for generator and encoder.
The published program runs the encoder three times and the discriminator four times, lets the
discriminator's loss run back through generator and encoder, and the generator's loss twice. The two
alternate in one process; the ratio of their median times is printed.

    python benchmarks/training_step.py [--batch 4] [--num-channels 8] [--rounds 5]
"""

import argparse
import statistics
import time

import torch
from torch.nn import functional as F

from vgic_lib.networks.discriminator import IMAGE_SIZE, Discriminator
from vgic_lib.networks.vaegan import Encoder, Generator, initialise_as_published
from vgic_lib.training.config import VaeGanConfig
from vgic_lib.training.vaegan_steps import LABEL_SMOOTHING, Networks, Optimizers, adversarial_step


def smoothed(like, low):
    return torch.empty_like(like).uniform_(low, low + LABEL_SMOOTHING)


def published_step(encoder, generator, discriminator, optimizers, x):
    """The published order, in our words: every pass that 2020 made is made."""
    x_hat = generator(encoder(x))
    y_real, y_fake = encoder(x), encoder(x)

    discriminator.zero_grad()
    verdict = discriminator(x, y_real)
    loss = F.binary_cross_entropy(verdict, smoothed(verdict, 1 - LABEL_SMOOTHING))
    verdict = discriminator(x_hat, y_fake)
    loss = loss + F.binary_cross_entropy(verdict, smoothed(verdict, 0))
    loss.backward(retain_graph=True)
    optimizers["discriminator"].step()

    for network in ("generator", "encoder"):
        {"generator": generator, "encoder": encoder}[network].zero_grad()
        verdict = discriminator(x_hat, y_fake)
        loss = F.binary_cross_entropy(verdict, smoothed(verdict, 1 - LABEL_SMOOTHING)) + 2 * F.l1_loss(
            x_hat, x
        )
        loss.backward(retain_graph=True)
    optimizers["generator"].step()
    optimizers["encoder"].step()


def adam(*networks, fused=False):
    return torch.optim.Adam([p for n in networks for p in n.parameters()], 5e-4, (0.5, 0.999), fused=fused)


def make_networks(num_channels):
    torch.manual_seed(0)
    networks = Encoder(num_channels), Generator(num_channels), Discriminator(num_channels)
    for network in networks:
        initialise_as_published(network)
    return networks


def published(num_channels, x):
    networks = make_networks(num_channels)
    optimizers = {
        name: adam(n) for name, n in zip(("encoder", "generator", "discriminator"), networks, strict=True)
    }
    return lambda: published_step(*networks, optimizers, x)


def ours(num_channels, x):
    layout = torch.channels_last
    networks = Networks(*(n.to(memory_format=layout) for n in make_networks(num_channels)))
    optimizers = Optimizers(
        adam(networks.encoder, networks.generator, fused=True), adam(networks.discriminator, fused=True)
    )
    x = x.contiguous(memory_format=layout)
    return lambda: adversarial_step(networks, optimizers, x, VaeGanConfig(num_channels=(num_channels,)))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--num-channels", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    x = 2 * torch.rand(options.batch, 3, *IMAGE_SIZE) - 1
    steps = {"published": published(options.num_channels, x), "ours": ours(options.num_channels, x)}
    times = {name: [] for name in steps}
    for round_ in range(options.rounds + 1):
        for name, step in steps.items():
            begun = time.perf_counter()
            step()
            if round_:  # the first round warms up
                times[name].append(time.perf_counter() - begun)
    seconds = {name: statistics.median(values) for name, values in times.items()}
    size = f"batch {options.batch}, {IMAGE_SIZE[1]}x{IMAGE_SIZE[0]}, n={options.num_channels}"
    print(f"{size}, {torch.get_num_threads()} threads, torch {torch.__version__}, median of {options.rounds}")
    for name, value in seconds.items():
        print(f"{name:<10} {value:6.2f} s a step  {options.batch / value:6.2f} images/s")
    print(f"ratio      {seconds['published'] / seconds['ours']:6.2f}")


if __name__ == "__main__":
    main()
