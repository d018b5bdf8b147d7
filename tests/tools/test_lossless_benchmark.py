# SPDX-License-Identifier: MIT
"""The benchmark of lossless files: files that have a row are not made again, and what its tables say."""

import runpy

import numpy as np
import pandas as pd
import pytest
import skimage
from helpers import PROJECT
from PIL import Image


@pytest.fixture(scope="module")
def tool():
    return runpy.run_path(str(PROJECT / "benchmarks" / "lossless.py"))


@pytest.fixture(scope="module")
def measured(tool, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    Image.fromarray(skimage.data.astronaut()[:48, 100:160]).save(folder / "a.png")
    tool["measure"](folder, folder / "rows.csv", centres=False)
    return folder


def test_rows(tool, measured, monkeypatch):
    rows = pd.read_csv(measured / "rows.csv")
    exact = rows[(rows["setting"] == "lossless") & (rows["codec"] != "AVIF")]
    assert len(exact) == 6 and (exact["largest_error"] == 0).all()
    assert exact.set_index("codec")["bytes"].loc[["VGIC", tool["PLAIN"]]].nunique() == 1  # no scan, no JPEG
    near = rows[rows["setting"].str.startswith("error")].set_index("setting")["largest_error"]
    assert near.to_dict() == {"error 4": 4, "error 2": 2, "error 1": 1}
    text = (measured / "rows.csv").read_text()
    monkeypatch.setitem(tool["measure"].__globals__, "row", None)  # nothing is left to be done
    tool["measure"](measured, measured / "rows.csv", centres=False)
    assert (measured / "rows.csv").read_text() == text


def test_tables_and_figure(tool, measured):
    rows = pd.read_csv(measured / "rows.csv")
    table = tool["lossless_table"](rows).set_index("codec")
    assert table["against_vgic_percent"]["VGIC"] == 0
    ratio = rows.set_index(["codec", "setting"])["bytes"]
    assert table["against_vgic_percent"]["PNG"] == pytest.approx(
        100 * (ratio["PNG", "lossless"] / ratio["VGIC", "lossless"] - 1), abs=1e-3
    )
    bounded = tool["bounded_table"](rows)
    assert bounded["VGIC"].is_monotonic_increasing or len(bounded) < 7
    text = tool["markdown"](bounded, tool["BOUNDED_COLUMNS"])
    assert text.count("\n") == len(bounded) + 2
    points = tool["curves"](rows)
    assert points[points["setting"] == "lossless"]["psnr_db"].isna().all()
    assert len(tool["figure"](points).axes) == 1


def test_psnr_at_equal_bytes(tool):
    rows = pd.DataFrame({"bytes": [100, 400, 900], "psnr_db": [30.0, 36.0, 100.0]})
    assert tool["at_bytes"](rows, 200) == pytest.approx(33)
    assert tool["at_bytes"](rows, 800) == 36 and tool["at_bytes"](rows, 99) is None
    assert np.isclose(tool["at_bytes"](rows, 100), 30)
