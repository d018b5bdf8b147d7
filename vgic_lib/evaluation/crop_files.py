# SPDX-License-Identifier: MIT
"""A few pictures at a few rates, the same bytes for every arm: what the figures of crops show."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from vgic_lib import codec
from vgic_lib.errors import ParameterError
from vgic_lib.evaluation.bench import Bench, keep_reconstructions
from vgic_lib.evaluation.measure import Picture
from vgic_lib.evaluation.points import ratio_points
from vgic_lib.evaluation.results import Row, asked_ratio, read_rows, to_frame, write_rows
from vgic_lib.models.base import LatentModel

FILE = "crops.csv"
PICTURES = 4  # shown where none are named
BESIDE = ("avif",)
RGB_BITS = 24  # of a pixel


def check_rates(rates: Sequence[float]) -> None:
    """Refuse what is no rate of a file. Raises ParameterError."""
    for bpp in rates:
        if not 0 < bpp <= RGB_BITS:
            raise ParameterError(
                f"{bpp:g} is no rate of the figure of crops; give bits per pixel, such as 0.2"
            )


def measure(
    bench: Bench,
    pictures: Sequence[Picture],
    models: Sequence[LatentModel],
    rates: Sequence[float],
    search: tuple[int, str | None],
    realism: tuple[Mapping[str, str], Sequence[float]],
) -> list[Row]:
    """Files of each model that come near to each rate from below, and BESIDE at bytes of the first.

    A rate that a picture cannot have, since the smallest file of a model is larger, is left out for it. Rows
    are kept in crops.csv beside the others, and what their files show as PNG.

    Args:
        bench: measures.
        pictures: few.
        models: those whose settings are bit depths are left out.
        rates: bits per pixel.
        search: steps of latent search, and its tune (None: each model's own).
        realism: `points.heads_of` the models, and with how much their files are shown once more.

    Raises:
        VgicError: a file does not decode, or cannot be written.
    """
    models, folder = [model for model in models if not model.bit_depths], bench.context.folder
    rows: list[Row] = []
    for picture in pictures if models and rates else ():
        pixels = picture.image.width * picture.image.height
        smallest = max(len(codec.compress(picture.image, model=model, quality=1)) for model in models)
        ratios = [RGB_BITS / bpp for bpp in rates if bpp * pixels / 8 >= smallest]
        points = [ratio_points(model, ratios, *search) for model in models]
        files = [
            bench.run([picture], of_model, f"crops of {picture.name}") for of_model in points if of_model
        ]
        ours = sum(files, [])
        shown = bench.with_realism([picture], ours, *realism, "with realism")
        rows += [*ours, *shown, *bench.match([picture], BESIDE, sum(files[:1], []), "equal bytes")]
    keep_reconstructions(rows, folder)
    write_rows(folder / FILE, rows)
    return rows


def load(folder: Path) -> pd.DataFrame:
    """Rows that `measure` has kept in a folder, with `asked_bpp`, the rate that each was made for."""
    rows = to_frame(read_rows(folder / FILE))
    matched = rows["matched_to"].str.replace(r".*/", "", regex=True)
    made_for = rows["setting"].where(rows["matched_to"] == "", matched)
    return rows.assign(asked_bpp=RGB_BITS / asked_ratio(made_for))
