# SPDX-License-Identifier: MIT
"""Perceptual scores are kept: each file is judged once."""

import pytest
from helpers.samples import smooth_pictures
from PIL import Image

from vgic_lib.errors import DataError
from vgic_lib.evaluation import perceptual_scores, points
from vgic_lib.evaluation.bench import Bench
from vgic_lib.evaluation.measure import Context, make_picture
from vgic_lib.metrics import perceptual


def test_each_file_is_judged_once(tmp_path, monkeypatch):
    image = Image.fromarray(smooth_pictures(1, 48, 64)[0])
    pictures = [make_picture(f"p{k}", "test", image.rotate(90 * k)) for k in range(2)]
    for picture in pictures:
        path = tmp_path / "files" / f"{picture.name}.{picture.image_id}" / "original.png"
        path.parent.mkdir(parents=True)
        picture.image.save(path)
    bench = Bench(Context("run", tmp_path, 0, "", ""))
    rows = bench.run(pictures, points.ladder_points(["jpeg"])[:5], "classical codecs")
    calls = []
    judge = perceptual.Metric("first", lambda x, x_hat: calls.append(x.shape) or 50.0)
    monkeypatch.setitem(perceptual.METRICS, "ssimulacra2", judge)
    monkeypatch.setitem(perceptual.METRICS, "st_lpips", perceptual.Metric("second", lambda x, x_hat: 0.125))
    absent = perceptual.Metric(
        "absent", lambda x, x_hat: pytest.fail("not installed"), package="no_such_package"
    )
    monkeypatch.setitem(perceptual.METRICS, "cvvdp", absent)
    assert perceptual_scores.load(tmp_path).empty
    scores = perceptual_scores.judge(rows, tmp_path, 1)
    assert list(scores["setting"]) == [row.setting for row in rows[:5:3]]  # every third quality
    assert set(scores["image"]) == {"p0"} and len(calls) == 2
    assert perceptual_scores.judge(rows, tmp_path, 2)["image"].nunique() == 2
    assert len(calls) == 4
    kept = perceptual_scores.load(tmp_path)
    assert list(kept.columns) == perceptual_scores.columns() and len(kept) == 4
    assert set(kept["image_id"]) == {picture.image_id for picture in pictures}
    assert kept["cvvdp"].isna().all()
    assert [tuple(key) for key in kept[[*perceptual_scores.KEY]].to_numpy()[:2]] == [
        row.key for row in rows[:5:3]
    ]
    mixed = perceptual_scores.judged([*rows[:2], *rows[5:7], *rows[2:5], *rows[7:]], 2)
    assert [row.image for row in mixed] == ["p0", "p0", "p1", "p1"]
    monkeypatch.setitem(perceptual.METRICS, "third", perceptual.Metric("third", lambda x, x_hat: 7.0))
    assert perceptual_scores.load(tmp_path)["third"].isna().all()  # there is no column of it yet
    again = perceptual_scores.judge(rows, tmp_path, 1)
    assert again["third"].eq(7).all() and again["ssimulacra2"].eq(50).all() and len(calls) == 4
    assert perceptual_scores.load(tmp_path)["third"].eq(7).tolist() == [True, True, False, False]
    monkeypatch.delitem(perceptual.METRICS, "third")
    with pytest.raises(DataError, match="run notebook 04 again"):  # nothing of this version reads that column
        perceptual_scores.load(tmp_path)
