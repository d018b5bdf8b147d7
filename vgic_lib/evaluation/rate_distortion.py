# SPDX-License-Identifier: MIT
"""Rate-distortion curves, measured and published, and the Bjontegaard deltas between them.

A curve is some lines of a data frame with the same name in the column `curve`. The column `kind` says
whose it is: OURS, CLASSICAL or PUBLISHED. Every delta of the project comes from `bd_rate`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import bjontegaard
import numpy as np
import pandas as pd

from vgic_lib import paths
from vgic_lib.codec import DEFAULT_TUNE
from vgic_lib.datasets.sources import KODAK_SHA256
from vgic_lib.evaluation.classical import CLASSICAL as CLASSICAL_CODECS
from vgic_lib.evaluation.results import aggregate, asked_ratio, faithful, searched_tune, shown_realism
from vgic_lib.metrics.distortion import decibels
from vgic_lib.models.tunes import TUNED_MODELS

OURS, CLASSICAL, PUBLISHED = "ours", "classical", "published"
PUBLISHED_KODAK = paths.PUBLISHED / "kodak.csv"
KODAK_SIDES = {512, 768}  # pixels; some of the photographs stand upright
COMPARED_DB = (26.0, 40.0)  # deltas are means over what two curves share of this range of PSNR
FAMILIES = {  # shipped weights; others go by the name of their file
    "vaegan": "VAE-GAN", "hyperprior": "VGIC", "hyperprior-eye": "VGIC eye",
}  # fmt: skip


def curve_title(codec: str, bits: int = 0, search_steps: int = 0, setting: str = "") -> str:
    """Name of a measured rate-distortion curve for readers: model, bits, search, its tune, realism.

    The tune is named where it is not that of the model.
    """
    if codec in CLASSICAL_CODECS:
        return CLASSICAL_CODECS[codec].title
    family = codec.rpartition("-")[0] if bits else codec
    words = [FAMILIES.get(family, family)]
    words += [f"{bits} bits"] if bits else []
    words += [f"{search_steps} search step{'s' if search_steps > 1 else ''}"] if search_steps else []
    own_tune = next((tune for tune, model in TUNED_MODELS.items() if model == codec), DEFAULT_TUNE)
    tune, realism = searched_tune(setting), shown_realism(setting)
    words += [f"tune {tune}"] if tune != (own_tune if search_steps else DEFAULT_TUNE) else []
    words += [f"realism {realism:g}"] if realism else []
    return ", ".join(words)


def curves(rows: pd.DataFrame, realism: bool = False) -> pd.DataFrame:
    """`rows` that lie on a rate-distortion curve, with `curve` and `kind`, classical codecs first.

    A curve of a VAE-GAN joins its channel counts at one bit depth; any other, the qualities of its codec.
    Files that were made to have a certain length are on none; what was decoded with realism is, if `realism`
    says so, on one of its own.
    """
    rows = rows if realism else faithful(rows)
    rows = rows[(rows["matched_to"] == "") & asked_ratio(rows["setting"]).isna()]
    kind = np.where(rows["codec"].isin(list(CLASSICAL_CODECS)), CLASSICAL, OURS)
    rows = rows.assign(kind=kind).sort_values(["kind", "bits", "search_steps"], kind="stable")
    labels = rows[["codec", "bits", "search_steps", "setting"]].itertuples(index=False)
    return rows.assign(curve=[curve_title(*label) for label in labels])


def curve_points(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over pictures of each point of each curve: `aggregate`, the columns of `curves` and ms_ssim_db."""
    return with_decibels(curves(aggregate(rows)))


def with_decibels(points: pd.DataFrame) -> pd.DataFrame:
    """Add `ms_ssim_db`, which spreads the values of MS-SSIM near 1."""
    return points.assign(ms_ssim_db=decibels(1 - points["ms_ssim"]))


def published_points() -> pd.DataFrame:
    """Published curves on Kodak, means over its pictures.

    Columns: codec, curve, kind, bpp, psnr_db, ms_ssim and ms_ssim_db (NaN where not published),
    decoder_kmac_per_pixel (likewise), source.
    """
    points = with_decibels(pd.read_csv(PUBLISHED_KODAK))
    return points.assign(kind=PUBLISHED, curve=points.pop("title") + " (published)")


def is_kodak(rows: pd.DataFrame) -> bool:
    """Whether the pictures are those of the published curves: all of Kodak, whole."""
    names = {Path(name).stem for name in KODAK_SHA256}
    return set(rows["image"]) == names and {*rows["width"], *rows["height"]} == KODAK_SIDES


class BdRate(NamedTuple):
    """Bjontegaard delta: mean difference in rate at equal PSNR, and the PSNR range it is the mean over."""

    percent: float
    low_db: float
    high_db: float


def bd_rate(
    anchor: pd.DataFrame,
    test: pd.DataFrame,
    within_db: tuple[float, float] = COMPARED_DB,
    metric: str = "psnr_db",
) -> BdRate:
    """How much larger (negative: smaller) the files of `test` are at equal PSNR, or another metric.

    Piecewise cubic (PCHIP) interpolation of log rate over the metric; the mean over what both curves cover of
    `within_db`. NaN where they share nothing there.

    Args:
        anchor: curve to compare with; columns `bpp` and the metric.
        test: curve of the same form.
        within_db: range of the metric; curves may cover less of it.
        metric: column that rises with the rate.
    """
    shared = _shared(anchor, test, within_db, metric)
    if shared is None:
        return BdRate(*[float("nan")] * 3)
    area_a, area_t = (float(f.integrate(shared.low_db, shared.high_db)) for f in shared[:2])
    mean = (area_t - area_a) / (shared.high_db - shared.low_db)
    return BdRate(100 * (10**mean - 1), shared.low_db, shared.high_db)


def relative_rates(
    anchor: pd.DataFrame, test: pd.DataFrame, within_db: tuple[float, float] = COMPARED_DB
) -> pd.DataFrame:
    """What `bd_rate` is the mean of: `rate_percent` of the anchor's rate at each `psnr_db`."""
    shared = _shared(anchor, test, within_db, "psnr_db")
    psnr_db = np.linspace(shared.low_db, shared.high_db, 60) if shared else np.empty(0)
    ratio = 10 ** (shared.test(psnr_db) - shared.anchor(psnr_db)) if shared else psnr_db
    return pd.DataFrame({"psnr_db": psnr_db, "rate_percent": 100 * ratio})


class _Shared(NamedTuple):
    """Two curves as functions from PSNR to the logarithm of the rate, and where both are known."""

    anchor: Callable[[np.ndarray], np.ndarray]
    test: Callable[[np.ndarray], np.ndarray]
    low_db: float
    high_db: float


def _shared(
    anchor: pd.DataFrame, test: pd.DataFrame, within_db: tuple[float, float], metric: str
) -> _Shared | None:
    """Interpolated curves; None where they have nothing in common."""
    (rate_a, psnr_a), (rate_t, psnr_t) = _rising(anchor, metric), _rising(test, metric)
    if min(len(psnr_a), len(psnr_t)) < 2:
        return None
    low_db, high_db = max(psnr_a[0], psnr_t[0], within_db[0]), min(psnr_a[-1], psnr_t[-1], within_db[1])
    if low_db >= high_db:
        return None
    _, log_rate_a, log_rate_t = bjontegaard.bd_rate(
        rate_a, psnr_a, rate_t, psnr_t,
        method="pchip", require_matching_points=False, interpolators=True, min_overlap=0,
    )  # fmt: skip
    return _Shared(log_rate_a, log_rate_t, float(low_db), float(high_db))


def _rising(curve: pd.DataFrame, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Rates and PSNRs of a curve, in order, without points that cost more and are no better."""
    curve = curve.sort_values(["bpp", metric], ascending=[True, False])
    curve = curve[curve[metric] > curve[metric].cummax().shift(fill_value=-np.inf)]
    return curve["bpp"].to_numpy(), curve[metric].to_numpy()


def bd_table(rows: pd.DataFrame, anchor: str = "jpeg") -> pd.DataFrame:
    """BD-rate of every curve against a classical codec of the same run.

    If the pictures are those of Kodak, also against the published hyperprior of 2018; and the published
    curves then follow, against the published JPEG.

    Columns: curve, kind, `bd_rate_percent` of the mean curves with the range compared (low_db, high_db),
    `hyperprior_percent`, then mean, spread and number of the pictures' own BD-rates.
    """
    measured, published = curve_points(rows), published_points().iloc[: None if is_kodak(rows) else 0]
    hyperprior = published[published["codec"] == "bmshj2018-hyperprior"]
    by_picture = picture_table(rows, anchor).set_index("image")
    lines = []
    for points, title in ((measured, CLASSICAL_CODECS[anchor].title), (published, "JPEG (published)")):
        reference = points[points["curve"] == title]
        for name, curve in points.groupby("curve", sort=False):
            if name != title and not reference.empty:
                own = by_picture[name].dropna() if name in by_picture else pd.Series(dtype=float)
                spread = (own.mean(), own.std(ddof=0), len(own) or np.nan)
                overall, beside = bd_rate(reference, curve), bd_rate(hyperprior, curve).percent
                lines.append((name, curve["kind"].iloc[0], *overall, beside, *spread))
    names = ["curve", "kind", "bd_rate_percent", "low_db", "high_db", "hyperprior_percent"]
    own_names = ["bd_rate_mean_percent", "bd_rate_mean_percent_std", "images"]
    return pd.DataFrame(lines, columns=[*names, *own_names])


def picture_table(rows: pd.DataFrame, anchor: str = "jpeg") -> pd.DataFrame:
    """Each picture's own BD-rates against a classical codec: one line a picture, best first.

    Columns: image, then one for each curve, with its name. The order is that of the codec with the longest
    search, if it is there.
    """
    rows, title = curves(rows), CLASSICAL_CODECS[anchor].title
    ours = list(rows.loc[rows["kind"] == OURS, "curve"].unique())
    others = [name for name in rows["curve"].unique() if name not in (title, *ours)]
    lines = []
    for image, own in rows.groupby("image", sort=False):
        of = {name: own[own["curve"] == name] for name in (title, *ours, *others)}
        lines.append(
            {"image": image} | {name: bd_rate(of[title], of[name]).percent for name in ours + others}
        )
    table = pd.DataFrame(lines, columns=["image", *ours, *others])
    codec = rows.loc[(rows["kind"] == OURS) & (rows["bits"] == 0), "curve"].unique()
    known = [name for name in [*ours, *codec] if table[name].notna().any()]
    return table.sort_values(known[-1], kind="stable", ignore_index=True) if known else table
