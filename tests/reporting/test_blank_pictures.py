# SPDX-License-Identifier: MIT
"""Pictures that codecs reproduce exactly, or too small for a metric: from files to tables and figures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.fakes import FakeModel, install
from helpers.measured import points_of
from helpers.samples import smooth_pictures
from PIL import Image

from vgic_lib import figures
from vgic_lib.evaluation import (
    bench,
    measure,
    patch_distances,
    perceptual_deltas,
    perceptual_scores,
    rate_distortion,
    results,
)
from vgic_lib.evaluation.points import ladder_points
from vgic_lib.images import CROP_2020
from vgic_lib.metrics.distortion import HIGHEST_DB
from vgic_lib.reporting import bd_tables, rate_curves, reconstructions, results_table
from vgic_lib.reporting.typeset import Column, write_table


def measured(pictures: Sequence[measure.Picture], context: measure.Context) -> pd.DataFrame:
    """What notebook 04 does; returns the rows as notebook 05 reads them."""
    work = bench.Bench(context)
    for picture in pictures:
        path = measure.original_path(context.folder, picture.name, picture.image_id)
        path.parent.mkdir(parents=True)
        picture.image.save(path)
    ours = work.run(pictures, points_of(FakeModel("fake-3"), [4, 8]), "ours")
    ladder = work.run(pictures, ladder_points(["jpeg", "webp"])[::4], "classical")
    matched = work.match(pictures, ["jpeg"], ours, "equal bytes")
    bench.keep_reconstructions([row for row in [*ours, *matched] if row.image == "blank"], context.folder)
    perceptual_scores.judge([ours[0], *ladder], context.folder, 1)
    patch_distances.measure([ours[0]] * 2, context.folder)
    results.write_rows(context.folder / "rows.csv", [*ours, *ladder, *matched])
    return results.to_frame(results.read_rows(context.folder / "rows.csv"))


def analysed(rows: pd.DataFrame, folder: Path) -> None:
    """What notebook 05 does."""
    output = folder / "results"
    table = results_table.results_table(rows)
    write(table, output / "results", results_table.results_columns(table), results_table.results_notes(table))
    points = rate_distortion.curve_points(rows)
    figures.save_figure(rate_curves.rate_distortion(points), output / "rate_distortion", points)
    published = rate_distortion.published_points()
    figures.save_figure(rate_curves.among_published(points, published), output / "published", published)
    delta, by_picture = rate_distortion.bd_table(rows), rate_distortion.picture_table(rows)
    write(delta, output / "bd_rate", bd_tables.bd_columns(delta), bd_tables.BD_NOTES)
    write(by_picture, output / "pictures", bd_tables.picture_columns(by_picture))
    scores, distances = perceptual_scores.load(folder), patch_distances.load(folder)
    seen = perceptual_deltas.perceptual_points(rows, scores, distances)
    figures.save_figure(rate_curves.perceptual(seen), output / "perceptual", seen)
    write(perceptual_deltas.perceptual_table(seen), output / "perceptual", bd_tables.perceptual_columns())
    for within_bpp in (None, perceptual_deltas.LOW_BPP):
        arms = bd_tables.with_ranges(perceptual_deltas.arms_table(seen, within_bpp))
        write(arms, output / "arms", bd_tables.arms_columns(), bd_tables.PERCEPTUAL_NOTES)
    shown = reconstructions.showcase(rows, reconstructions.choose_picture(rows, folder))
    figures.save_figure(reconstructions.reconstructions(shown, folder), output / "reconstructions", shown)


def write(table: pd.DataFrame, stem: Path, columns: Sequence[Column], notes: str = "") -> None:
    markdown = write_table(table, stem, columns, "caption", notes).markdown
    assert "inf" not in markdown and "nan" not in markdown


def blank(width: int, height: int) -> measure.Picture:
    return measure.make_picture("blank", "test", Image.new("RGB", (width, height), "white"))


def smooth(width: int, height: int) -> measure.Picture:
    return measure.make_picture("smooth", "test", Image.fromarray(smooth_pictures(1, height, width)[0]))


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    "pictures",
    [[blank(*CROP_2020)], [blank(64, 64), smooth(64, 64)], [blank(5, 6), smooth(6, 5)]],
    ids=["blank", "blank and another", "tiny"],
)
def test_tables_and_figures_are_made(
    context: measure.Context, monkeypatch: pytest.MonkeyPatch, pictures: list[measure.Picture]
) -> None:
    install(monkeypatch, FakeModel("fake-3"))
    rows = measured(pictures, context)
    analysed(rows, context.folder)
    assert rows.loc[rows["image"] == "blank", "psnr_db"].max() == HIGHEST_DB
    assert np.isfinite(rows["psnr_db"]).all()
    scores = perceptual_scores.load(context.folder)
    assert scores["ssimulacra2"].max() == pytest.approx(100)
    if min(pictures[0].image.size) >= 161:
        points = rate_distortion.curve_points(rows[rows["image"] == "blank"])
        assert points["ms_ssim_db"].max() == HIGHEST_DB and scores["st_lpips"].min() == 0


def test_the_notes_of_tables_say_what_equal_pictures_count_as(rows: pd.DataFrame) -> None:
    said = f"qual pictures count as {HIGHEST_DB:g} dB"
    assert said in bd_tables.BD_NOTES
    assert said in results_table.results_notes(results_table.results_table(rows))
