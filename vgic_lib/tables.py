# SPDX-License-Identifier: MIT
"""Rows to the tables of a report: results by channel count, rate-distortion curves, Bjontegaard deltas."""

from collections.abc import Sequence
from typing import NamedTuple

import bjontegaard
import numpy as np
import pandas as pd

from vgic_lib.classical import CLASSICAL
from vgic_lib.errors import ParameterError
from vgic_lib.results import aggregate
from vgic_lib.typeset import Column

SAME_LENGTH = 0.05  # files whose mean lengths differ by more are not called equally long

FAMILIES = {"vaegan": "VAE-GAN"}  # shipped weights; others go by the name of their file


class Published(NamedTuple):
    """What the 2020 project reports for one channel count, and the same on RGB."""

    num_channels: int
    nominal_cr: float
    ssim: float
    psnr_db: float
    ssim_rgb: float
    psnr_db_rgb: float


# Published: README of github.com/vineeths96/Variational-Generative-Image-Compression. Its metrics count a
# constant alpha channel. On RGB: measured on the ten reconstructions that it shows.
PUBLISHED_2020 = (
    Published(28, 1.74, 0.83, 24.79, 0.784, 23.55),
    Published(16, 3.06, 0.80, 24.37, 0.742, 23.12),
    Published(8, 6.12, 0.81, 24.06, 0.748, 22.81),
    Published(4, 12.24, 0.79, 23.57, 0.721, 22.23),
    Published(2, 24.49, 0.71, 21.57, 0.625, 20.33),
)


def results_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The table of 2020, by channel count, with what was measured beside what was published.

    For each channel count: the published line, the same on RGB, then one line for each bit depth, without
    and with latent search. Every line of ours carries PSNR, SSIM and rate of each classical codec at the
    nearest real rate, in columns `<metric>_<codec>`; `note_<codec>` is "*" or "†" where its files are more
    than 5% shorter or longer all the same.

    Args:
        rows: as `results.to_frame` makes them.
    """
    means = aggregate(rows)
    ours = means[means["num_channels"] > 0].sort_values(["bits", "search_steps"])
    matched = means[means["matched_to"] != ""]
    lines: list[dict[str, object]] = []
    published = {line.num_channels: line for line in PUBLISHED_2020}
    for num_channels in sorted({*ours["num_channels"]}, reverse=True):
        if num_channels in published:
            lines += _published_lines(published[num_channels])
        for record in ours[ours["num_channels"] == num_channels].to_dict("records"):
            target = f"{record['codec']}/{record['setting']}"
            beside = matched[matched["matched_to"] == target].to_dict("records")
            method = curve_title(record["codec"], record["bits"], record["search_steps"])
            lines.append({"method": method, **record, **_beside(record, beside)})
    frame = pd.DataFrame(lines)
    return frame.drop(columns=["setting", "matched_to"], errors="ignore")


def _published_lines(line: Published) -> list[dict[str, object]]:
    common = {"codec": "2020", "num_channels": line.num_channels, "nominal_cr": line.nominal_cr}
    return [
        {"method": "2020, as published", **common, "psnr_db": line.psnr_db, "ssim": line.ssim},
        {"method": "2020, on RGB", **common, "psnr_db": line.psnr_db_rgb, "ssim": line.ssim_rgb},
    ]


def _beside(target: dict, matched: Sequence[dict]) -> dict[str, object]:
    """Columns of the classical codecs for one line of ours."""
    columns: dict[str, object] = {}
    for record in matched:
        for metric in ("psnr_db", "ssim", "ms_ssim", "bpp"):
            columns[f"{metric}_{record['codec']}"] = record[metric]
        ratio = record["bytes"] / target["bytes"]
        columns[f"note_{record['codec']}"] = (
            "*" if ratio < 1 - SAME_LENGTH else "†" if ratio > 1 + SAME_LENGTH else ""
        )
    return columns


def results_caption(rows: pd.DataFrame) -> str:
    """Sentence above the table: which pictures, how many, how large."""
    sizes = rows.drop_duplicates(["image", "image_id"])
    common = sizes[["width", "height"]].drop_duplicates()
    size = f", {common['width'].iloc[0]} × {common['height'].iloc[0]} pixels" if len(common) == 1 else ""
    plural = "s" if len(sizes) > 1 else ""
    return f"Results by number of latent channels: {len(sizes)} picture{plural}{size}, real files."


RESULTS_NOTES = (
    "Means over the pictures, ± standard deviation between them. PSNR and SSIM (flat 7 × 7 window) on "
    "decoded 8-bit RGB. Nominal CR: pixel values / latent elements, the ratio of 2020, which counts no "
    "bits. Real CR: bytes of 24-bit RGB / bytes of the file; bpp: bits of the file per pixel. Last "
    "columns: PSNR of each classical codec with the file of nearest length to ours (* still more than "
    "5% shorter, † longer: it has no closer one). The lines of 2020 are from other pictures: as "
    "published, with a constant alpha channel counted, which adds 1.25 dB; on RGB, measured on the ten "
    "reconstructions shown there."
)


def results_columns(table: pd.DataFrame) -> list[Column]:
    """What of `results_table` is printed."""
    columns = [
        Column("num_channels", "Channels", 0),
        Column("method", "Method"),
        Column("nominal_cr", "Nominal CR", 2),
        Column("compression_ratio", "Real CR", 2),
        Column("bpp", "bpp", 2),
        Column("psnr_db", "PSNR (dB)", 2, spread=True),
        Column("ssim", "SSIM", 3),
    ]
    beside = [codec for codec in CLASSICAL.values() if f"psnr_db_{codec.name}" in table]
    return columns + [
        Column(f"psnr_db_{c.name}", f"{c.title} (dB)", 2, mark=f"note_{c.name}") for c in beside
    ]


def curve_title(codec: str, bits: int = 0, search_steps: int = 0) -> str:
    """Name of a rate-distortion curve for readers."""
    if not bits:
        return CLASSICAL[codec].title
    family = codec.rpartition("-")[0]
    return f"{FAMILIES.get(family, family)}, {bits} bits" + (
        f", {search_steps} search steps" if search_steps else ""
    )


def curves(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` that lie on a rate-distortion curve, with the curve's name in `curve`, classical ones first.

    A curve of ours joins the channel counts at one bit depth; one of a classical codec, its qualities.
    """
    rows = rows[rows["matched_to"] == ""].sort_values(["bits", "search_steps"], kind="stable")
    titles = [
        curve_title(*label) for label in rows[["codec", "bits", "search_steps"]].itertuples(index=False)
    ]
    return rows.assign(curve=titles)


def curve_points(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over pictures of each point of each curve, as `aggregate` gives it, with the column `curve`."""
    return curves(aggregate(rows))


def showcase(
    rows: pd.DataFrame, image: str = "", bits: int = 6, beside: Sequence[str] = ("jpeg", "avif")
) -> pd.DataFrame:
    """Rows of one picture for the figure of reconstructions.

    Args:
        rows: as `results.to_frame` makes them.
        image: name of the picture; empty for the first.
        bits: bit depth shown, or else the nearest there is; of its searches the longest.
        beside: classical codecs to show at equal bytes.

    Raises:
        ParameterError: there is no such picture.
    """
    image = image or rows["image"].iloc[0]
    rows = rows[rows["image"] == image]
    ours = rows[rows["num_channels"] > 0]
    if ours.empty:
        raise ParameterError(
            f"picture {image!r} was not compressed; name one of the manifest, or leave it empty"
        )
    ours = ours[(ours["bits"] - bits).abs() == (ours["bits"] - bits).abs().min()]
    ours = ours.sort_values(["num_channels", "search_steps"], ascending=False).drop_duplicates("num_channels")
    targets = ours["codec"] + "/" + ours["setting"]
    return pd.concat([ours, rows[rows["matched_to"].isin(targets) & rows["codec"].isin(beside)]])


class BdRate(NamedTuple):
    """Bjontegaard delta: mean difference in rate at equal PSNR, and the PSNR range it is the mean over."""

    percent: float
    low_db: float
    high_db: float


def bd_rate(anchor: pd.DataFrame, test: pd.DataFrame) -> BdRate:
    """How much larger (negative: smaller) the files of `test` are at equal PSNR.

    Piecewise cubic (PCHIP) interpolation of log rate over PSNR, on the range that both curves cover.
    NaN where they share none.

    Args:
        anchor: curve to compare with; columns `bpp` and `psnr_db`.
        test: curve of the same form.
    """
    (rate_a, psnr_a), (rate_t, psnr_t) = _rising(anchor), _rising(test)
    low_db, high_db = max(psnr_a[0], psnr_t[0]), min(psnr_a[-1], psnr_t[-1])
    if min(len(psnr_a), len(psnr_t)) < 2 or low_db >= high_db:
        return BdRate(*[float("nan")] * 3)
    percent = bjontegaard.bd_rate(
        rate_a, psnr_a, rate_t, psnr_t, method="pchip", require_matching_points=False, min_overlap=0
    )
    return BdRate(float(percent), float(low_db), float(high_db))


def _rising(curve: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Rates and PSNRs of a curve, in order, without points that cost more and are no better."""
    curve = curve.sort_values("bpp")
    curve = curve[curve["psnr_db"] > curve["psnr_db"].cummax().shift(fill_value=-np.inf)]
    return curve["bpp"].to_numpy(), curve["psnr_db"].to_numpy()


def bd_table(rows: pd.DataFrame, anchor: str = "jpeg") -> pd.DataFrame:
    """BD-rate of every curve against a classical codec.

    Columns: `bd_rate_percent` of the mean curves with the range compared, then mean, spread and number of
    the pictures' own BD-rates.
    """
    rows = curves(rows)
    title = CLASSICAL[anchor].title
    lines = []
    for name, curve in rows.groupby("curve", sort=False):
        reference = rows[rows["curve"] == title]
        if name == title or reference.empty:
            continue
        own = [
            bd_rate(reference[reference["image"] == image], points).percent
            for image, points in curve.groupby("image")
        ]
        own = np.array([percent for percent in own if np.isfinite(percent)])
        overall = bd_rate(_mean_curve(reference), _mean_curve(curve))
        spread = (own.mean(), own.std()) if own.size else (np.nan, np.nan)
        lines.append((name, title, *overall, *spread, own.size))
    names = ["curve", "anchor", "bd_rate_percent", "low_db", "high_db"]
    return pd.DataFrame(lines, columns=[*names, "bd_rate_mean_percent", "bd_rate_mean_percent_std", "images"])


def _mean_curve(curve: pd.DataFrame) -> pd.DataFrame:
    return curve.groupby(["num_channels", "setting"], sort=False)[["bpp", "psnr_db"]].mean()


BD_CAPTION = "Bjontegaard delta of the rate against JPEG (baseline, 4:2:0), PSNR on RGB."
BD_NOTES = (
    "Negative: smaller files at equal PSNR. Mean over the stated PSNR range, the one that both mean "
    "curves cover, by piecewise cubic interpolation (PCHIP) of log rate; numbers over different ranges "
    "do not compare. Per picture: mean ± standard deviation of each picture's own delta, over its own "
    "range. A curve of the VAE-GAN joins its channel counts. Empty: no PSNR that both reach."
)
BD_COLUMNS = (
    Column("curve", "Codec"),
    Column("bd_rate_percent", "BD-rate (%)", 1),
    Column("low_db", "from (dB)", 1),
    Column("high_db", "to (dB)", 1),
    Column("bd_rate_mean_percent", "per picture (%)", 1, spread=True),
    Column("images", "pictures", 0),
)
