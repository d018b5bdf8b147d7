# SPDX-License-Identifier: MIT
"""Rows to the table of results: ours at every setting, 2020 as published, classical codecs at equal bytes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from vgic_lib.evaluation.classical import CLASSICAL
from vgic_lib.evaluation.rate_distortion import curve_title
from vgic_lib.evaluation.results import aggregate, asked_ratio, faithful
from vgic_lib.metrics.distortion import HIGHEST_DB
from vgic_lib.reporting.typeset import Column

SAME_LENGTH = 0.05  # files whose mean lengths differ by more are not called equally long


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
    """One line for each setting of ours: the codec by quality, then the table of 2020 by channel count.

    For each channel count: the published line, the same on RGB, the codec at that compression ratio of real
    files, then one line for each bit depth, without and with latent search. Every line of ours carries PSNR,
    SSIM and rate of each classical codec at the nearest real rate, in columns `<metric>_<codec>`;
    `note_<codec>` is "*" or "†" where its files are more than 5% shorter or longer all the same. Lines are
    what `meaningful_lines` leaves. What was decoded with realism is left out: these are measures of fidelity.

    Args:
        rows: as `results.to_frame` makes them.
    """
    means = aggregate(faithful(rows))
    ours = means[~means["codec"].isin(list(CLASSICAL))].sort_values(["bits", "quality", "search_steps"])
    matched = means[means["matched_to"] != ""]
    lines: list[dict[str, object]] = []
    published = {line.num_channels: line for line in PUBLISHED_2020}
    ratio = asked_ratio(ours["setting"])
    for line in PUBLISHED_2020:
        ours.loc[ratio == line.nominal_cr, "num_channels"] = line.num_channels
    for num_channels in sorted({*ours["num_channels"]}, key=lambda n: (n > 0, -n)):
        if num_channels in published:
            lines += _published_lines(published[num_channels])
        for record in ours[ours["num_channels"] == num_channels].to_dict("records"):
            target = f"{record['codec']}/{record['setting']}"
            beside = matched[matched["matched_to"] == target].to_dict("records")
            lines.append({"method": setting_title(record), **record, **_beside(record, beside)})
    frame = meaningful_lines(pd.DataFrame(lines))
    frame["channels"] = frame["num_channels"].astype(str).where(frame["num_channels"] > 0, "")
    return frame.drop(columns=["setting", "matched_to"], errors="ignore")


def meaningful_lines(table: pd.DataFrame) -> pd.DataFrame:
    """Lines of the table of results, each result once, with a nominal ratio only where it means something.

    The codec's latents are not its rate, so its lines get none. Where it gives the same files for several of
    the ratios of 2020, because its best ones are shorter than all of these allow, one line behind its
    qualities takes their place and is named as its limit.
    """
    of_codec = table["bits"].eq(0)
    table = table.assign(nominal_cr=table["nominal_cr"].mask(of_codec))
    published = {line.num_channels: line.nominal_cr for line in PUBLISHED_2020}
    by_channels = table["num_channels"] > 0
    asked = table[of_codec & table["quality"].isna() & by_channels]
    limits = []
    for _, same in asked.groupby(["codec", "search_steps", "bytes", "psnr_db"], sort=False):
        if len(same) > 1:
            limit = same.iloc[:1].assign(num_channels=0)
            highest = max(published[num_channels] for num_channels in same["num_channels"])
            record = limit.iloc[0].to_dict()
            title = setting_title(record, f"at its limit (CR {highest:g} and below)")
            limits.append(limit.assign(method=title))
            table, by_channels = table.drop(index=same.index), by_channels.drop(index=same.index)
    return pd.concat([table[~by_channels], *limits, table[by_channels]], ignore_index=True)


def setting_title(record: dict, at_ratio: str = "at that real CR") -> str:
    """What made a line of ours, for readers: "VGIC, quality 50, 300 search steps".

    Args:
        record: a line of the table.
        at_ratio: what to say of files that were made for a compression ratio.
    """
    title = curve_title(record["codec"], record["bits"], int(record["search_steps"]), record["setting"])
    if record["bits"]:
        return title
    family, comma, search = title.partition(", ")
    if np.isnan(record["quality"]):
        return f"{family} {at_ratio}{comma}{search}"
    return f"{family}, quality {record['quality']:g}{comma}{search}"


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
    return f"Results: {len(sizes)} picture{plural}{size}, real files."


_NOTES = (
    "Means over the pictures, ± standard deviation between them. PSNR and SSIM (flat 7 × 7 window) on "
    f"decoded 8-bit RGB; equal pictures count as {HIGHEST_DB:g} dB. Real CR: bytes of 24-bit RGB / bytes of "
    "the file; bpp: bits of the file per pixel. Last columns: PSNR of each classical codec with the file of "
    "nearest length to ours (* still more than 5% shorter, † longer: it has no closer one)."
)
_NOTES_2020 = (
    " Nominal CR: pixel values / latent elements, the ratio of 2020, which counts no bits. The lines of 2020 "
    "are from other pictures: as published, with a constant alpha channel counted, which adds 1.25 dB; on "
    "RGB, measured on the ten reconstructions shown there. VGIC at that real CR: the best files no longer "
    "than 24-bit RGB / the nominal CR of 2020: beyond quality 100, within a largest error or lossless where "
    "these are better; at its limit: where lossless files are shorter for every picture, one result for all "
    "such ratios."
)


def results_notes(table: pd.DataFrame) -> str:
    """Conventions, below the table."""
    return _NOTES + (_NOTES_2020 if _has_2020(table) else "")


def results_columns(table: pd.DataFrame) -> list[Column]:
    """What of `results_table` is printed: channels where there are some, times and MS-SSIM elsewhere."""
    beside = [codec for codec in CLASSICAL.values() if f"psnr_db_{codec.name}" in table]
    by_channels = [Column("channels", "Channels"), Column("method", "Method")]
    by_channels += [Column("nominal_cr", "Nominal CR", 2)]
    times = [Column("encode_s", "Encode (s)", 2), Column("decode_s", "Decode (s)", 2)]
    return [
        *(by_channels if _has_2020(table) else [Column("method", "Method")]),
        Column("compression_ratio", "Real CR", 2),
        Column("bpp", "bpp", 3 if not _has_2020(table) else 2),
        Column("psnr_db", "PSNR (dB)", 2, spread=True),
        Column("ssim", "SSIM", 3),
        *([] if _has_2020(table) else [Column("ms_ssim", "MS-SSIM", 4), *times]),
        *(Column(f"psnr_db_{c.name}", f"{c.title} (dB)", 2, mark=f"note_{c.name}") for c in beside),
    ]


def _has_2020(table: pd.DataFrame) -> bool:
    return bool((table["num_channels"] > 0).any())
