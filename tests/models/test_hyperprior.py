# SPDX-License-Identifier: MIT
"""The hyperprior as a codec's model: what is encoded comes back, exactly, for any size and quality."""

import numpy as np
import pytest
import torch
from helpers.samples import assert_near, smooth_crops
from helpers.tiny_hyperprior import tiny_model, tiny_network

from vgic_lib.bitstream.fixed_point import (
    LARGEST_RESIDUAL,
    ExactNetworks,
)
from vgic_lib.errors import BitstreamError, ModelError, ParameterError, VgicError
from vgic_lib.models import hyperprior
from vgic_lib.models.hyperprior import FINEST_CODE, LARGEST_CODE, QualitySetting

SIZES = [(1, 1), (16, 16), (17, 33), (5, 200), (250, 130)]  # height, width
CODES = (0, 301, 448, LARGEST_CODE, FINEST_CODE)


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def picture(height, width, seed=0):
    return (smooth_crops(1, height, width, seed) + 1) / 2


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("size", SIZES)
def test_what_is_encoded_comes_back(model, size, code):
    setting = QualitySetting(code)
    latents = model.analysis(picture(*size), setting)
    assert tuple(tuple(k.shape) for k in latents) == model.latent_shapes(setting, size)
    sections = model.encode(latents, setting)
    decoded = model.decode(sections, setting, size)
    assert model.encode(decoded, setting) == sections  # rounding is idempotent
    assert model.decode(sections, setting, size)[0].equal(decoded[0])
    assert model.synthesis(decoded, setting, size).shape == (1, 3, *size)


@pytest.mark.parametrize("code", CODES[:-1])  # beyond, float32 may round an element the other way
def test_rounded_latents_are_those_that_are_decoded(model, code):
    setting = QualitySetting(code)
    latents = model.analysis(picture(100, 120), setting)
    rounded = model.rounded(latents, setting)
    decoded = model.decode(model.encode(rounded, setting), setting, (100, 120))
    for ours, theirs in zip(rounded, decoded, strict=True):
        assert (ours - theirs).abs().max() < 0.01  # float32 against exact arithmetic
    assert model.encode(latents, setting) == model.encode(rounded, setting)


@pytest.mark.parametrize("code", CODES)
def test_estimate_and_file_agree(model, code):
    setting = QualitySetting(code)
    latents = model.analysis(picture(250, 130), setting)
    with torch.no_grad():
        bits = model.quantise(latents, setting).bits
    assert bits.shape == (1,)
    assert 8 * len(model.encode(latents, setting)[0]) == pytest.approx(bits.item(), rel=0.002, abs=40)


@pytest.mark.parametrize("size", [(16, 16), (250, 130), (65, 200)])
def test_map_of_bits_adds_up_to_the_estimate(model, size):
    setting = QualitySetting(448)
    latents = model.analysis(torch.cat([picture(*size, seed) for seed in range(2)]), setting)
    with torch.no_grad():
        bits = model.quantise(latents, setting).bits
    places = model.bits_map(latents, setting)
    assert places.shape == (2, *latents[0].shape[2:]) and (places > 0).all()
    assert torch.allclose(places.sum((1, 2)), bits, rtol=1e-5)


def test_a_batch_is_estimated_one_by_one(model):
    setting = QualitySetting(448)
    x = torch.cat([picture(40, 50, seed) for seed in range(3)])
    with torch.no_grad():
        together = model.quantise(model.analysis(x, setting), setting).bits
        apart = [model.quantise(model.analysis(one[None], setting), setting).bits for one in x]
    assert torch.allclose(together, torch.cat(apart), rtol=1e-3)


def test_quality_rises_with_rate(model):
    x, sizes, errors = picture(100, 120), [], []
    for quality in (1, 20, 40, 60, 80, 100):
        setting = model.setting(quality)
        section = model.encode(model.analysis(x, setting), setting)
        sizes.append(len(section[0]))
        decoded = model.decode(section, setting, (100, 120))
        errors.append((model.synthesis(decoded, setting, (100, 120)) - x).square().mean().item())
    assert sizes == sorted(sizes) and sizes[-1] > 2 * sizes[0]
    assert errors == sorted(errors, reverse=True) and errors[-1] < errors[0]


def test_context_and_z_matter(model):
    """Means and scales differ with z and with what was coded before."""
    setting, size = QualitySetting(448), (100, 120)
    y, z = model.analysis(picture(*size), setting)
    with torch.no_grad():
        bits = [model.quantise(pair, setting).bits.item() for pair in ((y, z), (y, z + 3), (y.flip(2, 3), z))]
    assert all(abs(bits[0] - other) > 1 for other in bits[1:])


@pytest.mark.parametrize("code", [301, 448])
def test_gradients_reach_both_latents_and_bits_fall(model, code):
    setting = QualitySetting(code)
    latents = [k.detach().clone().requires_grad_() for k in model.analysis(picture(64, 48), setting)]
    found = model.quantise(latents, setting, lambda k: k + (k.round() - k).detach())
    (model.synthesis(found.latents, setting, (64, 48)).sum() + found.bits.sum()).backward()
    assert all(k.grad is not None and k.grad.abs().sum() > 0 for k in latents)
    with torch.no_grad():
        hard = model.quantise(latents, setting)
    assert found.bits.item() == pytest.approx(hard.bits.item(), rel=0.5)
    assert all((a - b).abs().max() < 1e-4 for a, b in zip(found.latents, hard.latents, strict=True))


def test_residuals_beyond_the_tables_are_clamped_on_both_sides(model):
    setting, size = QualitySetting(448), (40, 40)
    y, z = model.analysis(picture(*size, seed=1), setting)
    y[0, 0, 0, 0], z[0, 0, 0, 0] = 1e5, -1e5
    sections = model.encode((y, z), setting)
    decoded = model.decode(sections, setting, size)
    assert decoded[1].min() == -LARGEST_RESIDUAL and decoded[0].max() >= LARGEST_RESIDUAL - 64
    assert model.encode(decoded, setting) == sections
    assert (model.rounded((y, z), setting)[0] - decoded[0]).abs().max() < 0.2


def test_nothing_is_left_out_beyond_quality_100(model, monkeypatch):
    """However sure networks are, in a range that they have not been trained for."""
    sure = model.network.context.base - 99
    monkeypatch.setattr(model.network.context.base, "data", sure)
    monkeypatch.setattr(model, "_exact", None)
    left_out = []
    for setting in (QualitySetting(LARGEST_CODE), QualitySetting(FINEST_CODE)):
        latents = model.analysis(picture(40, 40, seed=1) / 10, setting)
        decoded = model.decode(model.encode(latents, setting), setting, (40, 40))
        off = (decoded[0] - latents[0]).abs()[latents[0].abs() < 100]  # others may be cut off
        left_out.append(float(off.max()) > 0.51)
    assert left_out == [True, False]


def test_settings(model):
    assert model.setting(1) == QualitySetting(0) and model.setting(100) == QualitySetting(LARGEST_CODE)
    assert len({model.setting(1 + step / 10) for step in range(991)}) == LARGEST_CODE + 1
    every = model.settings + model.finer
    assert [setting.quality_code for setting in every] == [*range(FINEST_CODE + 1)]
    assert all(model.from_code(model.code(setting)) == setting for setting in every)
    trade_offs = [model.trade_off(setting) for setting in model.settings]
    assert trade_offs == sorted(trade_offs)
    assert (trade_offs[0], trade_offs[-1]) == pytest.approx(model.lambdas)
    with pytest.raises(BitstreamError):
        model.from_code(FINEST_CODE + 1)
    for quality in (0.99, 100.01, float("nan"), float("inf")):
        with pytest.raises(ParameterError):
            model.setting(quality)


def spoilt(change):
    network = tiny_network()
    with torch.no_grad():
        change(network)
    return network


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net.context.hidden[1].weight.mul_(1e6),
        lambda net: net.hyper_synthesis.last.bias.fill_(1e9),
        lambda net: net.hyper_synthesis.entry.weight.fill_(float("nan")),
        lambda net: net.context.base.fill_(float("inf")),
        lambda net: net.z_base.fill_(1e5),
        lambda net: net.context.norm.fill_(0.3),
        lambda net: net.context.norm.fill_(2.0**-20),
        lambda net: net.context.norm.fill_(2.0**30),
    ],
)
def test_weights_that_could_not_be_exact_are_refused(change):
    with pytest.raises(ModelError):
        ExactNetworks(spoilt(change))


def test_damaged_sections(model):
    setting, size = QualitySetting(448), (60, 50)
    (good,) = model.encode(model.analysis(picture(*size), setting), setting)
    rng = np.random.default_rng(0)
    decoded = 0
    for _ in range(60):
        data = bytearray(good)
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        data = data[: rng.integers(1, len(data))] if rng.integers(2) else data
        try:
            latents = model.decode([bytes(data)], setting, size)
        except VgicError:
            continue
        decoded += 1
        assert torch.isfinite(model.synthesis(latents, setting, size)).all()
    assert decoded
    for sections in ([], [good, b""]):
        with pytest.raises(BitstreamError):
            model.decode(sections, setting, size)


def test_too_short_for_its_size_is_refused_at_once(model):
    setting = QualitySetting(448)
    (section,) = model.encode(model.analysis(picture(16, 16), setting), setting)
    with pytest.raises(BitstreamError, match="too short"):
        model.decode([section], setting, (8192, 8192))


def test_training_and_model_share_one_estimate(model):
    """The network's own evaluation pass rounds as the model does, and counts nearly the same bits."""
    x, setting = picture(64, 96), QualitySetting(448)
    with torch.no_grad():
        x_hat, bits_y, bits_z = model.network(x, torch.tensor([setting.network_quality]))
        latents_hat, bits = model.quantise(model.analysis(x, setting), setting)
        assert (model.synthesis(latents_hat, setting, (64, 96)) - x_hat.clamp(0, 1)).abs().max() < 0.05
    assert bits.item() == pytest.approx((bits_y + bits_z).item(), rel=0.5)


@pytest.mark.parametrize("height", [400, 390, 250])
def test_strips_join_without_a_seam(model, monkeypatch, height):
    setting = QualitySetting(448)
    x = picture(height, 70)
    with torch.no_grad():
        latents = model.analysis(x, setting)
        latents_hat = model.quantise(latents, setting).latents
        x_hat = model.synthesis(latents_hat, setting, (height, 70))
        monkeypatch.setattr(hyperprior, "STRIP", 10 * 5)  # ten rows of five places
        for ours, theirs in zip(model.analysis(x, setting), latents, strict=True):
            assert_near(ours, theirs, 1e-5)
        assert_near(model.synthesis(latents_hat, setting, (height, 70)), x_hat, 1e-5)
        monkeypatch.setattr(hyperprior, "HALO", 0)
        assert (model.synthesis(latents_hat, setting, (height, 70)) - x_hat).abs().max() > 1e-4
