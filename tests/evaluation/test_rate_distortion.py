# SPDX-License-Identifier: MIT
"""Rate-distortion curves, measured and published, and the one function for BD-rates."""

import dataclasses
import math

import bjontegaard
import numpy as np
import pandas as pd
import pytest

from vgic_lib.evaluation import rate_distortion, results
from vgic_lib.evaluation.rate_distortion import bd_rate
from vgic_lib.reporting import bd_tables

RATES = np.array([0.25, 0.5, 1.0, 2.0])
ANCHOR = pd.DataFrame({"bpp": RATES, "psnr_db": [27.0, 30.0, 33.0, 36.0]})


def frame(images: list[str], width: int = 300, height: int = 200) -> pd.DataFrame:
    """JPEG, AVIF (20% smaller) and the codec without (30%) and with search (40%), on these pictures."""
    defaults = {field.name: field.type() for field in dataclasses.fields(results.Row)}
    rows = []
    for place, image in enumerate(images):
        for codec, steps, factor in (
            ("jpeg", 0, 1), ("avif", 0, 0.8), ("hyperprior", 0, 0.7), ("hyperprior", 300, 0.6 + place / 100),
        ):  # fmt: skip
            for number, point in enumerate(ANCHOR.itertuples()):
                values = {
                    "image": image,
                    "width": width,
                    "height": height,
                    "codec": codec,
                    "search_steps": steps,
                }
                values |= {
                    "setting": f"q{number}-s{steps}",
                    "bpp": factor * point.bpp,
                    "psnr_db": point.psnr_db,
                }
                rows.append(results.Row(**(defaults | values)))
    return results.to_frame(rows)


def test_bd_rate_of_curves_a_known_factor_apart() -> None:
    test = ANCHOR.assign(bpp=RATES * 0.8)
    assert bd_rate(ANCHOR, test) == pytest.approx((-20, 27, 36))
    useless = pd.concat([test, pd.DataFrame({"bpp": [0.9], "psnr_db": [28.0]})])
    assert bd_rate(ANCHOR, useless).percent == pytest.approx(-20)
    shifted = test.assign(psnr_db=test["psnr_db"] + 100)
    assert math.isnan(bd_rate(ANCHOR, shifted).percent)
    assert math.isnan(bd_rate(ANCHOR, test[:1]).percent)


def test_bd_rate_is_that_of_the_library_inside_the_range() -> None:
    test = pd.DataFrame({"bpp": [0.2, 0.6, 0.9], "psnr_db": [28.0, 31.5, 35.0]})
    expected = bjontegaard.bd_rate(
        ANCHOR["bpp"], ANCHOR["psnr_db"], test["bpp"], test["psnr_db"],
        method="pchip", require_matching_points=False, min_overlap=0,
    )  # fmt: skip
    assert bd_rate(ANCHOR, test) == pytest.approx((expected, 28, 35))


def test_bd_rate_looks_only_at_the_range_compared() -> None:
    psnr_db = np.array([20.0, 23, 26, 30, 35, 40, 44, 50])
    anchor = pd.DataFrame({"bpp": 2 ** (psnr_db / 6), "psnr_db": psnr_db})
    outside = np.array([0.8, 1, 1, 1, 1, 1, 1, 1.2])
    test = anchor.assign(bpp=anchor["bpp"] / 2 * outside)
    assert bd_rate(anchor, test) == pytest.approx((-50, 26, 40))
    assert bd_rate(anchor, test, (30, 35)) == pytest.approx((-50, 30, 35))
    assert bd_rate(anchor, test, (20, 40)).percent < -50.1


def test_relative_rates_are_what_the_delta_is_the_mean_of() -> None:
    test = pd.DataFrame({"bpp": [0.2, 0.6, 0.9], "psnr_db": [28.0, 31.5, 35.0]})
    relative = rate_distortion.relative_rates(ANCHOR, test)
    assert relative["psnr_db"].iloc[[0, -1]].tolist() == [28, 35]
    logarithm = np.log(relative["rate_percent"] / 100)
    mean = np.trapezoid(logarithm, relative["psnr_db"]) / 7
    assert 100 * (np.exp(mean) - 1) == pytest.approx(bd_rate(ANCHOR, test).percent, abs=0.05)
    assert rate_distortion.relative_rates(ANCHOR, test.assign(psnr_db=0.0)).empty


def test_curves_are_named_and_sorted_by_kind() -> None:
    points = rate_distortion.curve_points(frame(["a", "b"]))
    assert list(dict.fromkeys(points["curve"])) == ["JPEG", "AVIF", "VGIC", "VGIC, 300 search steps"]
    assert points["kind"].tolist() == ["classical"] * 8 + ["ours"] * 8
    assert rate_distortion.curve_title("vaegan-8", 6, 1) == "VAE-GAN, 6 bits, 1 search step"
    eye = "VGIC, 100 search steps, tune eye"
    assert rate_distortion.curve_title("hyperprior", 0, 100, "q448-s100-eye") == eye
    real = "VGIC, 100 search steps, tune eye, realism 0.5"
    assert rate_distortion.curve_title("hyperprior", 0, 100, "q448-s100-eye+r0.5") == real
    assert rate_distortion.curve_title("hyperprior-eye", 0, 0, "q448-s0+r1") == "VGIC eye, realism 1"
    searched = points["curve"] == "VGIC, 300 search steps"
    renamed = points["setting"].where(~searched, points["setting"] + "-eye")
    curves = rate_distortion.curves(points.assign(setting=renamed, matched_to=""))["curve"]
    assert set(curves) == {"JPEG", "AVIF", "VGIC", "VGIC, 300 search steps, tune eye"}


def test_the_tune_of_a_search_is_named_where_it_is_not_that_of_the_model(monkeypatch) -> None:
    monkeypatch.setitem(rate_distortion.TUNED_MODELS, "eye", "hyperprior-eye")
    titles = [
        rate_distortion.curve_title(model, 0, steps, setting)
        for model in ("hyperprior", "hyperprior-eye")
        for steps, setting in ((0, "q4-s0"), (9, "q4-s9"), (9, "q4-s9-eye"))
    ]
    assert titles == [
        "VGIC", "VGIC, 9 search steps", "VGIC, 9 search steps, tune eye",
        "VGIC eye", "VGIC eye, 9 search steps, tune psnr", "VGIC eye, 9 search steps",
    ]  # fmt: skip


def test_realism_is_on_no_curve_that_measures_fidelity() -> None:
    rows = frame(["a", "b"])
    real = rows[rows["codec"] == "hyperprior"].assign(psnr_db=0.0)
    together = pd.concat([rows, real.assign(setting=real["setting"] + "+r1")], ignore_index=True)
    assert rate_distortion.curve_points(together).equals(rate_distortion.curve_points(rows))
    assert rate_distortion.bd_table(together).equals(rate_distortion.bd_table(rows))
    assert rate_distortion.picture_table(together).equals(rate_distortion.picture_table(rows))
    names = set(rate_distortion.curves(together, realism=True)["curve"])
    assert {"VGIC, realism 1", "VGIC, 300 search steps, realism 1"} <= names


def test_bd_table_states_range_and_spread() -> None:
    table = rate_distortion.bd_table(frame(["a", "b"])).set_index("curve")
    assert table["bd_rate_percent"].tolist() == pytest.approx([-20, -30, -39.5])
    searched = table.loc["VGIC, 300 search steps"]
    assert (searched["low_db"], searched["high_db"]) == (27, 36)
    assert searched["bd_rate_mean_percent"] == pytest.approx(-39.5)
    assert searched["bd_rate_mean_percent_std"] == pytest.approx(0.5) and searched["images"] == 2
    assert table["hyperprior_percent"].isna().all()
    assert "hyperprior_percent" not in {column.name for column in bd_tables.bd_columns(table)}


def test_pictures_are_listed_best_first() -> None:
    table = rate_distortion.picture_table(frame(["a", "b", "c"])[::-1])
    assert table.columns.tolist() == ["image", "VGIC", "VGIC, 300 search steps", "AVIF"]
    assert table["image"].tolist() == ["a", "b", "c"]
    assert table.iloc[2, 1:].tolist() == pytest.approx([-30, -38, -20])


def test_on_kodak_the_published_curves_follow() -> None:
    kodak = frame([f"kodim{number:02}" for number in range(1, 25)], 768, 512)
    assert rate_distortion.is_kodak(kodak)
    assert not rate_distortion.is_kodak(kodak[kodak["image"] != "kodim07"])
    assert not rate_distortion.is_kodak(kodak.assign(width=178))
    table = rate_distortion.bd_table(kodak).set_index("curve")
    assert table["kind"].tolist()[:4] == ["classical", "ours", "ours", "published"]
    assert np.isfinite(table.loc["VGIC", "hyperprior_percent"])
    assert "hyperprior_percent" in {column.name for column in bd_tables.bd_columns(table)}
    published = {  # against JPEG and against the hyperprior of 2018, computed elsewhere over all they share
        "Ballé 2018, hyperprior (published)": (-55.0, 0),
        "Minnen 2018, mean and scale (published)": (-58.0, -7.0),
        "BPG 4:4:4 (published)": (-58.9, None),
        "MLIC+ (published)": (-70.0, -34.0),
        "shallow-ntc + SGA search (published)": (-59.1, -8.8),
    }
    for name, (jpeg, hyperprior) in published.items():
        assert table.loc[name, "bd_rate_percent"] == pytest.approx(jpeg, abs=0.5)
        if hyperprior is not None:
            assert table.loc[name, "hyperprior_percent"] == pytest.approx(hyperprior, abs=0.3)


def test_every_published_curve_names_its_source_and_rises() -> None:
    points = rate_distortion.published_points()
    assert points["source"].str.len().min() > 10
    for _, curve in points.groupby("curve"):
        assert len(curve) >= 5 and curve["bpp"].is_monotonic_increasing
        assert curve["psnr_db"].is_monotonic_increasing
    assert points["ms_ssim"].dropna().between(0.5, 1).all()
