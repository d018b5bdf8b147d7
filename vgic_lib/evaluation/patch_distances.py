# SPDX-License-Identifier: MIT
"""Whether what a setting shows looks like photographs: a distance of all its pictures, kept beside rows."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from vgic_lib.evaluation.bench import decode_file
from vgic_lib.evaluation.keyed_table import KeyedTable
from vgic_lib.evaluation.measure import original_path
from vgic_lib.evaluation.results import Row, to_frame
from vgic_lib.images import read_image, to_array
from vgic_lib.metrics.realism import PATCH, PatchReference
from vgic_lib.metrics.st_lpips import Trunk
from vgic_lib.progress import progress

FILE = "realism.csv"
TRUNK: Trunk = "vgg"  # the training of the generative head looks at the other one
KEY = ("codec", "setting", "model_id")
COLUMNS = (*KEY, "pictures", "images", "bpp", "patch_distance")


def measure(rows: Sequence[Row], folder: Path) -> pd.DataFrame:
    """Kernel distance of patches (`metrics.realism`) of the originals and what the files of a setting show.

    Kept in realism.csv beside the rows; a setting is measured again when its pictures are others.

    Args:
        rows: those that `perceptual_scores.judged` chooses.
        folder: of the rows.

    Returns:
        a line for each setting of a codec, COLUMNS: `pictures` stands for which, `images` is how many, `bpp`
        their mean rate. No lines where fewer than two pictures hold a patch.

    Raises:
        ParameterError: a package is missing.
        StorageError: a file cannot be read or written.
    """
    table = _table(folder)
    rows = [row for row in rows if min(row.width, row.height) >= PATCH]
    groups = [(key, [rows[i] for i in own.index]) for key, own in to_frame(rows).groupby([*KEY], sort=False)]
    groups = [(key, own) for key, own in groups if len(own) > 1]
    references: dict[str, PatchReference] = {}
    for key, own in progress(groups, "patch distances"):
        pictures = _pictures(own)
        if key in table and table[key][0]["pictures"] == pictures:
            continue
        if pictures not in references:
            paths = [original_path(folder, row.image, row.image_id) for row in own]
            references[pictures] = PatchReference([to_array(read_image(path)) for path in paths], TRUNK)
        distance = references[pictures].distance([to_array(decode_file(row, folder)) for row in own])
        bpp = sum(row.bpp for row in own) / len(own)
        values = pictures, len(own), f"{bpp:.6g}", f"{distance:.6g}"
        table.add([dict(zip(COLUMNS, (*key, *values), strict=True))])
    table.rewrite()
    return _frame([table[key][0] for key, _ in groups])


def load(folder: Path) -> pd.DataFrame:
    """What `measure` has kept in the folder of the rows: COLUMNS; no line if it has measured nothing."""
    return _frame(list(_table(folder)))


def _pictures(rows: Sequence[Row]) -> str:
    """Digest of which pictures these are, in order."""
    return hashlib.sha256(" ".join(row.image_id for row in rows).encode()).hexdigest()[:8]


def _table(folder: Path) -> KeyedTable:
    return KeyedTable(folder / FILE, COLUMNS, KEY, "notebook 04")


def _frame(lines: Sequence[dict[str, str]]) -> pd.DataFrame:
    numbers = {"images": int, "bpp": float, "patch_distance": float}
    return pd.DataFrame(lines, columns=COLUMNS).astype(numbers)
