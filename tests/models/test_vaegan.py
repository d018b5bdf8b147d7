# SPDX-License-Identifier: MIT
"""The VAE-GAN as a codec sees it: any size, tiles, operating points, coding."""

import pytest
import torch
from helpers.samples import assert_near, linear_model, smooth_crops

from vgic_lib.errors import BitstreamError, ParameterError
from vgic_lib.models import vaegan
from vgic_lib.models.vaegan import BitSetting, VaeGan

SIZES = [(1, 1), (1, 40), (3, 5), (13, 14), (14, 14), (15, 17), (33, 18)]


@pytest.fixture(scope="module")
def model():
    return linear_model((2, 8))


@pytest.fixture(scope="module")
def random_model():
    """Random weights in double precision: a tile that misses a neighbour shows."""
    torch.manual_seed(0)
    return VaeGan((4,)).double().requires_grad_(False)


def picture(height, width):
    return (smooth_crops(1, height, width) + 1) / 2


@torch.no_grad()
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_pictures_of_any_size_travel(model, size):
    x, setting = picture(*size), BitSetting(2, 6)
    latents = model.analysis(x, setting)
    assert latents[0].shape == model.latent_shapes(setting, size)[0]
    assert 0 <= latents[0].min() <= latents[0].max() <= 63
    quantised = model.quantise(latents, setting)
    assert quantised.bits.shape == (1,)
    sections = model.encode(quantised.latents, setting)
    decoded = model.decode(sections, setting, size)
    assert torch.equal(decoded[0], quantised.latents[0])
    x_hat = model.synthesis(decoded, setting, size)
    assert x_hat.shape == x.shape
    assert 0 <= x_hat.min() <= x_hat.max() <= 1
    assert torch.equal(x_hat, model.synthesis(quantised.latents, setting, size))


@torch.no_grad()
def test_padding_repeats_the_edge(model):
    """A picture of no matching size is coded as the one that repeats its last row and column."""
    x, setting = picture(16, 19), BitSetting(8, 8)
    padded = torch.cat([x, x[:, :, -1:].expand(-1, -1, 2, -1)], 2)
    padded = torch.cat([padded, padded[..., -1:].expand(-1, -1, -1, 3)], 3)
    assert torch.equal(model.analysis(x, setting)[0], model.analysis(padded, setting)[0])


@torch.no_grad()
def test_reconstructions_get_better_with_channels_and_bits(model):
    x = picture(34, 34)

    def error(setting):
        latents = model.quantise(model.analysis(x, setting), setting).latents
        x_hat = model.synthesis(latents, setting, (34, 34))
        return (x_hat - x)[:, :, 5:-5, 5:-5].square().mean()  # the linear start is poor at the border

    assert error(BitSetting(8, 8)) < error(BitSetting(8, 4)) < error(BitSetting(2, 8)) < x.var()


@torch.no_grad()
@pytest.mark.parametrize(("tile", "size"), [(4, (14, 138)), (4, (138, 14)), (6, (42, 38))], ids=str)
def test_tiles_join_without_a_seam(random_model, monkeypatch, tile, size):
    x, setting = picture(*size).double(), BitSetting(4, 8)
    latents = random_model.analysis(x, setting)
    x_hat = random_model.synthesis(latents, setting, size)
    monkeypatch.setattr(vaegan, "TILE", tile)
    assert_near(random_model.analysis(x, setting)[0], latents[0], atol=1e-9)
    tiled = random_model.synthesis(latents, setting, size)
    assert_near(tiled, x_hat, atol=1e-9)
    assert torch.equal(tiled, random_model.synthesis(latents, setting, size))


@torch.no_grad()
def test_the_halo_is_what_hides_the_seams(random_model, monkeypatch):
    x, setting = picture(14, 154).double(), BitSetting(4, 8)
    latents = random_model.analysis(x, setting)
    x_hat = random_model.synthesis(latents, setting, (14, 154))
    for name, value in (("TILE", 4), ("ENCODER_HALO", 2), ("GENERATOR_HALO", 2)):
        monkeypatch.setattr(vaegan, name, value)
    assert (random_model.analysis(x, setting)[0] - latents[0]).abs().max() > 1e-6
    assert (random_model.synthesis(latents, setting, (14, 154)) - x_hat).abs().max() > 1e-6


def test_gradients_pass_through_tiles(random_model, monkeypatch):
    setting, gradients = BitSetting(4, 8), []
    for tile in (vaegan.TILE, 4):
        monkeypatch.setattr(vaegan, "TILE", tile)
        k = torch.full((1, 4, 3, 26), 100.0, dtype=torch.double, requires_grad=True)
        random_model.synthesis((k,), setting, (14, 106)).square().sum().backward()
        gradients.append(k.grad)
    assert gradients[0].abs().max() > 0
    assert_near(*gradients, atol=1e-9)


@torch.no_grad()
def test_a_narrow_setting_is_the_wide_one_with_silent_channels(model):
    x, narrow, wide = picture(18, 14), BitSetting(2, 8), BitSetting(8, 8)
    latents = model.analysis(x, narrow)[0]
    assert torch.equal(latents, model.analysis(x, wide)[0][:, :2])
    silent = torch.cat([latents, torch.full((1, 6, 4, 3), 127.5)], 1)
    x_hat = model.synthesis((latents,), narrow, (18, 14))
    assert_near(x_hat, model.synthesis((silent,), wide, (18, 14)), atol=1e-6)


def test_relaxed_rounding_keeps_the_range(model):
    k = torch.tensor([-3.0, 0.4, 15.9]).expand(1, 2, 3, 3)
    relaxed = model.quantise((k,), BitSetting(2, 4), rounding=lambda values: values).latents[0]
    assert torch.equal(relaxed[0, 0, 0], torch.tensor([0.0, 0.4, 15.0]))
    assert torch.equal(
        model.quantise((k,), BitSetting(2, 4)).latents[0][0, 0, 0], torch.tensor([0.0, 0.0, 15.0])
    )


def test_quality_is_a_ladder_of_bit_depths():
    model = VaeGan((2, 8), bit_depths=(8, 4, 6))
    model.num_channels = 2
    ladder = [model.setting(quality) for quality in range(1, 101)]
    assert [setting.bits for setting in ladder] == [4] * 33 + [6] * 33 + [8] * 34
    assert {setting.num_channels for setting in ladder} == {2}
    assert set(ladder) <= set(model.settings)


@pytest.mark.parametrize("quality", [0, 0.99, 100.5, -1, float("nan"), float("inf")])
def test_other_qualities_are_refused(model, quality):
    with pytest.raises(ParameterError, match="1..100"):
        model.setting(quality)


def test_settings_have_numbers(model):
    assert model.settings == tuple(BitSetting(n, bits) for n in (2, 8) for bits in (4, 6, 8))
    codes = [model.code(setting) for setting in model.settings]
    assert len(set(codes)) == 6
    assert 0 <= min(codes) <= max(codes) <= 65535
    assert [model.from_code(code) for code in codes] == list(model.settings)
    for code in set(range(300)) - set(codes) | {65535}:
        with pytest.raises(BitstreamError):
            model.from_code(code)


@pytest.mark.parametrize("sections", [[], [b"", b""]], ids=["none", "two"])
def test_another_number_of_sections_is_refused(model, sections):
    with pytest.raises(BitstreamError, match="sections"):
        model.decode(sections, BitSetting(2, 8), (14, 14))


def test_a_generator_alone_cannot_analyse():
    model = VaeGan((2,))
    model.encoder = None
    with pytest.raises(ParameterError, match="no encoder"):
        model.analysis(torch.zeros(1, 3, 14, 14), BitSetting(2, 8))
