# SPDX-License-Identifier: MIT
"""Rows and points that tests measure and tabulate; the fixtures are there for all tests."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.fakes import FakeModel
from vgic_lib.evaluation import measure, results
from vgic_lib.evaluation.points import latent_points, operating_points


def points_of(model: FakeModel, bits: list[int]) -> list[measure.Point]:
    return latent_points(model, operating_points(model, [50], bits), [], 0)


@pytest.fixture
def context(tmp_path: Path) -> measure.Context:
    return measure.Context("test", tmp_path, 3, "abc1234", "cpu")


@pytest.fixture
def make_row(context: measure.Context) -> Callable[..., results.Row]:
    def make(**values: object) -> results.Row:
        defaults = {field.name: field.type() for field in dataclasses.fields(results.Row)}
        return results.Row(**(defaults | {"image": "a", "codec": "jpeg"} | values))

    return make


@pytest.fixture
def rows(make_row: Callable[..., results.Row]) -> pd.DataFrame:
    """Two pictures, n = 2 and 8 at 6 bits with and without search, JPEG as a ladder and at equal bytes."""
    made = []
    for image, shift in (("a", 0.0), ("b", 4.0)):
        for quality, (bpp, psnr) in enumerate(((0.2, 20), (0.4, 24), (0.8, 28), (1.6, 32))):
            made.append(
                make_row(image=image, setting=f"q{quality}", bpp=bpp, psnr_db=psnr + shift, bytes=100)
            )
        for n, bpp in ((2, 0.3), (8, 1.0)):
            for steps in (0, 20):
                psnr = 24 + 4 * np.log2(bpp / 0.4) + shift + steps / 10
                ours = {"num_channels": n, "bits": 6, "search_steps": steps, "bytes": 100, "bpp": bpp}
                label = {"codec": f"vaegan-{n}", "setting": f"b6-s{steps}"}
                made.append(make_row(image=image, psnr_db=psnr, **ours, **label))
                target = f"vaegan-{n}/b6-s{steps}"
                length = {(2, 0): 100, (2, 20): 120, (8, 0): 80, (8, 20): 97}[n, steps]
                made.append(
                    make_row(image=image, setting="q7", matched_to=target, bytes=length, psnr_db=22.5)
                )
    return results.to_frame(made)


@pytest.fixture
def codec_rows(rows: pd.DataFrame, make_row: Callable[..., results.Row]) -> pd.DataFrame:
    """The same, and the codec at five qualities, with search at four of them."""
    made = []
    for image in "ab":
        for quality in (1, 25, 50, 75, 100):
            for steps in (0, 300) if quality > 1 else (0,):
                values = {"quality": float(quality), "search_steps": steps, "bytes": 10 * quality}
                label = {"codec": "hyperprior", "setting": f"q{quality}-s{steps}"}
                made.append(
                    make_row(
                        image=image,
                        bpp=quality / 50 - steps / 1e4,
                        psnr_db=25 + quality / 8,
                        **values,
                        **label,
                    )
                )
                target = f"hyperprior/q{quality}-s{steps}"
                made.append(make_row(image=image, setting="q7", matched_to=target, bytes=10 * quality))
    return pd.concat([rows, results.to_frame(made)], ignore_index=True)
