# SPDX-License-Identifier: MIT
"""Rate control: the best file of a wished size, or the smallest one of a wished quality.

Every decision rests on finished files. Whoever makes them (`codec`) is handed in as a function, so nothing
here knows of networks: there is a ladder of settings, and the question which rung is the last that keeps a
limit. Latent search changes size and quality by about as much on neighbouring rungs, so the change seen on
one tells which to try next.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image

from vgic_lib.errors import ParameterError
from vgic_lib.images import to_tensor
from vgic_lib.metrics import distortion
from vgic_lib.metrics.ssimulacra2 import Ssimulacra2Reference
from vgic_lib.models.base import LatentModel, Setting

RUNGS = 897  # qualities that are told apart: as many as the hyperprior has
TOLERANCE_BYTES = 0.03  # a file may be smaller than the target by this fraction of it
SEARCHES = 3  # attempts with latent search at most
RUNGS_BEYOND = 19  # finest settings of an exact model that follow on a lossy one's: errors up to 6
MOST_BY_SEARCH = 1.0  # dB at equal bytes that latent search brings, with a margin
TYPICAL_SAVING = 0.06  # of latent search, as a fraction of the bytes; a first guess


Attempt = Callable[[Setting, int], bytes]  # makes the file of a setting, with a number of search steps
Measure = Callable[[int, int], float]  # of a rung and a number of search steps


class Range(NamedTuple):
    """Files of one model."""

    attempt: Attempt
    settings: Sequence[Setting]  # from the smallest files to the largest
    usual: Setting  # quality 100: what is beyond competes with the next range


class Scale(NamedTuple):
    """A way to say how good a decoded picture is, 100 for equal pictures."""

    name: str
    unit: str
    tolerance: float  # a file may be better than the target by this
    example: float  # a sensible target
    judge: Callable[[Image.Image], Callable[[Image.Image], float]]  # original to scores of decoded; all RGB


def _psnr_judge(image: Image.Image) -> Callable[[Image.Image], float]:
    x = np.asarray(image)
    return lambda decoded: distortion.psnr_db(x, np.asarray(decoded))


def _ssimulacra2_judge(image: Image.Image) -> Callable[[Image.Image], float]:
    reference = Ssimulacra2Reference(to_tensor(image))
    return lambda decoded: reference.score(to_tensor(decoded)).item()


PSNR = Scale("PSNR", " dB", 0.04, 35, _psnr_judge)
SSIMULACRA2 = Scale("SSIMULACRA2", " points", 0.25, 70, _ssimulacra2_judge)


def ladder(model: LatentModel) -> list[Setting]:
    """All settings that a quality can choose, and those beyond, from the smallest files to the largest."""
    settings = dict.fromkeys(model.setting(1 + 99 * rung / (RUNGS - 1)) for rung in range(RUNGS))
    return [*settings, *model.finer]


def meet_bytes_in(
    ranges: Sequence[Range], measure: Callable[[bytes], float], target_bytes: int, search_steps: int = 0
) -> bytes:
    """As `meet_bytes`, among files of a model and, where its quality 100 fits, of the one that goes on there.

    The better of both by `measure`, PSNR in dB. The model that goes on is exact and has nothing to search; a
    search for the other is left out where it could not win.
    """
    first, *beyond = ranges
    plain = meet_bytes(first.attempt, first.settings, target_bytes)
    found = []
    for finer in beyond if len(first.attempt(first.usual, 0)) <= target_bytes else ():
        exact = finer.attempt(finer.settings[-1], 0)
        if len(exact) <= target_bytes:
            return exact
        with suppress(ParameterError):  # its smallest file is too large
            found.append(meet_bytes(finer.attempt, finer.settings, target_bytes))
    if search_steps and not (found and measure(plain) + MOST_BY_SEARCH < measure(found[0])):
        plain = meet_bytes(first.attempt, first.settings, target_bytes, search_steps)
    return max([plain, *found], key=measure) if found else plain


def meet_score_in(
    ranges: Sequence[Range],
    measure: Callable[[bytes], float],
    scale: Scale,
    target: float,
    search_steps: int = 0,
) -> bytes:
    """As `meet_score`; where quality 100 is not good enough, the smaller file of a model and the next."""
    first, *beyond = ranges
    if not beyond or measure(first.attempt(first.usual, 0)) >= target:
        return meet_score(first.attempt, measure, first.settings, scale, target, search_steps)
    found = [meet_score(beyond[0].attempt, measure, beyond[0].settings, scale, target)]
    with suppress(ParameterError):  # its best file is not good enough
        found.append(meet_score(first.attempt, measure, first.settings, scale, target, search_steps))
    return min(found, key=len)


def meet_bytes(
    attempt: Attempt, settings: Sequence[Setting], target_bytes: int, search_steps: int = 0
) -> bytes:
    """The best file that is no larger than a target.

    Args:
        attempt: makes a file.
        settings: from the smallest files to the largest.
        target_bytes: of the whole file.
        search_steps: of latent search; the bytes that it saves buy a higher setting.

    Returns:
        A file of at most `target_bytes`, and of 97% of them at least where settings lie that close; the
        largest of all where that is smaller.

    Raises:
        ParameterError: the smallest file is larger than the target.
    """
    make = cache(lambda rung, steps: attempt(settings[rung], steps))
    limit, tolerance = math.log(max(1, target_bytes)), -math.log(1 - TOLERANCE_BYTES)

    def size(rung: int, steps: int) -> float:
        return math.log(len(make(rung, steps)))

    guess = math.log(1 - TYPICAL_SAVING)
    kept, missed = _climb(size, len(settings), limit, tolerance, search_steps, guess)
    if not kept:
        least = min(len(make(*found)) for found in missed)
        raise ParameterError(
            f"no file of at most {target_bytes} bytes: the smallest of this picture has {least}; "
            "raise the target or make the picture smaller"
        )
    best = max(kept, key=lambda found: (size(*found) >= limit - tolerance, found[1], found[0]))
    return make(*best)


def meet_score(
    attempt: Attempt,
    measure: Callable[[bytes], float],
    settings: Sequence[Setting],
    scale: Scale,
    target: float,
    search_steps: int = 0,
) -> bytes:
    """The smallest file that is as good as a target.

    Args:
        attempt: makes a file.
        measure: how good the picture is that a decoder shows, by the scale.
        settings: from the smallest files to the largest.
        scale: PSNR or SSIMULACRA2.
        target: what the file must reach on it.
        search_steps: of latent search.

    Returns:
        A file of at least `target`; the smallest of all where even that one is better.

    Raises:
        ParameterError: the best file does not reach the target, or the target is no number.
    """
    name, unit = scale.name, scale.unit
    if not math.isfinite(target):
        raise ParameterError(f"target {name} {target} is not a number; choose one, such as {scale.example:g}")
    falling = settings[::-1]
    make = cache(lambda rung, steps: attempt(falling[rung], steps))
    loss = cache(lambda rung, steps: -measure(make(rung, steps)))
    kept, missed = _climb(loss, len(settings), -target, scale.tolerance, search_steps, 0.0)
    if not kept:
        reached = -min(loss(*found) for found in missed)
        raise ParameterError(
            f"no file of {name} {target:g}{unit}: the best of this picture has {reached:.2f}{unit}; "
            "lower the target"
        )
    return min((make(*found) for found in kept), key=len)


def _climb(
    measure: Measure, rungs: int, limit: float, tolerance: float, search_steps: int, guess: float
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Find rungs that keep to a limit and come near it, without latent search and with it.

    Args:
        measure: rises with the rung.
        rungs: how many there are.
        limit: largest value of `measure` that is allowed.
        tolerance: how far below the limit is near enough.
        search_steps: 0 for no latent search.
        guess: what latent search adds to `measure`, to begin with.

    Returns:
        Rungs, each with its search steps, that keep to the limit, and those that do not.
    """
    margin, change = tolerance / 4, guess
    found = [(max(0, _last_within(lambda rung: measure(rung, 0), rungs, limit, margin)), 0)]
    for _ in range(SEARCHES if search_steps else 0):
        expected = lambda rung: measure(rung, 0) + change  # noqa: B023, E731 - used in this round only
        rung = max(0, _last_within(expected, rungs, limit - margin, margin))
        if (rung, search_steps) in found:
            break
        found.append((rung, search_steps))
        change = measure(rung, search_steps) - measure(rung, 0)
        if limit - tolerance <= measure(rung, search_steps) <= limit:
            break
    kept = [pair for pair in found if measure(*pair) <= limit]
    return kept, [pair for pair in found if pair not in kept]


def _last_within(measure: Callable[[int], float], rungs: int, limit: float, near: float) -> int:
    """Last of `rungs` whose rising `measure` is at most `limit`, or one `near` to it; -1 if there is none.

    Interpolates between measured rungs, and halves the interval now and then in case that this stalls.
    """
    low, high, tries = -1, rungs, 0
    while high - low > 1 and not (low >= 0 and limit - measure(low) <= near):
        share = 0.5
        tries += 1
        if low >= 0 and high < rungs and tries % 4:
            share = (limit - near / 2 - measure(low)) / (measure(high) - measure(low))
        middle = min(max(round(low + share * (high - low)), low + 1), high - 1)
        if measure(middle) <= limit:
            low = middle
        else:
            high = middle
    return low
