# SPDX-License-Identifier: MIT
"""The table of results: lines, columns, notes."""

from collections.abc import Callable

import pandas as pd
import pytest

from vgic_lib.evaluation import rate_distortion, results
from vgic_lib.reporting import reconstructions, results_table


def test_results_table_by_channel_count(rows: pd.DataFrame) -> None:
    table = results_table.results_table(rows)
    assert table["channels"].tolist() == ["8"] * 4 + ["2"] * 4
    assert table["method"].tolist()[:4] == [
        "2020, as published", "2020, on RGB", "VAE-GAN, 6 bits", "VAE-GAN, 6 bits, 20 search steps",
    ]  # fmt: skip
    assert table["psnr_db"].tolist()[:2] == [24.06, 22.81] and table["nominal_cr"].tolist()[:2] == [
        6.12,
        6.12,
    ]
    assert table["psnr_db"][3] - table["psnr_db"][2] == pytest.approx(2)
    assert table["psnr_db_std"][2] == pytest.approx(2)
    assert table["psnr_db_jpeg"].tolist()[2:4] == [22.5, 22.5]
    assert table["note_jpeg"].tolist()[2] == "*" and table["note_jpeg"].tolist()[6] == ""


def test_results_of_the_codec_come_first_by_quality(codec_rows: pd.DataFrame) -> None:
    table = results_table.results_table(codec_rows)
    assert table["channels"].tolist() == [""] * 9 + ["8"] * 4 + ["2"] * 4
    assert table["method"].tolist()[:3] == [
        "VGIC, quality 1", "VGIC, quality 25", "VGIC, quality 25, 300 search steps",
    ]  # fmt: skip
    assert {"channels", "nominal_cr"} <= {column.name for column in results_table.results_columns(table)}
    assert "2020" in results_table.results_notes(table)


def test_results_of_the_codec_alone_need_no_column_of_channels(codec_rows: pd.DataFrame) -> None:
    of_codec = codec_rows["codec"].eq("hyperprior") | codec_rows["matched_to"].str.startswith("hyperprior")
    table = results_table.results_table(codec_rows[of_codec])
    names = [column.name for column in results_table.results_columns(table)]
    assert names[0] == "method" and {"encode_s", "decode_s", "psnr_db_jpeg"} <= set(names)
    assert not {"channels", "nominal_cr"} & set(names) and "2020" not in results_table.results_notes(table)


def test_files_of_a_real_ratio_stand_beside_2020_and_on_no_curve(
    codec_rows: pd.DataFrame, make_row: Callable[..., results.Row]
) -> None:
    label = {"codec": "hyperprior", "setting": "r24.49-s100", "search_steps": 100, "quality": float("nan")}
    made = [make_row(image=image, psnr_db=30.0, bytes=90, **label) for image in "ab"]
    beside = {"setting": "q7", "matched_to": "hyperprior/r24.49-s100", "bytes": 90, "psnr_db": 28.0}
    made += [make_row(image=image, **beside) for image in "ab"]
    rows = pd.concat([codec_rows, results.to_frame(made)], ignore_index=True)
    table = results_table.results_table(rows)
    line = table[table["method"] == "VGIC at that real CR, 100 search steps"].iloc[0]
    assert line["channels"] == "2" and (line["psnr_db"], line["psnr_db_jpeg"]) == (30, 28)
    assert results_table.results_table(codec_rows)["method"].tolist() == [
        method for method in table["method"] if "real CR" not in method
    ]
    assert len(rate_distortion.curves(rows)) == len(rate_distortion.curves(codec_rows))
    shown, of_codec = (reconstructions.showcase(kept, "a")["setting"].tolist() for kept in (rows, codec_rows))
    assert shown == of_codec


@pytest.fixture
def ratio_rows(codec_rows: pd.DataFrame, make_row: Callable[..., results.Row]) -> pd.DataFrame:
    """The same, and files for three ratios of 2020, the lower two of which get the same ones."""
    made = []
    for ratio, size in ((24.49, 90), (6.12, 200), (1.74, 200)):
        label = {"codec": "hyperprior", "setting": f"r{ratio:g}-s30", "search_steps": 30}
        for image in "ab":
            made.append(
                make_row(
                    image=image, quality=float("nan"), nominal_cr=1.9, bytes=size, psnr_db=size / 5, **label
                )
            )
            beside = {"setting": "q7", "matched_to": f"hyperprior/r{ratio:g}-s30", "bytes": size}
            made.append(make_row(image=image, psnr_db=size / 6, **beside))
    return pd.concat([codec_rows, results.to_frame(made)], ignore_index=True)


def test_ratios_that_the_codec_cannot_use_up_are_one_line(ratio_rows: pd.DataFrame) -> None:
    table = results_table.results_table(ratio_rows)
    searched = table[table["method"].str.contains("30 search steps")]
    assert searched[["channels", "method"]].values.tolist() == [
        ["", "VGIC at its limit (CR 6.12 and below), 30 search steps"],
        ["2", "VGIC at that real CR, 30 search steps"],
    ]
    limit = table.index[table["method"].str.contains("limit")].item()
    assert table["method"][limit - 1].startswith("VGIC, quality 100")
    assert table["psnr_db"][limit] == 40 and table["psnr_db_jpeg"][limit] == pytest.approx(200 / 6)
    assert (
        table.groupby("channels", sort=False).ngroups == table["channels"].ne(table["channels"].shift()).sum()
    )


def test_files_that_differ_in_anything_keep_their_lines(ratio_rows: pd.DataFrame) -> None:
    ratio_rows.loc[ratio_rows["setting"] == "r6.12-s30", "psnr_db"] += 0.5
    methods = results_table.results_table(ratio_rows)["method"]
    assert methods.str.contains("at that real CR").sum() == 3 and not methods.str.contains("limit").any()


def test_a_nominal_ratio_stands_where_latents_are_the_rate(ratio_rows: pd.DataFrame) -> None:
    ratio_rows.loc[ratio_rows["bits"] > 0, "nominal_cr"] = 6.1
    table = results_table.results_table(ratio_rows)
    known = table["nominal_cr"].notna()
    assert known.tolist() == (table["bits"].gt(0) | table["codec"].eq("2020")).tolist()
