# SPDX-License-Identifier: MIT
"""Rows, the measuring path, tables by channel count and BD-rates."""

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from vgic_lib.errors import DataError
from vgic_lib.evaluation import results

# measuring


# rows on disk


def test_rows_survive_the_file_exactly(make_row: Callable[..., results.Row], tmp_path: Path) -> None:
    rows = [make_row(psnr_db=1 / 3, bytes=7, image='a, "b"'), make_row(codec="webp", nominal_cr=math.inf)]
    results.write_rows(tmp_path / "rows.csv", rows)
    assert results.read_rows(tmp_path / "rows.csv") == rows
    assert results.read_rows(tmp_path / "none.csv") == []


def test_equal_pictures_of_older_versions_count_as_those_of_this_one(
    make_row: Callable[..., results.Row], tmp_path: Path
) -> None:
    results.write_rows(tmp_path / "rows.csv", [make_row(psnr_db=math.inf), make_row(image="b", psnr_db=50.0)])
    frame = results.to_frame(results.read_rows(tmp_path / "rows.csv"))
    assert results.aggregate(frame)["psnr_db"].tolist() == [75]


@pytest.mark.parametrize("damage", [lambda text: text[:-40], lambda text: text.replace("psnr_db", "psnr")])
def test_damaged_rows_are_refused(
    damage: Callable[[str], str], make_row: Callable[..., results.Row], tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    results.write_rows(path, [make_row()])
    path.write_text(damage(path.read_text()))
    with pytest.raises(DataError, match="notebook 04"):
        results.read_rows(path)


def test_mean_and_spread_are_over_pictures(make_row: Callable[..., results.Row]) -> None:
    rows = [make_row(image=name, setting="q5", psnr_db=psnr) for name, psnr in (("a", 20.0), ("b", 30.0))]
    matched = [
        make_row(image=name, setting=setting, matched_to="vaegan-2/b4-s0", psnr_db=25.0)
        for name, setting in (("a", "q8"), ("b", "q9"))
    ]
    means = results.aggregate(results.to_frame(rows + matched))
    assert len(means) == 2
    assert means["psnr_db"].tolist() == [25, 25] and means["psnr_db_std"].tolist() == [5, 0]
    assert means["images"].tolist() == [2, 2]
    alone = results.aggregate(results.to_frame(rows[:1]))
    assert alone["psnr_db"].tolist() == [20] and alone["psnr_db_std"].isna().all()


# the bench


def test_settings_that_ask_for_a_ratio_are_told_apart() -> None:
    settings = pd.Series([results.ratio_setting(12.24, 100), "q448-s100", "b6-s0", "q35", "r1.74-s0"])
    assert results.asked_ratio(settings).fillna(0).tolist() == [12.24, 0, 0, 0, 1.74]


def test_settings_tell_the_tune_of_their_search() -> None:
    names = [results.searched_setting("q448", steps, tune) for steps in (0, 100) for tune in ("psnr", "eye")]
    assert names == ["q448-s0", "q448-s0", "q448-s100", "q448-s100-eye"]
    ratio = results.ratio_setting(6.12, 100, "eye")
    assert [results.searched_tune(name) for name in (*names, ratio, "q35")] == [
        "psnr", "psnr", "psnr", "eye", "eye", "psnr"
    ]  # fmt: skip
    assert results.asked_ratio(pd.Series([ratio])).tolist() == [6.12]


def test_settings_tell_the_realism_their_files_are_shown_with() -> None:
    plain = ("q448-s0", "q448-s100-eye", "r6.12-s0", "q35", "b6-s20")
    assert [results.shown_realism(name) for name in plain] == [0] * 5
    for name in plain:
        shown = results.realistic_setting(name, 0.25)
        assert results.shown_realism(shown) == 0.25
        assert results.searched_tune(shown) == results.searched_tune(name)
        assert results.asked_ratio(pd.Series([shown])).equals(results.asked_ratio(pd.Series([name])))
    assert results.realistic_setting("q448-s0", 1.0) == "q448-s0+r1"


def test_what_measures_fidelity_leaves_realism_out(make_row: Callable[..., results.Row]) -> None:
    rows = results.to_frame([make_row(setting=setting) for setting in ("q4-s0", "q4-s0+r1", "q35")])
    assert results.faithful(rows)["setting"].tolist() == ["q4-s0", "q35"]


# tables
