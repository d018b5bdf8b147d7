# SPDX-License-Identifier: MIT
"""Latent search: with the decoder frozen, gradient descent on the latent of one picture.

The idea of the 2020 project, made a codec's: the search knows that latents will be rounded and what
they will cost, and keeps the best *rounded* latent it has seen. One loop; a relaxation of rounding is
a small function in RELAXATIONS.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from vgic_lib.errors import ParameterError
from vgic_lib.latent_model import Quantised, Setting

NOISE = 0.2  # width of the random start, as a fraction of the latent's range: wider ones get stuck

Relaxation = Callable[[Tensor, float, torch.Generator], Tensor]


def continuous(k: Tensor, progress: float, random: torch.Generator) -> Tensor:
    """No rounding at all: the search of 2020."""
    return k


def straight_through(k: Tensor, progress: float, random: torch.Generator) -> Tensor:
    """Round, and let the gradient pass (Bengio et al. 2013)."""
    return k + (k.round() - k).detach()


def additive_noise(k: Tensor, progress: float, random: torch.Generator) -> Tensor:
    """Uniform noise of one quantiser step (Balle et al. 2017, section 3)."""
    return k + torch.rand(k.shape, generator=random) - 0.5


def soft_rounding(k: Tensor, progress: float, random: torch.Generator) -> Tensor:
    """Smooth steps that sharpen as the search goes on (Agustsson and Theis 2020, section 4.1)."""
    sharpness = 2.0 + 10.0 * progress
    below = k.detach().floor()
    r = k - below - 0.5
    return below + 0.5 + torch.tanh(sharpness * r) / (2 * math.tanh(sharpness / 2))


def stochastic_gumbel(k: Tensor, progress: float, random: torch.Generator) -> Tensor:
    """Up or down at random, ever surer (Yang, Bamler, Mandt 2020, section 3.2)."""
    temperature = 0.5 * math.exp(-5.0 * progress)
    below = k.detach().floor()
    r = (k - below).clamp(1e-4, 1 - 1e-4)
    logits = torch.stack([-torch.atanh(r), -torch.atanh(1 - r)]) / temperature  # down, up
    gumbel = -torch.log(-torch.log(torch.rand(logits.shape, generator=random).clamp(1e-9, 1 - 1e-7)))
    return below + torch.softmax((logits + gumbel) / temperature, 0)[1]


RELAXATIONS: dict[str, Relaxation] = {
    "continuous": continuous,
    "straight-through": straight_through,
    "noise": additive_noise,
    "soft-rounding": soft_rounding,
    "gumbel": stochastic_gumbel,
}


class LatentModel(Protocol):
    """What the search needs of a model; `vgic_lib.latent_model.VaeGan` is one."""

    def analysis(self, x: Tensor, setting: Setting) -> tuple[Tensor, ...]: ...  # noqa: D102
    def quantise(self, latents: tuple[Tensor, ...], setting: Setting, rounding: Callable) -> Quantised: ...  # noqa: D102
    def synthesis(self, latents: tuple[Tensor, ...], setting: Setting, size: tuple[int, int]) -> Tensor: ...  # noqa: D102
    def latent_range(self, setting: Setting) -> float: ...  # noqa: D102
    def latent_shape(self, setting: Setting, size: tuple[int, int]) -> tuple[int, ...]: ...  # noqa: D102


@dataclass(frozen=True)
class SearchConfig:
    """One latent search."""

    steps: int = 100
    relaxation: str = "straight-through"  # a key of RELAXATIONS
    start: str = "encoder"  # or "noise", as in 2020
    learning_rate: float = 0.015  # Adam, falling like a cosine; fraction of the latent's range
    doubling_gain_db: float = 3.0  # PSNR that twice the bits must buy; 0: distortion alone, as in 2020
    check_every: int = 5  # steps between checks of the rounded latent, where the relaxation does not round
    polish: float = 0.2  # last fraction of the steps, straight-through whatever the relaxation
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values that cannot work. Raises ParameterError."""
        if self.relaxation not in RELAXATIONS:
            raise ParameterError(
                f"unknown relaxation {self.relaxation!r}; choose from {', '.join(RELAXATIONS)}"
            )
        if self.start not in ("encoder", "noise"):
            raise ParameterError(f"unknown start {self.start!r}; choose encoder or noise")
        if self.steps < 0 or self.check_every < 1:
            raise ParameterError("a search needs steps of at least 0 and check_every of at least 1")


class TracePoint(NamedTuple):
    """Best latent so far."""

    step: int
    time_s: float
    psnr_db: float  # of 8-bit pixels
    bits: float  # ideal code length
    objective: float  # dB, lower is better


class SearchResult(NamedTuple):
    """Best latents found (rounded, unless the search was continuous) and how they came about."""

    latents: tuple[Tensor, ...]
    x_hat: Tensor  # (1, 3, H, W) in [0, 1]
    psnr_db: float
    bits: float
    trace: list[TracePoint]


class _Candidate(NamedTuple):
    latents: tuple[Tensor, ...]
    x_hat: Tensor
    bits: Tensor


def objective_db(x_hat: Tensor, x: Tensor, bits: Tensor, doubling_gain_db: float) -> Tensor:
    """Minus PSNR, plus `doubling_gain_db` for each doubling of the bits; lower is better.

    Logarithms on both sides make it the same trade at every rate: a codec gains about 3 dB for twice
    the bits, whatever it spends.
    """
    distortion = 10 * torch.log10((x_hat - x).square().mean() + 1e-10)
    return distortion + doubling_gain_db * torch.log2(bits.sum() + 1)


def search(
    model: LatentModel,
    x: Tensor,
    setting: Setting,
    config: SearchConfig,
    report: Callable[[TracePoint], object] | None = None,
) -> SearchResult:
    """Find latents that describe a picture better than the encoder's.

    Args:
        model: frozen.
        x: (1, 3, H, W) in [0, 1].
        setting: operating point of the model.
        config: of the search.
        report: called with each trace point; raising StopIteration ends the search with what it has.

    Returns:
        The best rounded latents seen; by the objective they are never worse than the start's.
    """
    size = tuple(x.shape[2:])
    random = torch.Generator().manual_seed(config.seed)
    final = continuous if config.relaxation == "continuous" else straight_through
    latents = _start(model, x, setting, config, random)
    rate = config.learning_rate * model.latent_range(setting)
    optimizer = torch.optim.Adam(latents)
    begun, best, trace = time.monotonic(), None, []

    def candidate(relaxation: Relaxation, progress: float) -> _Candidate:
        latents_hat, bits = model.quantise(latents, setting, lambda k: relaxation(k, progress, random))
        return _Candidate(latents_hat, model.synthesis(latents_hat, setting, size), bits)

    for step in range(config.steps + 1):
        progress = step / max(1, config.steps)
        relaxation = RELAXATIONS[config.relaxation] if progress < 1 - config.polish else final
        last = step == config.steps
        if relaxation is not final and (step % config.check_every == 0 or last):
            with torch.no_grad():
                best = _better(best, candidate(final, progress), x, config)
        with torch.set_grad_enabled(not last):
            relaxed = candidate(relaxation, progress)
        if relaxation is final:
            best = _better(best, relaxed, x, config)
        if not last:
            optimizer.param_groups[0]["lr"] = rate * 0.5 * (1 + math.cos(math.pi * progress))
            optimizer.zero_grad()
            objective_db(relaxed.x_hat, x, relaxed.bits, config.doubling_gain_db).backward()
            optimizer.step()
        trace.append(_trace_point(step, time.monotonic() - begun, best, x, config))
        if report is not None:
            try:
                report(trace[-1])
            except StopIteration:
                break
    return SearchResult(best.latents, best.x_hat, trace[-1].psnr_db, trace[-1].bits, trace)


def _start(
    model: LatentModel, x: Tensor, setting: Setting, config: SearchConfig, random: torch.Generator
) -> tuple[Tensor, ...]:
    if config.start == "encoder":
        with torch.no_grad():
            latents = model.analysis(x, setting)
    else:
        shape = model.latent_shape(setting, tuple(x.shape[2:]))
        latents = ((0.5 + NOISE * (torch.rand(shape, generator=random) - 0.5)) * model.latent_range(setting),)
    return tuple(k.detach().clone().requires_grad_() for k in latents)


def _better(best: _Candidate | None, new: _Candidate, x: Tensor, config: SearchConfig) -> _Candidate:
    new = _Candidate(
        tuple(k.detach() for k in new.latents), _to_8_bits(new.x_hat.detach()), new.bits.detach()
    )
    if best is None or _objective(new, x, config) < _objective(best, x, config):
        return new
    return best


def _objective(candidate: _Candidate, x: Tensor, config: SearchConfig) -> float:
    return objective_db(candidate.x_hat, x, candidate.bits, config.doubling_gain_db).item()


def _to_8_bits(x: Tensor) -> Tensor:
    return torch.round(x * 255) / 255


def _trace_point(step: int, time_s: float, best: _Candidate, x: Tensor, config: SearchConfig) -> TracePoint:
    mse = (best.x_hat - x).square().mean().item()
    return TracePoint(
        step, time_s, -10 * math.log10(mse + 1e-10), best.bits.sum().item(), _objective(best, x, config)
    )
