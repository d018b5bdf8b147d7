# SPDX-License-Identifier: MIT
"""What the adversary of 2020 does: networks trained on from the same weights with it and without it.

`benchmarks/adversary.py` makes the tables and the picture that come along; the weights with the adversary
come along too, so that a notebook can judge them on other photographs.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from PIL import Image

from vgic_lib import codec
from vgic_lib.figures import ACCENT, CYCLE, GRAY, Figure, blank, style
from vgic_lib.images import centre_crop, to_array
from vgic_lib.metrics import perceptual
from vgic_lib.metrics.distortion import decibels, quality
from vgic_lib.metrics.realism import patch_kernel_distance
from vgic_lib.progress import progress
from vgic_lib.reporting.typeset import Column

TABLE = Path(__file__).with_name("adversary.csv")
GAME = Path(__file__).with_name("adversary_game.csv")
PICTURE = Path(__file__).with_name("adversary.jpg")
MODELS = {"nested weights": "vaegan-4", "with the adversary": "vaegan-adversarial-4"}  # that come along
JUDGES = ("ssimulacra2", "st_lpips")  # of `perceptual.judges`
QUALITY = 50  # of the VAE-GAN: 6 bits
SIDE = 256  # pixels: centres are judged
CAPTION = "n channels, 6 bits, trained on from the same weights with the adversary and without it."
NOTES = (
    "Means over the centres (256 x 256) of photographs that no training and no choice has seen; files, "
    "decoded. Updates: of encoder and generator. Patch distance: kernel distance between the patches of "
    "originals and those of reconstructions; lower is closer to photographs. Each n was judged on other "
    "photographs, so its lines compare with each other only."
)
COLOURS = (GRAY, CYCLE[1], ACCENT)  # of the runs with a discriminator
_SMOOTH = 9  # steps of a running mean


def load() -> pd.DataFrame:
    """Means of each arm over photographs, one line for each arm and channel count (`num_channels`)."""
    return pd.read_csv(TABLE)


def load_game() -> pd.DataFrame:
    """Losses and accuracies of each step of the runs with a discriminator; column arm names the run."""
    return pd.read_csv(GAME)


def columns() -> list[Column]:
    """What is printed of `load` and of `summary`."""
    digits = {"bpp": 3, "psnr_db": 2, "ssim": 3, "ms_ssim_db": 2, "ssimulacra2": 1, "st_lpips": 3}
    titles = {"bpp": "bits per pixel", "psnr_db": "PSNR (dB)", "ssim": "SSIM", "ms_ssim_db": "MS-SSIM (dB)"}
    titles |= {"ssimulacra2": "SSIMULACRA2", "st_lpips": "ST-LPIPS"}
    scores = [Column(name, titles[name], count) for name, count in digits.items()]
    return [
        Column("num_channels", "n", 0),
        Column("arm", "Weights"),
        Column("updates", "Updates", 0),
        *scores,
        Column("patch_distance", "Patch distance", 3),
    ]


def centres(photographs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Middles (SIDE, SIDE, 3) of pictures (H, W, 3) uint8; of smaller ones what is there."""
    return [to_array(centre_crop(Image.fromarray(pixels), SIDE, SIDE)) for pixels in photographs]


def reconstruct(pictures: Sequence[np.ndarray], models: Mapping[str, str]) -> pd.DataFrame:
    """Make a file of each picture with each model, decode it, and judge what comes out.

    Args:
        pictures: (H, W, 3) uint8 each.
        models: names or paths of VAE-GANs, by name of the arm.

    Returns:
        Columns picture (its place), arm, bpp, psnr_db, ssim, ms_ssim_db, ssimulacra2, st_lpips, and pixels:
        the decoded picture (H, W, 3) uint8.

    Raises:
        ModelError, ParameterError: see `codec.compress` and `perceptual`.
    """
    rows, judges = [], perceptual.judges()
    for place, x in enumerate(progress(pictures, "judge pictures")):
        for arm, model in models.items():
            data = codec.compress(Image.fromarray(x), model=model, quality=QUALITY)
            x_hat = to_array(codec.decompress(data))
            found = quality(x, x_hat)
            scores = {name: judges[name](x, x_hat) for name in JUDGES}
            rows.append(
                {"picture": place, "arm": arm, "bpp": 8 * len(data) / (x.shape[0] * x.shape[1])}
                | {"psnr_db": found.psnr_db, "ssim": found.ssim, "ms_ssim_db": decibels(1 - found.ms_ssim)}
                | scores
                | {"pixels": x_hat}
            )
    return pd.DataFrame(rows)


def summary(rows: pd.DataFrame, pictures: Sequence[np.ndarray]) -> pd.DataFrame:
    """Means of each arm, and the distance between its patches and those of the originals.

    Args:
        rows: as `reconstruct` makes them.
        pictures: the originals.

    Raises:
        ParameterError: fewer than two pictures hold a patch.
    """
    means = rows.drop(columns=["picture", "pixels"]).groupby("arm", sort=False).mean()
    distances = [
        patch_kernel_distance(pictures, rows[rows["arm"] == arm]["pixels"].tolist()) for arm in means.index
    ]
    return means.assign(patch_distance=distances).reset_index()


def comparison(rows: pd.DataFrame, pictures: Sequence[np.ndarray]) -> Figure:
    """The pictures of each arm beside the originals, at one scale."""
    arms = list(rows["arm"].unique())
    with style():
        figure = Figure(figsize=(2.6 * (1 + len(arms)), 2.9 * len(pictures)), layout="constrained")
        grid = figure.subplots(len(pictures), 1 + len(arms), squeeze=False)
        blank(grid.ravel())
        for place, line in enumerate(grid):
            line[0].imshow(pictures[place])
            for ax, arm in zip(line[1:], arms, strict=True):
                (row,) = rows[(rows["picture"] == place) & (rows["arm"] == arm)].to_dict("records")
                ax.imshow(row["pixels"])
                score = f"{row['psnr_db']:.2f} dB, ST-LPIPS {row['st_lpips']:.3f}, {row['bpp']:.2f} bpp"
                ax.set_xlabel(score, fontsize=8, labelpad=3)
        for ax, title in zip(grid[0], ["original", *arms], strict=True):
            ax.set_title(title, loc="center", pad=4)
    return figure


def game(table: pd.DataFrame) -> Figure:
    """How often the discriminator is right, and what it costs the generator, over the steps of each run."""
    with style():
        figure = Figure(figsize=(9.8, 3.4), layout="constrained")
        accuracy, loss = figure.subplots(1, 2)
        for (arm, rows), colour in zip(table.groupby("arm", sort=False), COLOURS, strict=False):
            right = (rows["accuracy_real"] + rows["accuracy_fake"]) / 2
            _running(accuracy, rows["step"], right, colour, arm)
            _running(loss, rows["step"], rows["adversarial_loss"], colour, arm)
        accuracy.axhline(0.5, color=GRAY, linewidth=0.8)
        accuracy.set(title="Discriminator: fraction right", xlabel="step", ylim=(0.3, 1.02))
        loss.set(title="Adversarial loss of the generator", xlabel="step")
        accuracy.legend()
    return figure


def _running(ax: Axes, steps: pd.Series, values: pd.Series, colour: str, label: str) -> None:
    smooth = values.rolling(_SMOOTH, min_periods=1, center=True).mean()
    ax.plot(steps, smooth, color=colour, label=label)
