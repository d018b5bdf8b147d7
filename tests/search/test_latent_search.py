# SPDX-License-Identifier: MIT
"""Latent search: every method runs, nothing gets worse, and relaxations do what their papers say."""

import math

import pytest
import torch
from helpers.samples import assert_near, fitted_model, smooth_crops, smooth_symbols
from helpers.tiny_hyperprior import tiny_model

from vgic_lib.errors import ParameterError
from vgic_lib.models.vaegan import BitSetting
from vgic_lib.search.latent_search import RELAXATIONS, SearchConfig, search
from vgic_lib.search.objectives import TUNES

SETTING = BitSetting(2, 4)


@pytest.fixture(scope="module")
def model():
    return fitted_model()


@pytest.fixture(scope="module")
def x():
    return (smooth_crops(1, 15, 18, seed=7) + 1) / 2


def measured(model, x, latents, setting=SETTING):
    """(PSNR in dB of 8-bit pixels, bits) of latents."""
    quantised = model.quantise(latents, setting, rounding=lambda k: k)
    x_hat = model.synthesis(quantised.latents, setting, tuple(x.shape[2:]))
    mse = ((x_hat * 255).round() / 255 - x).square().mean()
    return -10 * mse.log10().item(), quantised.bits.item()


@pytest.mark.parametrize("start", ["encoder", "noise"])
@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_every_method_improves_on_its_start(model, x, relaxation, start):
    config = SearchConfig(steps=8, relaxation=relaxation, start=start, check_every=2)
    result = search(model, x, SETTING, config)
    assert [point.step for point in result.trace] == list(range(9))
    objectives = [point.objective for point in result.trace]
    assert objectives == sorted(objectives, reverse=True)
    assert objectives[-1] < objectives[0]
    (k,) = result.latents
    assert k.shape == model.latent_shapes(SETTING, (15, 18))[0]
    assert not k.requires_grad
    assert 0 <= k.min() <= k.max() <= SETTING.largest
    assert torch.equal(k, k.round()) == (relaxation != "continuous")


@pytest.mark.parametrize("relaxation", ["straight-through", "gumbel"])
def test_the_result_is_what_it_says(model, x, relaxation):
    """PSNR and bits are those of the latents that come back, and of the file made from them."""
    result = search(model, x, SETTING, SearchConfig(steps=4, relaxation=relaxation))
    psnr_db, bits = measured(model, x, result.latents)
    assert result.psnr_db == pytest.approx(psnr_db, abs=1e-3)
    assert result.bits == pytest.approx(bits, rel=1e-5)
    assert (result.psnr_db, result.bits) == (result.trace[-1].psnr_db, result.trace[-1].bits)
    assert_near(result.x_hat * 255, (result.x_hat * 255).round(), atol=1e-3)
    sections = model.encode(result.latents, SETTING)
    assert 8 * len(sections[0]) == pytest.approx(bits, abs=32)
    assert torch.equal(model.decode(sections, SETTING, (15, 18))[0], result.latents[0])


@pytest.mark.parametrize("relaxation", RELAXATIONS)
@pytest.mark.parametrize("rate", [0.0, 100.0], ids=["careful", "wild"])
def test_the_result_is_never_worse_than_the_start(model, x, relaxation, rate):
    """Even with a learning rate that throws the latents about."""
    config = SearchConfig(steps=5, relaxation=relaxation, learning_rate=rate)
    start = search(model, x, SETTING, SearchConfig(steps=0, relaxation=relaxation))
    assert search(model, x, SETTING, config).trace[-1].objective <= start.trace[-1].objective


def test_no_steps_return_the_rounded_start(model, x):
    result = search(model, x, SETTING, SearchConfig(steps=0))
    expected = model.quantise(model.analysis(x, SETTING), SETTING)
    assert torch.equal(result.latents[0], expected.latents[0])
    assert result.bits == pytest.approx(expected.bits.item())
    assert len(result.trace) == 1


@pytest.mark.parametrize("start", ["encoder", "noise"])
def test_a_search_for_distortion_alone_raises_psnr(model, start):
    """The picture is one that the generator can make, so there is a latent to be found."""
    setting, size = BitSetting(4, 8), (18, 18)
    x = model.synthesis((smooth_symbols(4, 4, 4, 8, seed=3),), setting, size)
    result = search(model, x, setting, SearchConfig(steps=20, start=start, doubling_gain_db=0))
    assert result.psnr_db > result.trace[0].psnr_db + 3


def test_a_dearer_rate_spends_fewer_bits(model, x):
    cheap, dear = (
        search(model, x, SETTING, SearchConfig(steps=20, doubling_gain_db=gain)) for gain in (0.0, 30.0)
    )
    assert dear.bits < cheap.bits
    assert dear.psnr_db < cheap.psnr_db


def test_a_search_without_rounding_reaches_finer_latents(model, x):
    """The search of 2020 does not pay for the quantiser, so it ends nearer to the picture."""
    free, rounded = (
        search(model, x, SETTING, SearchConfig(steps=20, relaxation=name, doubling_gain_db=0))
        for name in ("continuous", "straight-through")
    )
    assert free.psnr_db > rounded.psnr_db


@pytest.mark.parametrize("relaxation", ["noise", "gumbel"])
def test_a_seed_makes_a_search_repeatable(model, x, relaxation):
    """Of the whole trajectory, not of the best latent alone: the relaxed latents are compared."""

    def trajectory(seed):
        seen = []
        quantise = model.quantise

        class Recorder:
            analysis, synthesis = model.analysis, model.synthesis
            latent_range, latent_shapes = model.latent_range, model.latent_shapes
            search_relaxation, search_rate = model.search_relaxation, model.search_rate
            search_rates = model.search_rates
            tune = model.tune
            starts_from_noise, trade_off = True, model.trade_off

            def quantise(self, latents, setting, rounding):
                seen.append(latents[0].detach().clone())
                return quantise(latents, setting, rounding)

        search(Recorder(), x, SETTING, SearchConfig(4, relaxation, "noise", seed=seed))
        return torch.stack(seen)

    assert torch.equal(trajectory(1), trajectory(1))
    assert not torch.equal(trajectory(1), trajectory(2))


def test_the_report_sees_each_step_and_may_stop_the_search(model, x):
    seen = []

    def report(point):
        seen.append(point)
        if point.step == 3:
            raise StopIteration

    result = search(model, x, SETTING, SearchConfig(steps=10), report)
    assert [point.step for point in seen] == [0, 1, 2, 3]
    assert result.trace == seen
    assert result.psnr_db == seen[-1].psnr_db


def test_the_weights_are_left_alone(model, x):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    search(model, x, SETTING, SearchConfig(steps=2))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    "values",
    [{"relaxation": "none"}, {"start": "zero"}, {"steps": -1}, {"check_every": 0}],
    ids=str,
)
def test_what_cannot_work_is_refused(values):
    with pytest.raises(ParameterError) as caught:
        SearchConfig(**values)
    assert "\n" not in str(caught.value)


def test_an_unknown_relaxation_is_answered_with_the_known_ones():
    with pytest.raises(ParameterError, match="'none'.*straight-through.*gumbel"):
        SearchConfig(relaxation="none")


@pytest.fixture(scope="module")
def hyperprior():
    return tiny_model()


@pytest.fixture(scope="module")
def wide():
    """A picture of 40 x 70 pixels, no multiples of the block."""
    return (smooth_crops(1, 40, 70, seed=3) + 1) / 2


@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_every_method_serves_a_model_of_two_latents(hyperprior, wide, relaxation):
    setting = hyperprior.setting(60)
    result = search(hyperprior, wide, setting, SearchConfig(12, relaxation, check_every=3, polish=0.5))
    objectives = [point.objective for point in result.trace]
    assert objectives == sorted(objectives, reverse=True)
    assert objectives[-1] < objectives[0]
    shapes = hyperprior.latent_shapes(hyperprior.setting(50), (40, 70))
    assert tuple(tuple(k.shape) for k in result.latents) == shapes
    assert not any(k.requires_grad for k in result.latents)


def test_the_objective_of_the_hyperprior_is_that_of_its_training(hyperprior, wide):
    setting = hyperprior.setting(40)
    result = search(hyperprior, wide, setting, SearchConfig(6))
    mse = (result.x_hat - wide).square().mean().item()
    expected = hyperprior.trade_off(setting) * 255**2 * mse + result.bits / (40 * 70)
    assert result.trace[-1].objective == pytest.approx(expected, rel=1e-5)
    assert result.psnr_db == pytest.approx(-10 * math.log10(mse), abs=1e-3)


def test_a_file_has_the_size_and_the_picture_that_the_search_promised(hyperprior, wide):
    setting = hyperprior.setting(70)
    result = search(hyperprior, wide, setting, SearchConfig(10))
    sections = hyperprior.encode(result.latents, setting)
    assert 8 * sum(map(len, sections)) == pytest.approx(result.bits, rel=0.02, abs=40)
    decoded = hyperprior.decode(sections, setting, (40, 70))
    x_hat = hyperprior.synthesis(decoded, setting, (40, 70))
    assert -10 * (x_hat - wide).square().mean().log10().item() == pytest.approx(result.psnr_db, abs=0.05)


def test_both_latents_move(hyperprior, wide):
    setting = hyperprior.setting(60)
    moved = []

    class Recorder:
        analysis, synthesis, trade_off = hyperprior.analysis, hyperprior.synthesis, hyperprior.trade_off
        latent_range = hyperprior.latent_range
        search_relaxation, search_rate = hyperprior.search_relaxation, hyperprior.search_rate
        search_rates = hyperprior.search_rates
        tune = hyperprior.tune

        def quantise(self, latents, setting, rounding):
            moved.append([k.detach().clone() for k in latents])
            return hyperprior.quantise(latents, setting, rounding)

    search(Recorder(), wide, setting, SearchConfig(3))
    assert all((first != last).float().mean() > 0.5 for first, last in zip(moved[0], moved[-1], strict=True))


def test_a_search_asks_the_model_for_what_is_not_set(hyperprior, wide):
    setting, own = hyperprior.setting(60), (hyperprior.search_relaxation, hyperprior.search_rate)
    unset = search(hyperprior, wide, setting, SearchConfig(4, check_every=1))
    same = search(hyperprior, wide, setting, SearchConfig(4, own[0], learning_rate=own[1], check_every=1))
    other = search(hyperprior, wide, setting, SearchConfig(4, own[0], learning_rate=0.3, check_every=1))
    objectives = [[point.objective for point in result.trace] for result in (unset, same, other)]
    assert objectives[0] == objectives[1] != objectives[2]


def test_a_user_may_set_the_trade_of_the_hyperprior(hyperprior, wide):
    setting = hyperprior.setting(60)
    cheap, dear = (
        search(hyperprior, wide, setting, SearchConfig(10, doubling_gain_db=gain)) for gain in (0.0, 40.0)
    )
    assert dear.bits < cheap.bits


def test_a_model_that_needs_its_encoder_does_not_start_from_noise(hyperprior, wide):
    with pytest.raises(ParameterError, match="encoder"):
        search(hyperprior, wide, hyperprior.setting(50), SearchConfig(2, start="noise"))


@pytest.mark.parametrize("rate", [None, 100.0], ids=["usual", "wild"])
@pytest.mark.parametrize("kind", ["hyperprior", "without a trade of its own"])
def test_a_search_for_the_eye_improves_on_its_start(hyperprior, wide, model, x, kind, rate):
    own = (hyperprior, wide, hyperprior.setting(50)) if kind == "hyperprior" else (model, x, SETTING)
    result = search(*own, SearchConfig(12, learning_rate=rate, check_every=3, tune="eye"))
    objectives = [point.objective for point in result.trace]
    assert objectives == sorted(objectives, reverse=True)
    assert rate or objectives[-1] < objectives[0]


def test_tunes_find_different_latents_and_judge_them_by_themselves(hyperprior, wide):
    setting = hyperprior.setting(50)
    found = {tune: search(hyperprior, wide, setting, SearchConfig(20, tune=tune)) for tune in ("psnr", "eye")}
    assert any(not torch.equal(*pair) for pair in zip(*(one.latents for one in found.values()), strict=True))


def test_a_search_for_distortion_alone_is_for_squared_error_alone(model, x):
    with pytest.raises(ParameterError, match="tune psnr"):
        search(model, x, SETTING, SearchConfig(2, doubling_gain_db=0, tune="eye"))
    with pytest.raises(ParameterError, match="choose from psnr, eye"):
        SearchConfig(tune="ear")


def test_other_relaxations_have_rates_of_their_own(hyperprior, wide):
    setting, rate = hyperprior.setting(50), hyperprior.search_rates["noise"]
    unset, same, other = (
        search(hyperprior, wide, setting, SearchConfig(4, "noise", learning_rate=own, check_every=1))
        for own in (None, rate, hyperprior.search_rate)
    )
    assert unset.trace[-1].objective == same.trace[-1].objective != other.trace[-1].objective


def test_a_search_is_for_what_its_model_is_for_unless_it_is_told(hyperprior, monkeypatch):
    x, setting = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(2)), hyperprior.setting(60)

    def latents(tune):
        return search(hyperprior, x, setting, SearchConfig(4, check_every=1, tune=tune)).latents[0]

    by_tune = {tune: latents(tune) for tune in TUNES}
    assert torch.equal(latents(None), by_tune["psnr"])
    monkeypatch.setattr(hyperprior, "tune", "eye")
    assert torch.equal(latents(None), by_tune["eye"])
    assert not torch.equal(by_tune["psnr"], by_tune["eye"])
