# SPDX-License-Identifier: MIT
"""The comparison of networks with and without their adversary, and the record that comes along."""

import numpy as np
import pytest
from helpers.figures import texts
from helpers.samples import smooth_pictures

from vgic_lib.metrics import perceptual
from vgic_lib.metrics.distortion import psnr_db
from vgic_lib.models.store import load_model
from vgic_lib.reporting import adversary


@pytest.fixture(scope="module")
def judged():
    """Two pictures, files of two channel counts, cheap judges, and one that is not to be asked."""
    pictures = smooth_pictures(2, 70, 66)
    with pytest.MonkeyPatch.context() as patch:
        judges = {"ssimulacra2": psnr_db, "st_lpips": lambda x, x_hat: 0.25, "cvvdp": None}
        patch.setattr(perceptual, "judges", lambda: judges)
        return pictures, adversary.reconstruct(pictures, {"few": "vaegan-2", "many": "vaegan-28"})


def test_files_are_judged_by_what_they_decode_to(judged):
    pictures, rows = judged
    assert rows["arm"].tolist() == ["few", "many"] * 2
    for row in rows.to_dict("records"):
        x = pictures[row["picture"]]
        assert row["psnr_db"] == row["ssimulacra2"] == psnr_db(x, row["pixels"]) > 15
        assert row["pixels"].shape == x.shape
    few, many = (rows[rows["arm"] == arm] for arm in ("few", "many"))
    assert (few["bpp"].to_numpy() < many["bpp"].to_numpy()).all()


def test_means_of_an_arm_and_the_distance_of_its_patches(judged, monkeypatch):
    pictures, rows = judged
    monkeypatch.setattr(
        adversary, "patch_kernel_distance", lambda x, y: np.abs(np.subtract(x, y, dtype=float)).mean()
    )
    table = adversary.summary(rows, pictures)
    assert table["arm"].tolist() == ["few", "many"]
    assert table["psnr_db"].tolist() == rows.groupby("arm")["psnr_db"].mean().tolist()
    assert table["patch_distance"][1] < table["patch_distance"][0]
    assert {column.name for column in adversary.columns()} == {*table} | {"updates", "num_channels"}


def test_the_comparison_names_arms_and_scores(judged):
    pictures, rows = judged
    words = texts(adversary.comparison(rows, pictures))
    assert {"original", "few", "many"} <= set(words)
    assert f"{rows['psnr_db'][0]:.2f} dB, ST-LPIPS 0.250, {rows['bpp'][0]:.2f} bpp" in words


def test_centres_are_cut_from_the_middle():
    large, small = np.zeros((300, 260, 3), np.uint8), np.zeros((40, 300, 3), np.uint8)
    large[22, 2] = 9
    cut, kept = adversary.centres([large, small])
    assert (cut.shape, kept.shape) == ((256, 256, 3), (40, 256, 3))
    assert cut[0, 0].tolist() == [9, 9, 9]


def test_the_record_that_comes_along():
    """As published the discriminator stays at chance; in the runs that are judged it learns."""
    table, game = adversary.load(), adversary.load_game()
    assert {column.name for column in adversary.columns()} <= set(table)
    assert set(adversary.MODELS) < set(table["arm"])
    assert adversary.PICTURE.is_file()
    late = game.groupby("arm").tail(40)
    right = ((late["accuracy_real"] + late["accuracy_fake"]) / 2).groupby(late["arm"]).mean()
    assert abs(right["as published"] - 0.5) < 0.1 < right["with the adversary"] - 0.5
    assert "with the adversary" in texts(adversary.game(game))


@pytest.mark.parametrize("model", adversary.MODELS.values())
def test_the_weights_that_come_along_serve_four_channels(model):
    assert load_model(model).num_channels == 4
