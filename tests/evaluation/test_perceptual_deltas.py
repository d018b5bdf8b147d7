# SPDX-License-Identifier: MIT
"""Deltas by how pictures look: against JPEG and the arms of AVIF, over stated ranges, with PSNR beside."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from vgic_lib.evaluation import results
from vgic_lib.evaluation.perceptual_deltas import (
    LOW_BPP,
    arms_table,
    compared,
    perceptual_points,
    perceptual_table,
    values_at,
)
from vgic_lib.reporting import bd_tables

ARMS = (  # codec, setting, what its files take of JPEG's at equal quality
    ("jpeg", "q{}", 1), ("avif", "q{}", 0.8), ("avif-psnr", "q{}", 0.5), ("webp", "q{}", 0.9),
    ("hyperprior", "q{}-s0", 0.7), ("hyperprior", "q{}-s0+r1", 0.7),
)  # fmt: skip
RATES = (0.05, 0.2, 0.8, 3.2)
KEY = ["image", "image_id", "codec", "setting", "model_id"]


@pytest.fixture
def rows():
    """Two pictures; at each level all codecs are equally good, but for PSNR with realism."""
    defaults = {field.name: field.type() for field in dataclasses.fields(results.Row)}
    made = []
    for image in "ab":
        for codec, name, factor in ARMS:
            for level, bpp in enumerate(RATES):
                psnr_db = 25.0 + 4 * level - 3 * ("+r" in name)
                values = {"image": image, "codec": codec, "setting": name.format(level), "bpp": factor * bpp}
                values |= {"psnr_db": psnr_db, "ms_ssim": 1 - 0.1 / (1 + level), "model_id": "0a"}
                made.append(results.Row(**(defaults | values)))
    return results.to_frame(made)


@pytest.fixture
def points(rows):
    level = rows.groupby(["image", "codec", rows["setting"].str[2:]]).cumcount()
    scores = rows[KEY].assign(ssimulacra2=20.0 + 20 * level, st_lpips=0.4 - 0.1 * level, cvvdp=6.0 + level)
    other_weights = scores.assign(model_id="0b", ssimulacra2=0.0)
    distances = scores[scores["image"] == "a"].assign(patch_distance=0.1 - 0.02 * level, bpp=0.0, images=2)
    return perceptual_points(rows, pd.concat([scores, other_weights]), distances)


def test_points_are_means_of_what_was_judged(points):
    assert len(points) == len(ARMS) * len(RATES) and points["images"].eq(2).all()
    assert points["ssimulacra2"].min() == 20 and points["ms_ssim_db"].iloc[0] == pytest.approx(10)
    assert {"VGIC", "VGIC, realism 1"} <= set(points["curve"])
    assert points["patch_distance"].iloc[:2].tolist() == pytest.approx([0.1, 0.08])


def test_deltas_by_every_metric(points):
    table = perceptual_table(points).set_index("curve")
    for metric in compared():
        known = ["AVIF", "AVIF (PSNR)", "VGIC"] + ["VGIC, realism 1"] * (metric != "psnr_db")
        assert table.loc[known, metric].tolist() == pytest.approx([-20, -50, -30, -30][: len(known)])
    assert table.loc["VGIC, realism 1", "psnr_db"] > 0  # it is what realism costs
    assert table.loc["VGIC", ["st_lpips_low", "st_lpips_high"]].tolist() == pytest.approx([0.1, 0.4])
    assert table.loc["VGIC", ["cvvdp_low", "cvvdp_high"]].tolist() == pytest.approx([6, 9])
    assert perceptual_table(points, "jxl").empty


def test_deltas_at_low_rates_are_over_what_the_arm_has_there(points):
    table = perceptual_table(points, within_bpp=LOW_BPP).set_index("curve")
    assert table.loc["VGIC", "ssimulacra2"] == pytest.approx(-30)
    at = values_at(points[points["curve"] == "VGIC"], "ssimulacra2", LOW_BPP)
    assert at == pytest.approx([20 + 20 * np.log(bpp / 0.7 / 0.05) / np.log(4) for bpp in LOW_BPP])
    assert table.loc["VGIC", ["ssimulacra2_low", "ssimulacra2_high"]].tolist() == pytest.approx(at)
    falling = table.loc["VGIC", ["st_lpips_low", "st_lpips_high"]]
    assert 0.1 < falling.iloc[0] < falling.iloc[1] < 0.4


def test_arms_are_compared_with_jpeg_and_ours_with_every_avif(points):
    table = arms_table(points)
    assert table.groupby("anchor", sort=False)["curve"].agg(list).to_dict() == {
        "JPEG": ["AVIF", "AVIF (PSNR)", "WebP", "VGIC", "VGIC, realism 1"],
        "AVIF": ["VGIC", "VGIC, realism 1"],
        "AVIF (PSNR)": ["VGIC", "VGIC, realism 1"],
    }
    against = table.set_index(["anchor", "curve"])["st_lpips"]
    assert against["AVIF", "VGIC"] == pytest.approx(-12.5)
    assert against["AVIF (PSNR)", "VGIC, realism 1"] == pytest.approx(40)


def test_tables_print_every_metric_with_its_range(points):
    table = bd_tables.with_ranges(arms_table(points, LOW_BPP))
    assert {column.name for column in bd_tables.arms_columns()} <= set(table)
    assert table.set_index(["anchor", "curve"])["psnr_db_range"]["JPEG", "VGIC"] == " (28 to 32.7)"
    assert [column.name for column in bd_tables.perceptual_columns()] == ["curve", *compared(), "images"]
    assert "0.1 to 0.5 bpp" in bd_tables.ARMS_CAPTION["arms_low"]


def test_metrics_that_nobody_measured_stay_empty(rows):
    scores = rows[KEY].assign(ssimulacra2=np.nan, st_lpips=np.nan, cvvdp=np.nan)
    table = bd_tables.with_ranges(arms_table(perceptual_points(rows, scores)))
    assert table[["cvvdp", "patch_distance"]].isna().all(axis=None) and table["cvvdp_range"].eq("").all()
    assert table["psnr_db"].notna().all()
