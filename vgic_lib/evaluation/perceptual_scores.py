# SPDX-License-Identifier: MIT
"""Perceptual scores of measured files, kept beside their rows."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from vgic_lib.evaluation.bench import decode_file
from vgic_lib.evaluation.classical import CLASSICAL
from vgic_lib.evaluation.keyed_table import KeyedTable
from vgic_lib.evaluation.measure import original_path
from vgic_lib.evaluation.rate_distortion import curves
from vgic_lib.evaluation.results import Row, to_frame
from vgic_lib.images import read_image, to_array
from vgic_lib.metrics.perceptual import installed, judges
from vgic_lib.progress import progress

EVERY = 3  # of the many qualities of a classical codec, one in so many is judged
FILE = "perceptual.csv"
KEY = ("image", "image_id", "codec", "setting", "model_id")


def columns() -> list[str]:
    """Columns of perceptual.csv: the key of a row, then each metric that is not in the rows."""
    return [*KEY, *judges()]


def judge(rows: Sequence[Row], folder: Path, pictures: int) -> pd.DataFrame:
    """Perceptual scores of the files on rate-distortion curves of the first `pictures` pictures.

    Kept in perceptual.csv beside the rows, where a killed run finds what it has done. What an earlier version
    judged is judged only by the metrics that it lacked.

    Args:
        rows: of a run; all qualities of ours, every EVERY-th of a classical codec are judged.
        folder: of the rows.
        pictures: how many.

    Returns:
        one line for each file, `columns`; NaN for metrics that are not installed, or do not apply.

    Raises:
        ParameterError: a package is missing.
        DataError: what is kept was judged by other metrics.
        StorageError: a file cannot be read or written.
    """
    table, chosen = _table(folder), judged(rows, pictures)
    for row in progress(chosen, "perceptual metrics"):
        known = table[row.key][0] if row.key in table else dict.fromkeys(judges(), "")
        missing = {name: score for name, score in judges().items() if known[name] == "" and installed(name)}
        if missing:
            x = to_array(read_image(original_path(folder, row.image, row.image_id)))
            x_hat = to_array(decode_file(row, folder))
            scores = {name: f"{score(x, x_hat):.6g}" for name, score in missing.items()}
            table.add([known | dict(zip(KEY, row.key, strict=True)) | scores])
    table.rewrite()
    return _frame(line for row in chosen for line in table[row.key])


def load(folder: Path) -> pd.DataFrame:
    """Scores that `judge` has kept in the folder of the rows: `columns`; no line if it has judged nothing."""
    return _frame(_table(folder))


def _table(folder: Path) -> KeyedTable:
    return KeyedTable(folder / FILE, columns(), KEY, "notebook 04", later=judges())


def _frame(lines: Iterable[dict[str, str]]) -> pd.DataFrame:
    frame = pd.DataFrame(lines, columns=columns())
    return frame.assign(**{name: frame[name].replace("", "nan").astype(float) for name in judges()})


def judged(rows: Sequence[Row], pictures: int) -> list[Row]:
    """What `judge` chooses of `rows`, picture by picture: judges keep what they know of an original."""
    on_curves = curves(to_frame(rows), realism=True)
    shown = list(dict.fromkeys(row.image for row in rows))[:pictures]
    on_curves = on_curves[on_curves["image"].isin(shown)].sort_values("quality", kind="stable")
    place = on_curves.groupby(["image", "curve"]).cumcount()
    kept = on_curves[~on_curves["codec"].isin(list(CLASSICAL)) | (place % EVERY == 0)]
    return sorted((rows[index] for index in sorted(kept.index)), key=lambda row: shown.index(row.image))
