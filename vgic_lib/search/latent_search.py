# SPDX-License-Identifier: MIT
"""Latent search: with the decoder frozen, gradient descent on the latents of one picture.

The idea of the 2020 project, made a codec's: the search knows that latents will be rounded and what
they will cost, and keeps the best *rounded* latents it has seen. One loop for every model that has the
functions of `LatentModel`, whatever its latents; relaxations of rounding are in `relaxations`.

Gradients come from a fast forward pass (bfloat16 where the processor has it), candidates from an exact one.
A search keeps all activations of the synthesis for one step: tens of times the memory of the picture.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from vgic_lib.environment import has_bfloat16, plain_arithmetic
from vgic_lib.errors import ParameterError
from vgic_lib.models.base import LatentModel, Latents, Setting
from vgic_lib.models.tunes import DEFAULT_TUNE, check_tune
from vgic_lib.search.objectives import (
    DOUBLING_GAIN_DB,
    TUNES,
    Objective,
    equal_trade_off,
    objective_bpp,
    objective_db,
)
from vgic_lib.search.relaxations import RELAXATIONS

NOISE = 0.2  # width of the random start, as a fraction of the latent's range: wider ones get stuck


@dataclass(frozen=True)
class SearchConfig:
    """One latent search."""

    steps: int = 100
    relaxation: str | None = None  # a key of RELAXATIONS; None: the model's own
    start: str = "encoder"  # or "noise", as in 2020
    learning_rate: float | None = None  # Adam, falling like a cosine, in units of the model's latent_range
    doubling_gain_db: float | None = None  # PSNR that twice the bits must buy; None: the model's own trade
    check_every: int = 10  # steps between checks of the rounded latents
    polish: float = 0.3  # last fraction of the steps, straight-through whatever the relaxation
    seed: int = 0
    tune: str | None = None  # what the picture is to be near in; a key of TUNES; None: the model's own

    def __post_init__(self) -> None:
        """Refuse values that cannot work. Raises ParameterError."""
        if self.relaxation not in (None, *RELAXATIONS):
            raise ParameterError(
                f"unknown relaxation {self.relaxation!r}; choose from {', '.join(RELAXATIONS)}"
            )
        if self.start not in ("encoder", "noise"):
            raise ParameterError(f"unknown start {self.start!r}; choose encoder or noise")
        if self.steps < 0 or self.check_every < 1:
            raise ParameterError("a search needs steps of at least 0 and check_every of at least 1")
        if self.tune is not None:
            check_tune(self.tune, TUNES)


class TracePoint(NamedTuple):
    """Best latents so far."""

    step: int
    time_s: float
    psnr_db: float  # of 8-bit pixels
    bits: float  # ideal code length
    objective: float  # lower is better


class SearchResult(NamedTuple):
    """Best latents found (rounded, unless the search was continuous) and how they came about."""

    latents: Latents
    x_hat: Tensor  # (1, 3, H, W) in [0, 1]
    psnr_db: float
    bits: float
    trace: list[TracePoint]


class _Candidate(NamedTuple):
    latents: Latents
    x_hat: Tensor  # of 8-bit pixels
    bits: float
    objective: float


@plain_arithmetic(gradients=True)
def search(
    model: LatentModel,
    x: Tensor,
    setting: Setting,
    config: SearchConfig,
    report: Callable[[TracePoint], object] | None = None,
    show: Callable[[Tensor], object] | None = None,
) -> SearchResult:
    """Find latents that describe a picture better than the encoder's.

    Args:
        model: frozen.
        x: (1, 3, H, W) in [0, 1].
        setting: operating point of the model.
        config: of the search.
        report: called with each trace point; raising StopIteration ends the search with what it has.
        show: called with x_hat (1, 3, H, W) in [0, 1] whenever better latents are found.

    Returns:
        The best rounded latents seen; by the objective they are never worse than the start's.
    """
    config = _completed(config, model)
    random = torch.Generator(x.device).manual_seed(config.seed)
    free = config.relaxation == "continuous"
    objective = _objective(model, x, setting, config)
    latents = _start(model, x, setting, config, random)
    optimizer = torch.optim.Adam(latents)
    begun, best, trace = time.monotonic(), None, []
    for step in range(config.steps + 1):
        progress = step / max(1, config.steps)
        last = step == config.steps
        if step % config.check_every == 0 or last:
            candidate = _candidate(model, x, setting, latents, free, objective)
            if best is None or candidate.objective < best.objective:
                best = candidate
                if show is not None:
                    show(best.x_hat)
        if not last:
            polish = progress >= 1 - config.polish and not free
            relaxation = RELAXATIONS["straight-through" if polish else config.relaxation]
            rounding = partial(relaxation, progress=progress, random=random)
            optimizer.param_groups[0]["lr"] = _rate(model, setting, config, progress)
            optimizer.zero_grad()
            _relaxed_objective(model, x, setting, latents, rounding, objective).backward()
            optimizer.step()
        mse = (best.x_hat - x).square().mean().item()
        psnr_db = -10 * math.log10(mse + 1e-10)
        trace.append(TracePoint(step, time.monotonic() - begun, psnr_db, best.bits, best.objective))
        if report is not None:
            try:
                report(trace[-1])
            except StopIteration:
                break
    return SearchResult(best.latents, best.x_hat, trace[-1].psnr_db, trace[-1].bits, trace)


def _completed(config: SearchConfig, model: LatentModel) -> SearchConfig:
    """What the user leaves open is the model's to say."""
    relaxation = config.relaxation or model.search_relaxation
    usual_rate = model.search_rates.get(relaxation, model.search_rate)
    return replace(
        config,
        tune=config.tune or model.tune,
        relaxation=relaxation,
        learning_rate=usual_rate if config.learning_rate is None else config.learning_rate,
    )


def _objective(model: LatentModel, x: Tensor, setting: Setting, config: SearchConfig) -> Objective:
    trade_off, gain_db = model.trade_off(setting), config.doubling_gain_db
    if gain_db is None and trade_off is not None:
        return objective_bpp(x, trade_off, TUNES[config.tune])
    gain_db = DOUBLING_GAIN_DB if gain_db is None else gain_db
    if config.tune == DEFAULT_TUNE:
        return objective_db(x, gain_db)
    return objective_bpp(x, _trade_off_at_start(model, x, setting, gain_db), TUNES[config.tune])


@torch.no_grad()
def _trade_off_at_start(model: LatentModel, x: Tensor, setting: Setting, doubling_gain_db: float) -> float:
    """The trade-off that means the same at the encoder's latents: decibels suit squared error alone."""
    latents, bits = model.quantise(model.analysis(x, setting), setting)
    x_hat = model.synthesis(latents, setting, tuple(x.shape[2:])).clamp(0, 1)
    mse, bpp = (x_hat - x).square().mean().item(), bits.sum().item() / x[:, 0].numel()
    return equal_trade_off(mse, bpp, doubling_gain_db)


def _start(
    model: LatentModel, x: Tensor, setting: Setting, config: SearchConfig, random: torch.Generator
) -> Latents:
    if config.start == "encoder":
        with torch.no_grad():
            latents = model.analysis(x, setting)
    elif not model.starts_from_noise:
        raise ParameterError("this model needs its encoder; start the latent search from it, not from noise")
    else:
        shapes = model.latent_shapes(setting, tuple(x.shape[2:]))
        noises = [torch.rand(shape, generator=random, device=x.device) - 0.5 for shape in shapes]
        latents = tuple((0.5 + NOISE * noise) * model.latent_range(setting) for noise in noises)
    return tuple(k.detach().clone().requires_grad_() for k in latents)


def _rate(model: LatentModel, setting: Setting, config: SearchConfig, progress: float) -> float:
    """Learning rate in quantiser steps."""
    return config.learning_rate * model.latent_range(setting) * 0.5 * (1 + math.cos(math.pi * progress))


@torch.no_grad()
def _candidate(
    model: LatentModel,
    x: Tensor,
    setting: Setting,
    latents: Latents,
    free: bool,
    objective: Objective,
) -> _Candidate:
    """What the latents are worth once rounded (unless they are `free`), measured exactly."""
    latents_hat, bits = model.quantise(latents, setting, Tensor.clone if free else torch.round)
    x_hat = model.synthesis(latents_hat, setting, tuple(x.shape[2:])).clamp(0, 1)
    x_hat = torch.round(x_hat * 255) / 255
    return _Candidate(latents_hat, x_hat, bits.sum().item(), objective(x_hat, bits).item())


def _relaxed_objective(
    model: LatentModel,
    x: Tensor,
    setting: Setting,
    latents: Latents,
    rounding: Callable[[Tensor], Tensor],
    objective: Objective,
) -> Tensor:
    """What the search descends: differentiable, and only as precise as a gradient needs to be."""
    with torch.autocast(x.device.type, torch.bfloat16, enabled=has_bfloat16(x.device)):
        latents_hat, bits = model.quantise(latents, setting, rounding)
        x_hat = model.synthesis(latents_hat, setting, tuple(x.shape[2:]))
    return objective(x_hat.float().clamp(0, 1), bits)
