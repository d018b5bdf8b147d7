# SPDX-License-Identifier: MIT
"""Curves of latent searches are means."""

import pandas as pd
import pytest

from vgic_lib.reporting import search_curves


def test_search_curves_are_means_over_pictures(traces: pd.DataFrame) -> None:
    traces.loc[traces["image"] == "a", "psnr_db"] += 1
    figure = search_curves.search_curves(traces)
    assert [len(ax.lines) for ax in figure.axes] == [4] * 4
    first = figure.axes[0].lines[0]
    assert first.get_label() == "gumbel, b4"
    assert first.get_ydata()[0] == pytest.approx(21.5) and first.get_xdata()[-1] == 100
    assert figure.axes[1].lines[0].get_xdata()[-1] == pytest.approx(10)


def test_saving_curves_are_means_over_pictures_and_settings(traces: pd.DataFrame) -> None:
    saving = traces["step"] / 10 + 2 * (traces["image"] == "a") + 4 * (traces["setting"] == "b4")
    figure = search_curves.saving_curves(traces.assign(saving_percent=saving))
    assert [len(ax.lines) for ax in figure.axes] == [2] * 2
    over_steps, over_seconds = (ax.lines[1] for ax in figure.axes)
    assert over_steps.get_label() == "noise"
    assert over_steps.get_ydata()[[0, -1]] == pytest.approx([3, 13])
    assert (over_steps.get_xdata()[-1], over_seconds.get_xdata()[-1]) == (100, 10)


def test_savings_by_steps_show_every_length_over_steps_and_seconds() -> None:
    table = pd.DataFrame({"steps": [20, 300], "time_s": [1.5, 22.0], "saving_percent": [3.0, 11.0]})
    over_steps, over_seconds = (ax.lines[0] for ax in search_curves.savings_by_steps(table).axes)
    assert list(over_steps.get_xdata()) == [20, 300] and list(over_seconds.get_xdata()) == [1.5, 22]
    assert list(over_steps.get_ydata()) == list(over_seconds.get_ydata()) == [3, 11]
