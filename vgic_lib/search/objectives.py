# SPDX-License-Identifier: MIT
"""What a search minimises: distortion and rate in one number; TUNES are the choices that users have.

A tune is a mix of TERMS, each a distance that a law turns into bits per pixel by the trade-off of the
setting, lambda in lambda * 255**2 * MSE + bits per pixel. To add one is to name its shares in TUNES; those of
"eye" were chosen on validation photographs (benchmarks/search_objectives.py, docs/format.md).

Pictures larger than TILE are measured in tiles, and a tile's gradient is made as it is measured: beside the
prepared originals, never more than one tile's maps are in memory. A picture that is too small for a term is
measured by the others, which take over its share; squared error has no smallest size. Grayscale pictures
are measured as three equal channels.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from vgic_lib.errors import ParameterError
from vgic_lib.metrics import ms_ssim, ssimulacra2
from vgic_lib.metrics.tensors import luma
from vgic_lib.metrics.windows import RADIUS, window_means
from vgic_lib.models.tunes import DEFAULT_TUNE

DOUBLING_GAIN_DB = 3.0  # where neither the model nor the user sets the trade: what a codec gains
TILE = 1024  # pixels: longest side that is measured as one

Distance = Callable[[Tensor], Tensor]  # of x_hat (B, 3, H, W) in [0, 1] from its original, (B,); 0 is equal
TradeOff = (
    float | Tensor
)  # bits per pixel that one squared 8-bit step of mean error is worth; or (B,) of them
Objective = Callable[[Tensor, Tensor], Tensor]  # of x_hat (1, 3, H, W) in [0, 1] and bits (1,)
_Tile = tuple[slice, slice, slice, slice]


class Term(NamedTuple):
    """One way to see that a picture differs from its original."""

    prepare: Callable[[Tensor], Distance]  # of x (B, 3, H, W) in [0, 1]
    smallest_side: int  # pixels
    worth: Callable[[TradeOff], TradeOff]  # bits per pixel that one unit is worth at a trade-off


def _squared_error(x: Tensor) -> Distance:
    return lambda x_hat: (x_hat - x).square().mean((1, 2, 3))


def _ssimulacra2(x: Tensor) -> Distance:
    reference = ssimulacra2.Ssimulacra2Reference(x)
    return lambda x_hat: 100 - reference.score(x_hat)


def _ms_ssim(x: Tensor) -> Distance:
    scales = max(n for n in range(1, 6) if ms_ssim.smallest_side(n) <= max(11, min(x.shape[2:])))
    reference = ms_ssim.MsSsimReference(x, "ycbcr", scales=scales)
    return lambda x_hat: 1 - reference.score(x_hat)


def _texture(x: Tensor) -> Distance:
    """Squared difference of the standard deviations of luma in windows: what a smooth picture lacks."""
    levels = [level.detach() for level in _deviations(x)]

    def distance(x_hat: Tensor) -> Tensor:
        pairs = zip(levels, _deviations(x_hat), strict=True)
        return torch.stack([(level - own).square().mean((1, 2)) for level, own in pairs]).sum(0)

    return distance


def _deviations(x: Tensor, scales: int = 3, floor: float = 1 / 255) -> Iterator[Tensor]:
    level = luma(x)
    for scale in range(scales):
        if scale:
            level = F.avg_pool2d(level, 2)
        if min(level.shape[1:]) <= 2 * RADIUS:
            break
        yield ((window_means(level * level) - window_means(level).square()).relu() + floor**2).sqrt()


def _as_squared_error(trade_off: TradeOff) -> TradeOff:
    return 255**2 * trade_off


TERMS: dict[str, Term] = {
    "squared error": Term(_squared_error, 1, _as_squared_error),
    "ssimulacra2": Term(_ssimulacra2, ssimulacra2.SMALLEST_SIDE, lambda trade_off: 0.045 * trade_off**0.5),
    "ms-ssim": Term(_ms_ssim, ms_ssim.smallest_side(1), lambda trade_off: 1250 * trade_off),
    "texture": Term(_texture, 2 * RADIUS + 1, _as_squared_error),
}

TUNES: dict[str, Mapping[str, float]] = {  # shares of TERMS; `models.tunes` names the model for each tune
    DEFAULT_TUNE: {"squared error": 1.0},
    "eye": {"squared error": 0.12, "ssimulacra2": 0.5, "ms-ssim": 0.65, "texture": 0.3},
}


def objective_db(x: Tensor, doubling_gain_db: float) -> Objective:
    """Minus PSNR, plus `doubling_gain_db` for each doubling of the bits; lower is better.

    Logarithms on both sides make it the same trade at every rate: a codec gains about 3 dB for twice
    the bits, whatever it spends.

    Args:
        x: original (1, 3, H, W) in [0, 1].
        doubling_gain_db: PSNR that twice the bits must buy.
    """

    def objective(x_hat: Tensor, bits: Tensor) -> Tensor:
        distortion = 10 * torch.log10((x_hat - x).square().mean() + 1e-10)
        return distortion + doubling_gain_db * torch.log2(bits.sum() + 1)

    return objective


def objective_bpp(x: Tensor, trade_off: float, shares: Mapping[str, float]) -> Objective:
    """Bits per pixel, plus what the differences from the original are worth in them; lower is better.

    Args:
        x: original (1, 3, H, W) in [0, 1].
        trade_off: bits per pixel that one squared 8-bit step of mean error is worth.
        shares: of TERMS, by name.
    """
    pixels, tiles = x[:, 0].numel(), []
    for tile in _tiles(tuple(x.shape[2:])):
        part = x[tile]
        tiles.append((tile, part[:, 0].numel() / pixels, mixed(part, trade_off, shares)))

    def objective(x_hat: Tensor, bits: Tensor) -> Tensor:
        return _Tiled.apply(x_hat, tiles) + bits.sum() / pixels

    return objective


def equal_trade_off(mse: float, bpp: float, doubling_gain_db: float) -> float:
    """The trade-off that asks as much for a bit as `objective_db` does, at a distortion and a rate.

    Raises:
        ParameterError: `doubling_gain_db` gives bits no price, so there is none.
    """
    if doubling_gain_db <= 0:
        raise ParameterError("only tune psnr can search for distortion alone; give twice the bits a price")
    return 10 * math.log10(2) / doubling_gain_db * bpp / (255**2 * mse + 1e-3)


def mixed(x: Tensor, trade_off: TradeOff, shares: Mapping[str, float]) -> Distance:
    """What differences from originals are worth in bits per pixel, as a mix of terms.

    Args:
        x: originals (B, 3, H, W) in [0, 1]. What is too small for a term is measured by the others alone,
            which take over its share.
        trade_off: of all pictures, or one for each (B,).
        shares: of TERMS, by name.
    """
    kept = [name for name in shares if min(x.shape[2:]) >= TERMS[name].smallest_side]
    more = sum(shares.values()) / sum(shares[name] for name in kept)
    parts = [(more * shares[name] * TERMS[name].worth(trade_off), TERMS[name].prepare(x)) for name in kept]
    return lambda x_hat: sum(weight * distance(x_hat) for weight, distance in parts)


def _tiles(size: tuple[int, int]) -> list[_Tile]:
    """Parts of a picture of `size` (H, W), about equal, with no side beyond TILE."""
    edges = []
    for length in size:
        count = math.ceil(length / TILE)
        ends = [length * k // count for k in range(count + 1)]
        edges.append([slice(a, b) for a, b in zip(ends, ends[1:], strict=False)])
    return [(slice(None), slice(None), rows, columns) for rows in edges[0] for columns in edges[1]]


class _Tiled(torch.autograd.Function):
    """Weighted sum of distances of tiles, each with its gradient before the next one is measured."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        x_hat: Tensor,
        tiles: list[tuple[_Tile, float, Distance]],
    ) -> Tensor:
        wanted, total = ctx.needs_input_grad[0], x_hat.new_zeros(())
        gradient = torch.empty_like(x_hat) if wanted else None
        for tile, share, distance in tiles:
            part = x_hat[tile].detach().requires_grad_(wanted)
            with torch.set_grad_enabled(wanted):
                value = share * distance(part).sum()
            if wanted:
                (gradient[tile],) = torch.autograd.grad(value, part)
            total += value.detach()
        if wanted:
            ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.saved_tensors[0], None
