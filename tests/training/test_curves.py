# SPDX-License-Identifier: MIT
"""Curves of a training run."""

import numpy as np
import pandas as pd
import pytest
from helpers.figures import texts

from vgic_lib.training.curves import RATE_CURVES, training_curves


@pytest.fixture
def training() -> pd.DataFrame:
    steps = np.arange(0, 400, 20)
    metrics = pd.DataFrame({"step": steps, "distortion": np.exp(-steps / 100)})
    metrics["generator_loss"] = np.where(steps < 200, np.nan, 1.0)
    metrics["validation_psnr_db_28"] = np.where(steps % 100, np.nan, 25 + steps / 100)
    metrics["validation_psnr_db_4"] = np.where(steps % 100, np.nan, 21 + steps / 100)
    metrics["validation_psnr_db_2"] = np.nan
    return metrics


def test_training_curves_leave_empty_columns_out(training: pd.DataFrame) -> None:
    figure = training_curves(training)
    words = texts(figure)
    assert {"n=4", "n=28", "distortion", "generator"} <= set(words)
    assert not {"n=2", "discriminator"} & set(words)
    assert len(training_curves(training[["step", "distortion"]]).axes) == 1


def test_training_curves_of_a_model_for_many_rates_show_rate_and_distortion() -> None:
    steps = np.arange(20, 401, 20)
    metrics = pd.DataFrame({"step": steps, "loss": 400 / steps})
    for place, quality in enumerate(("0", "2", "4.5", "7")):
        values = {"bpp": 0.1 * 3**place, "psnr_db": 25 + 3 * place + steps / 100}
        for name, value in values.items():
            metrics[f"validation_{name}_{quality}"] = np.where(steps % 40, np.nan, value)
    figure = training_curves(metrics)
    curves = figure.axes[1].lines
    assert [curve.get_label() for curve in curves][:: len(curves) - 1] == ["step 40", "step 400"]
    assert len(curves) == RATE_CURVES
    assert list(curves[-1].get_xdata()) == pytest.approx([0.1, 0.3, 0.9, 2.7])
    assert list(curves[-1].get_ydata()) == pytest.approx([29, 32, 35, 38])
    assert "training" in texts(figure)
