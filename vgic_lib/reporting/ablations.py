# SPDX-License-Identifier: MIT
"""What was tried on the way to the shipped codec: short trainings of variants, one change each.

`benchmarks/ablations.py` makes the table; here it is summed up and drawn.
"""

from itertools import cycle
from pathlib import Path

import pandas as pd

from vgic_lib.evaluation.rate_distortion import bd_rate
from vgic_lib.figures import ACCENT, CYCLE, GRAY, Figure, style
from vgic_lib.reporting.typeset import Column

TABLE = Path(__file__).with_name("ablations.csv")
REFERENCE = "reference"
DASHES = ("-", (0, (4, 2)), (0, (1, 1.2)))
CAPTION = "Variants of the codec after short trainings on equal numbers of pixels, best first."
NOTES = (
    "Loss: mean over four qualities of (lambda * 255**2 * MSE + bits per pixel) / sqrt(lambda) on validation "
    "photographs, estimated rates. BD-rate: against the reference configuration, same photographs; negative "
    "is better. Only differences within the table count: full training takes many times longer."
)


def load() -> pd.DataFrame:
    """Validation curves of all variants, one line for each validation."""
    return pd.read_csv(TABLE, keep_default_na=False)


def curve(line: dict) -> pd.DataFrame:
    """The rate-distortion curve of one validation: columns bpp and psnr_db."""
    prefix = "validation_bpp_"
    names = [name.removeprefix(prefix) for name in line if name.startswith(prefix)]
    points = [(line[prefix + name], line[f"validation_psnr_db_{name}"]) for name in names]
    return pd.DataFrame(points, columns=["bpp", "psnr_db"])


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One line for each variant at its end, best first, with its BD-rate against REFERENCE in percent."""
    last = table.sort_values("step").groupby("variant", sort=False).tail(1)
    reference = curve(last[last["variant"] == REFERENCE].iloc[0].to_dict())
    deltas = [bd_rate(reference, curve(line)) for line in last.to_dict("records")]
    last = last.assign(bd_rate_percent=[delta.percent for delta in deltas])
    return last.sort_values("validation_loss", ignore_index=True)


def columns() -> list[Column]:
    """What of `summary` is printed."""
    return [
        Column("variant", "Variant"),
        Column("change", "Change"),
        Column("decoder_kmac_per_pixel", "Decoder (kMAC/pixel)", 2),
        Column("validation_loss", "Loss", 3),
        Column("bd_rate_percent", "BD-rate (%)", 1),
    ]


def figure(table: pd.DataFrame) -> Figure:
    """Validation loss of each variant over its steps."""
    looks = cycle((dash, colour) for dash in DASHES for colour in CYCLE if colour not in (ACCENT, GRAY))
    with style():
        drawing = Figure(figsize=(9.5, 4.8), layout="constrained")
        ax = drawing.subplots()
        for name in summary(table)["variant"][::-1]:
            line = table[table["variant"] == name]
            dash, colour = ("-", ACCENT) if name == REFERENCE else next(looks)
            width = 2.4 if name == REFERENCE else 1.3
            ax.plot(
                line["step"], line["validation_loss"], color=colour, linestyle=dash, linewidth=width,
                marker="o", markersize=3, label=name,
            )  # fmt: skip
        ax.set(title="Validation loss of short trainings", xlabel="step")
        drawing.legend(loc="outside right upper")
    return drawing
