# SPDX-License-Identifier: MIT
"""Training: the same losses as in 2020, and runs that can be cut off anywhere."""

import csv
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import PROJECT
from helpers.samples import assert_near, smooth_crops, smooth_pictures
from torch import nn
from torch.nn import functional as F

from vgic_lib.errors import ModelError, ParameterError
from vgic_lib.networks.discriminator import Discriminator
from vgic_lib.networks.vaegan import Encoder, Generator
from vgic_lib.training import loop, losses, vaegan, vaegan_steps
from vgic_lib.training.config import VaeGanConfig
from vgic_lib.training.loop import CHECKPOINT, METRICS, Trainer, train
from vgic_lib.training.losses import distortion
from vgic_lib.training.vaegan import validate
from vgic_lib.training.vaegan_steps import Networks, Optimizers, StepLosses, adversarial_step

NESTED = VaeGanConfig(
    num_channels=(2, 4), bits=(4, 8), initialisation="klt", distortion="psnr", adversarial_from=1.0,
    crop_height=14, crop_width=18, batch=2, steps=5, learning_rate=1e-3, warmup_steps=2, schedule="cosine",
    ema_decay=0.9, clip_norm=1.0, seed=3, log_every=2, validate_every=4, checkpoint_every_s=0.0,
)  # fmt: skip
ADVERSARIAL = VaeGanConfig(
    num_channels=(2,), adversarial_from=0.5, batch=1, steps=4, log_every=1, checkpoint_every_s=0.0
)


def pictures():
    return smooth_pictures(3, 24, 30)


class SmallEncoder(nn.Module):
    """Stands for Encoder where 218 x 178 pixels would take seconds."""

    def __init__(self, num_channels):
        super().__init__()
        self.layer = nn.Conv2d(3, num_channels, 6, 4)

    def forward(self, x):
        return torch.tanh(self.layer(x))


class SmallGenerator(nn.Module):
    """Stands for Generator."""

    def __init__(self, num_channels):
        super().__init__()
        self.layer = nn.ConvTranspose2d(num_channels, 3, 6, 4)

    def forward(self, y):
        return torch.tanh(self.layer(y))


class SmallDiscriminator(nn.Module):
    """Stands for Discriminator: random too, by dropout."""

    def __init__(self, num_channels):
        super().__init__()
        self.up, self.down = nn.ConvTranspose2d(num_channels, 3, 6, 4), nn.Conv2d(6, 4, 9, 8)
        self.dropout = nn.Dropout(0.3)

    def forward(self, images, y):
        condition = self.up(y).repeat(len(images) // len(y), 1, 1, 1)
        features = self.dropout(self.down(torch.cat([images, condition], 1)))
        return torch.sigmoid(features.mean((1, 2, 3)))


class Cut(BaseException):
    """The process ends here: nobody catches this, as nobody catches SIGKILL."""


def state_of(folder):
    """Everything in a checkpoint but wall-clock times."""
    state = torch.load(folder / CHECKPOINT, weights_only=True)
    del state["elapsed_s"]
    for row in state["metrics"]:
        del row["time_s"], row["images_per_s"], row["matmul_fraction"]
    return state


def assert_same(a, b):
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_same(one, other)
    else:
        assert a == b


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The nested run, never interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    train(NESTED, folder, pictures(), pictures()[:1], device="cpu")
    return folder


def cut_at(monkeypatch, owner, name, call, error, after=False):
    """Raise `error` at the given call (0 is the first) of a function, or just after it."""
    function, calls = getattr(owner, name), []

    def replacement(*args, **options):
        calls.append(name)
        if len(calls) == call + 1 and not after:
            raise error
        result = function(*args, **options)
        if len(calls) == call + 1:
            raise error
        return result

    monkeypatch.setattr(owner, name, replacement)


@pytest.mark.parametrize("error", [KeyboardInterrupt, Cut])
@pytest.mark.parametrize(
    ("owner", "name", "call", "after"),
    [
        (losses, "distortion", 2, False),  # in the middle of a step
        (losses, "update", 3, True),  # weights updated, step not yet counted
        (loop, "write_metrics", 0, False),  # step counted, row not yet written
        (loop, "write_metrics", 1, True),
    ],
)
def test_an_interrupted_run_ends_as_if_nothing_had_happened(
    tmp_path, monkeypatch, whole, error, owner, name, call, after
):
    with monkeypatch.context() as patch:
        cut_at(patch, owner, name, call, error, after)
        with pytest.raises(error):
            train(NESTED, tmp_path, pictures(), pictures()[:1], device="cpu")
    train(NESTED, tmp_path, pictures(), pictures()[:1], device="cpu")
    assert_same(state_of(tmp_path), state_of(whole))


KILLED = """
import os, signal, sys, torch
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from test_loop import NESTED, pictures
from vgic_lib.training.loop import train
save, calls = torch.save, []

def save_half(state, path):
    save(state, path)
    calls.append(path)
    if len(calls) == 3:
        with open(path, "r+b") as file:
            file.truncate(1000)
        os.kill(os.getpid(), signal.SIGKILL)

torch.save = save_half
train(NESTED, Path(sys.argv[1]), pictures(), pictures()[:1], device="cpu")
"""


def test_a_run_killed_while_it_writes_a_checkpoint_goes_on_from_the_one_before(tmp_path, whole):
    folders = [str(PROJECT / "tests"), str(Path(__file__).parent)]
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), *folders], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert state_of(tmp_path)["step"] == 2
    train(NESTED, tmp_path, pictures(), pictures()[:1], device="cpu")
    assert_same(state_of(tmp_path), state_of(whole))


@pytest.mark.parametrize("call", [3, 5])
def test_an_adversarial_run_goes_on_bit_for_bit(tmp_path, monkeypatch, call):
    """Cut between the two updates of a step, and within one; steps 0 and 1 have one update each."""
    monkeypatch.setattr(vaegan, "Encoder", SmallEncoder)
    monkeypatch.setattr(vaegan, "Generator", SmallGenerator)
    monkeypatch.setattr(vaegan, "Discriminator", SmallDiscriminator)
    images = smooth_pictures(2, 220, 180)
    train(ADVERSARIAL, tmp_path / "whole", images, device="cpu")
    with monkeypatch.context() as patch:
        cut_at(patch, losses, "update", call, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            train(ADVERSARIAL, tmp_path / "cut", images, device="cpu")
    train(ADVERSARIAL, tmp_path / "cut", images, device="cpu")
    assert_same(state_of(tmp_path / "cut"), state_of(tmp_path / "whole"))
    rows = state_of(tmp_path / "cut")["metrics"]
    assert ["discriminator_loss" in row for row in rows] == [False, False, True, True]


def test_a_finished_run_is_not_trained_again(whole, monkeypatch):
    before = state_of(whole)
    monkeypatch.setattr(Trainer, "train_step", lambda self: pytest.fail("trained again"))
    trained = train(NESTED, whole, pictures(), device="cpu")
    assert_same(state_of(whole), before)
    assert [row["step"] for row in trained.metrics] == [2, 4, 5]


def test_metrics_are_written_as_a_table(whole):
    with (whole / METRICS).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["2", "4", "5"]
    assert [bool(row["validation_psnr_db_2"]) for row in rows] == [False, True, True]
    assert {"time_s", "images_per_s", "loss", "distortion", "validation_psnr_db_4"} <= rows[0].keys()
    assert not list(whole.glob(".*"))


def test_the_averaged_weights_are_what_a_run_returns(whole):
    trained = train(NESTED, whole, pictures(), device="cpu")
    state = state_of(whole)
    ours = [p for n in trained.networks for p in n.parameters()]
    last = [value for network in state["networks"][:2] for value in network.values()]
    assert all(torch.equal(p, average) for p, average in zip(ours, state["average"], strict=True))
    assert not all(torch.equal(p, value) for p, value in zip(ours, last, strict=True))


def test_a_checkpoint_of_other_settings_is_refused(whole):
    with pytest.raises(ModelError, match=r"other settings \(batch, seed\)") as caught:
        train(replace(NESTED, batch=1, seed=4), whole, pictures(), device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["half", "empty", "another file", "code"])
def test_a_damaged_checkpoint_is_refused(tmp_path, whole, content):
    path = tmp_path / CHECKPOINT
    whole_bytes = (whole / CHECKPOINT).read_bytes()
    if content == "another file":
        torch.save({"weights": torch.zeros(2)}, path)
    elif content == "code":
        torch.save(nn.Linear(1, 1), path)
    else:
        path.write_bytes(whole_bytes[: len(whole_bytes) // 2] if content == "half" else b"")
    with pytest.raises(ModelError, match="unreadable.*delete it") as caught:
        train(NESTED, tmp_path, pictures(), device="cpu")
    assert "\n" not in str(caught.value)


def test_pictures_that_are_all_too_small_are_refused(tmp_path):
    with pytest.raises(ParameterError):
        train(NESTED, tmp_path, smooth_pictures(2, 12, 40), device="cpu")


def test_a_nested_run_from_random_weights_learns(tmp_path):
    config = replace(
        NESTED, initialisation="published", bits=(), ema_decay=0.0, batch=4, steps=20, crop_width=14,
        learning_rate=3e-4, schedule="constant", seed=1, validate_every=5, checkpoint_every_s=60.0,
    )  # fmt: skip
    plain = [np.full((14, 14, 3), grey, np.uint8) for grey in (0, 60, 190, 255)]
    rows = train(config, tmp_path, plain, plain, device="cpu").metrics
    for count in (2, 4):
        psnr_db = [row[f"validation_psnr_db_{count}"] for row in rows if row["step"] % 5 == 0]
        assert psnr_db[-1] > psnr_db[0] + 2


def test_the_learning_rate_warms_up_and_falls():
    trainer = Trainer(replace(NESTED, steps=8, learning_rate=1.0, warmup_steps=2), pictures())
    rates = []
    for trainer.step in range(9):
        rates.append(trainer.learning_rate())
    assert rates[0] == pytest.approx(0.5)
    assert rates[4] == pytest.approx(0.5)
    assert rates[8] == pytest.approx(0, abs=1e-9)
    assert rates[1:] == sorted(rates[1:], reverse=True)
    trainer.config = replace(trainer.config, schedule="constant")
    assert trainer.learning_rate() == 1.0


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


def test_distortions():
    x, x_hat = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    x_hat[0], x_hat[1] = 0.2, 0.5
    assert distortion(x_hat, x, "l1").item() == pytest.approx(2 * 0.35)
    psnr = [10 * np.log10(value**2 / 4 + 10**-3.6) for value in (0.2, 0.5)]
    assert distortion(x_hat, x, "psnr").item() == pytest.approx(np.mean(psnr), rel=1e-5)
    assert distortion(x, x, "psnr").item() == pytest.approx(-36)


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


def test_validation_is_the_psnr_of_the_middle():
    """Networks that return mid-grey have the PSNR of the picture against mid-grey."""
    encoder, generator = SmallEncoder(4), SmallGenerator(4)
    for parameter in [*encoder.parameters(), *generator.parameters()]:
        nn.init.zeros_(parameter)
    image = np.full((220, 40, 3), 255, np.uint8)
    image[1:219, 1:39] = 191  # the middle 218 x 38 pixels
    expected = -10 * np.log10((191 / 255 - 0.5) ** 2)
    found = validate(encoder, generator, (2, 4), [image])
    assert found == {f"validation_psnr_db_{n}": pytest.approx(expected, abs=0.001) for n in (2, 4)}
