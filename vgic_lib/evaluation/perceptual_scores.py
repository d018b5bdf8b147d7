# SPDX-License-Identifier: MIT
"""Perceptual scores of measured files, kept beside their rows."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from vgic_lib import files
from vgic_lib.evaluation.bench import decode_file
from vgic_lib.evaluation.classical import CLASSICAL
from vgic_lib.evaluation.measure import original_path
from vgic_lib.evaluation.rate_distortion import curves
from vgic_lib.evaluation.results import Row, to_frame
from vgic_lib.images import read_image, to_array
from vgic_lib.metrics import perceptual
from vgic_lib.progress import progress

EVERY = 3  # of the many qualities of a classical codec, one in so many is judged
FILE = "perceptual.csv"
KEY = ("image", "image_id", "codec", "setting", "model_id")
COLUMNS = (*KEY, "ssimulacra2", "st_lpips")


def judge(rows: Sequence[Row], folder: Path, pictures: int) -> pd.DataFrame:
    """Perceptual scores of the files on rate-distortion curves of the first `pictures` pictures.

    Kept in perceptual.csv beside the rows, where a killed run finds what it has done.

    Args:
        rows: of a run; all qualities of ours, every EVERY-th of a classical codec are judged.
        folder: of the rows.
        pictures: how many.

    Returns:
        one line for each file, COLUMNS.

    Raises:
        ParameterError: a package is missing.
        StorageError: a file cannot be read or written.
    """
    known = {line[: len(KEY)]: line for line in load(folder).itertuples(index=False, name=None)}
    lines = []
    for row in progress(_chosen(rows, pictures), "perceptual metrics"):
        if row.key not in known:
            x = to_array(read_image(original_path(folder, row.image, row.image_id)))
            x_hat = to_array(decode_file(row, folder))
            known[row.key] = (
                *row.key,
                round(perceptual.ssimulacra2(x, x_hat), 4),
                round(perceptual.st_lpips(x, x_hat), 6),
            )
            with files.atomic_path(folder / FILE) as temporary:
                pd.DataFrame(known.values(), columns=COLUMNS).to_csv(temporary, index=False)
        lines.append(known[row.key])
    return pd.DataFrame(lines, columns=COLUMNS)


def load(folder: Path) -> pd.DataFrame:
    """Scores that `judge` has kept in the folder of the rows: COLUMNS; no line if it has judged nothing."""
    path = folder / FILE
    if not path.exists():
        return pd.DataFrame(columns=COLUMNS)
    unknown = dict.fromkeys(COLUMNS[len(KEY) :], [""])  # of pictures that are too small for a metric
    return pd.read_csv(path, dtype=dict.fromkeys(KEY, str), keep_default_na=False, na_values=unknown)


def _chosen(rows: Sequence[Row], pictures: int) -> list[Row]:
    on_curves = curves(to_frame(rows))
    shown = list(dict.fromkeys(row.image for row in rows))[:pictures]
    on_curves = on_curves[on_curves["image"].isin(shown)].sort_values("quality", kind="stable")
    place = on_curves.groupby(["image", "curve"]).cumcount()
    kept = on_curves[~on_curves["codec"].isin(list(CLASSICAL)) | (place % EVERY == 0)]
    return [rows[index] for index in sorted(kept.index)]
