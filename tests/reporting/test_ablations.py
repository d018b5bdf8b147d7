# SPDX-License-Identifier: MIT
"""The table of short trainings that comes with VGIC, and what is made of it."""

import pandas as pd
import pytest

from vgic_lib.reporting import ablations
from vgic_lib.training.config import HyperpriorConfig
from vgic_lib.training.settings import load_config


def lines(variant, saving):
    """Two validations of a variant whose files are smaller by `saving`."""
    made = []
    for step in (100, 200):
        line = {"variant": variant, "change": "", "decoder_kmac_per_pixel": 10.0, "step": step}
        line["validation_loss"] = 12 - step / 100 - saving
        for name, bpp, psnr_db in (("0", 0.2, 27.0), ("2", 0.5, 30.0), ("4.5", 1.0, 33.0), ("7", 2.0, 36.0)):
            line |= {f"validation_bpp_{name}": bpp * (1 - saving), f"validation_psnr_db_{name}": psnr_db}
        made.append(line)
    return made


def test_variants_are_compared_at_their_end_best_first():
    table = pd.DataFrame(lines("worse", -0.1) + lines("reference", 0.0) + lines("better", 0.2))
    summary = ablations.summary(table)
    assert summary["variant"].tolist() == ["better", "reference", "worse"]
    assert summary["step"].tolist() == [200] * 3
    assert summary["bd_rate_percent"].tolist() == pytest.approx([-20, 0, 10])


def test_the_table_that_comes_along():
    table = ablations.load()
    assert {column.name for column in ablations.columns()} <= set(ablations.summary(table))
    assert table.groupby("variant")["step"].max().nunique() == 1  # equal numbers of pixels
    for variant, change in table.groupby("variant")["change"].first().items():
        words = [word.partition("=") for word in change.split("; ") if word]
        load_config(HyperpriorConfig, {name: value for name, _, value in words}, HyperpriorConfig())
        assert bool(words) == (variant != ablations.REFERENCE)
    drawn = ablations.figure(table)
    legend = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert sorted(legend) == sorted(table["variant"].unique())
