# SPDX-License-Identifier: MIT
"""Rate control on made-up files whose size and quality are known functions of rung and search."""

import math
from typing import NamedTuple

import pytest
from helpers.fakes import FakeModel

from vgic_lib.codec.rate_control import PSNR, SSIMULACRA2, ladder, meet_bytes, meet_score
from vgic_lib.errors import ParameterError
from vgic_lib.metrics.distortion import HIGHEST_DB
from vgic_lib.models.vaegan import VaeGan


class Rung(NamedTuple):
    number: int


class File(bytes):
    """A file that knows how it was made."""


class Maker:
    """Makes files, and counts them. A search saves some bytes, more at low rungs, and loses some quality."""

    def __init__(self, rungs=897, smallest=3000, largest=80_000, saving=0.1, wobble=0.0, loss_db=0.1):
        self.settings = [Rung(number) for number in range(rungs)]
        self.ratio = (largest / smallest) ** (1 / max(1, rungs - 1))
        self.smallest, self.saving, self.wobble, self.loss_db = smallest, saving, wobble, loss_db
        self.made = []

    def attempt(self, setting, steps):
        rung = setting.number
        saved = self.saving * (1.2 - 0.4 * rung / len(self.settings)) if steps else 0.0
        wobble = 1 + self.wobble * math.sin(rung * 12.9898)
        size = self.smallest * self.ratio**rung * wobble * (1 - saved)
        psnr_db = 25 + 18 * rung / len(self.settings) - (self.loss_db if steps else 0.0)
        self.made.append((rung, steps))
        file = File(round(size))
        file.psnr_db, file.rung, file.steps = psnr_db, rung, steps
        return file


def psnr_db(file):
    return file.psnr_db


@pytest.mark.parametrize("target", [3000, 3100, 7777, 30_000, 79_000, 82_000])
@pytest.mark.parametrize("steps", [0, 50])
@pytest.mark.parametrize("wobble", [0.0, 0.01])
def test_a_size_is_met_from_below(target, steps, wobble):
    maker = Maker(wobble=wobble)
    file = meet_bytes(maker.attempt, maker.settings, target, steps)
    assert 0.97 * target <= len(file) <= target


def test_search_buys_a_higher_setting():
    maker = Maker()
    plain = meet_bytes(maker.attempt, maker.settings, 20_000)
    searched = meet_bytes(maker.attempt, maker.settings, 20_000, 50)
    assert (plain.steps, searched.steps) == (0, 50)
    assert searched.rung > plain.rung
    assert searched.psnr_db > plain.psnr_db


@pytest.mark.parametrize("saving", [0.0, 0.03, 0.06, 0.2])
def test_few_files_are_made_and_none_twice(saving):
    maker = Maker(saving=saving)
    file = meet_bytes(maker.attempt, maker.settings, 12_345, 50)
    assert 0.97 * 12_345 <= len(file) <= 12_345
    assert len(set(maker.made)) == len(maker.made)
    assert sum(1 for _, steps in maker.made if steps) <= 3
    assert sum(1 for _, steps in maker.made if not steps) <= 12


def test_a_search_that_only_makes_files_larger_is_not_used():
    maker = Maker(saving=-0.5)
    maker.settings = maker.settings[:3]
    file = meet_bytes(maker.attempt, maker.settings, 3020, 50)
    assert (file.rung, file.steps) == (1, 0)


def test_search_may_reach_what_no_plain_file_does():
    maker = Maker()
    assert len(meet_bytes(maker.attempt, maker.settings, 2700, 50)) <= 2700
    with pytest.raises(ParameterError, match="smallest.* 3000"):
        meet_bytes(maker.attempt, maker.settings, 2700)


@pytest.mark.parametrize(
    ("target", "message"),
    [(0, "has 3000"), (-5, "has 3000"), (2999, "has 3000")],
)
def test_a_size_out_of_reach_is_answered_with_what_is_possible(target, message):
    maker = Maker()
    with pytest.raises(ParameterError, match=message) as caught:
        meet_bytes(maker.attempt, maker.settings, target)
    assert "\n" not in str(caught.value)


def test_a_coarse_ladder_gives_the_last_file_that_fits():
    maker = Maker(rungs=3, smallest=1000, largest=9000)
    assert len(meet_bytes(maker.attempt, maker.settings, 8000)) == 3000


@pytest.mark.parametrize("steps", [0, 50])
def test_a_size_above_all_files_gives_the_best_file(steps):
    maker = Maker()
    file = meet_bytes(maker.attempt, maker.settings, 90_000, steps)
    assert (file.rung, file.steps) == (len(maker.settings) - 1, steps)


@pytest.mark.parametrize("target", [25.0, 30.123, 36.6, 42.8])
@pytest.mark.parametrize("steps", [0, 50])
def test_a_quality_is_met_from_above(target, steps):
    maker = Maker()
    file = meet_score(maker.attempt, psnr_db, maker.settings, PSNR, target, steps)
    assert target <= file.psnr_db <= target + 0.05
    assert (file.steps > 0) == (steps > 0)


def test_search_makes_the_file_of_a_quality_smaller():
    maker = Maker()
    plain = meet_score(maker.attempt, psnr_db, maker.settings, PSNR, 33)
    searched = meet_score(maker.attempt, psnr_db, maker.settings, PSNR, 33, 50)
    assert len(searched) < len(plain)


def test_a_quality_that_the_smallest_file_exceeds_gives_the_smallest_file():
    maker = Maker()
    assert meet_score(maker.attempt, psnr_db, maker.settings, PSNR, 10).rung == 0


@pytest.mark.parametrize("target", [43.5, 99.0, math.inf, math.nan])
def test_a_quality_out_of_reach_is_refused(target):
    maker = Maker()
    with pytest.raises(ParameterError) as caught:
        meet_score(maker.attempt, psnr_db, maker.settings, PSNR, target)
    assert "\n" not in str(caught.value)
    assert ("42.98 dB" in str(caught.value)) == math.isfinite(target)


@pytest.mark.parametrize("steps", [0, 50])
def test_a_score_is_met_on_a_scale_of_its_own(steps):
    maker = Maker()
    score = lambda file: 3 * (file.psnr_db - 25)  # noqa: E731 - 0 to 54
    file = meet_score(maker.attempt, score, maker.settings, SSIMULACRA2, 40.0, steps)
    assert 40 <= score(file) <= 40 + 0.3
    with pytest.raises(ParameterError, match="SSIMULACRA2 70 points: .* has 53.9"):
        meet_score(maker.attempt, score, maker.settings, SSIMULACRA2, 70.0, steps)
    with pytest.raises(ParameterError, match="such as 70"):
        meet_score(maker.attempt, score, maker.settings, SSIMULACRA2, math.nan)


def test_equal_pictures_have_a_finite_place():
    maker = Maker()
    perfect = lambda file: HIGHEST_DB if file.rung >= 500 else file.psnr_db  # noqa: E731
    assert meet_score(maker.attempt, perfect, maker.settings, PSNR, 60).rung == 500
    assert meet_score(maker.attempt, perfect, maker.settings, PSNR, HIGHEST_DB).rung >= 500


def test_the_ladder_has_every_setting_once_and_rises():
    assert ladder(FakeModel()) == list(FakeModel.settings)
    assert [setting.bits for setting in ladder(VaeGan([2]))] == [4, 6, 8]
