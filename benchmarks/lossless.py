# SPDX-License-Identifier: MIT
"""Lossless and near-lossless files of VGIC beside those of other formats, picture by picture, all decoded.

    python benchmarks/lossless.py FOLDER [--centres] [--only-tables]

Rows are added file by file to outputs/lossless/; files that have a row there are not made again, so delete
it to begin anew. From them come the tables and the figure in outputs/results/lossless/. What another
format has at the bytes of a file of VGIC lies on the line between its two files nearest in length; its best
file, where all are shorter. With --centres, pictures are the middle 178 x 218 pixels, those of the table of
2020, and tables alone are written. PLAIN is VGIC where it does not look for the colours that pixels were
made of, as it does for pictures of a Photo CD, like Kodak's, or what once was a JPEG file; so are all files
within a largest error (for errors of 1 and 2 it would take the exact file, where that is smaller).
"""

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from vgic_lib import codec
from vgic_lib.evaluation.classical import classical_codec
from vgic_lib.evaluation.exact_files import ERRORS, FORMATS, LOSSLESS, OURS, differences, opened, saved
from vgic_lib.evaluation.keyed_table import KeyedTable
from vgic_lib.figures import ACCENT, Figure, save_figure, style
from vgic_lib.files import write_text
from vgic_lib.images import CROP_2020, centre_crop
from vgic_lib.metrics.distortion import HIGHEST_DB
from vgic_lib.models.lossless import LosslessModel
from vgic_lib.models.store import load_model
from vgic_lib.reporting import rate_curves

PROJECT = Path(__file__).resolve().parents[1]
STATE, RESULTS = PROJECT / "outputs" / "lossless", PROJECT / "outputs" / "results" / "lossless"
PLAIN = "VGIC, as any photograph"
FINER = 128, 256, 384  # settings beyond quality 100
EXACT = FORMATS | {  # name -> Pillow's format and options
    "WebP": ("WEBP", {"lossless": True, "method": 6, "quality": 100}),
    "JPEG 2000": ("JPEG2000", {"irreversible": False, "mct": 1}),
    "AVIF": ("AVIF", {"quality": 100, "subsampling": "4:4:4", "speed": 6}),  # nearly: 8 bits of YCbCr
}
QUALITIES = {  # of the classical codecs whose curves are compared
    "jxl": (88, 94, 97, 98.5, 99.3, 99.95), "jp2": (14, 10, 7.5, 6, 5, 4, 3.3),
    "avif": (80, 88, 93, 96, 98, 99),
}  # fmt: skip
LADDERS = {classical_codec(name).title: name for name in QUALITIES}
COLOURS = {title: rate_curves.COLOURS[name] for title, name in LADDERS.items()}
COLUMNS = "picture", "codec", "setting", "bytes", "bpp", "psnr_db", "largest_error", "encode_s", "decode_s"
KEY = COLUMNS[:3]


def row(name, image, title, setting, encode, decode):
    """What a file of a picture is; seconds are of the processor, all threads together."""
    start = time.process_time()
    data = encode()
    middle = time.process_time()
    shown = decode(data)
    end = time.process_time()
    largest, psnr = differences(image, shown)
    bpp = 8 * len(data) / (image.width * image.height)
    seconds = round(middle - start, 3), round(end - middle, 3)
    return name, title, setting, len(data), round(bpp, 4), round(psnr, 3), largest, *seconds


def ways(image):
    """How each file of a picture is made and read, by codec and setting."""
    ours, finer = partial(codec.compress, image), load_model("hyperprior").finer
    plain = LosslessModel(load_model("lossless").network)
    plain.name, plain.model_id, plain.parts = "lossless", load_model("lossless").model_id, ()
    files = {f"quality {quality}": {"quality": quality} for quality in (86, 100)}
    files |= {f"quality 100 + {code}": {"setting": finer[code - 1]} for code in FINER}
    files |= {f"error {error}": {"model": plain, "max_error": error} for error in ERRORS}
    files |= {LOSSLESS: {"lossless": True}}
    made = {(OURS, setting): (partial(ours, **how), codec.decompress) for setting, how in files.items()}
    made[PLAIN, LOSSLESS] = partial(ours, model=plain, lossless=True), codec.decompress
    made |= {(title, LOSSLESS): (partial(saved, image, *how), opened) for title, how in EXACT.items()}
    for title, name in LADDERS.items():
        other = classical_codec(name)
        for quality in QUALITIES[name]:
            made[title, f"q{quality:g}"] = partial(saved, image, other.format, other.options(quality)), opened
    return made


def at_bytes(rows, size):
    """PSNR (dB) at a number of bytes on the line through files (logarithmic in bytes).

    None if all are larger; that of the best where all are smaller.
    """
    points = rows[rows["psnr_db"] < HIGHEST_DB].sort_values("bytes")
    if size < points["bytes"].min():
        return None
    return float(np.interp(np.log(size), np.log(points["bytes"]), points["psnr_db"]))


def lossless_table(rows):
    """A line for each format: bits per pixel of exact files, against ours, and seconds a picture."""
    exact = rows[rows["setting"] == LOSSLESS]
    means = exact.groupby("codec", sort=False)[[*COLUMNS[3:]]].mean()
    means["against_vgic_percent"] = 100 * (means["bytes"] / means["bytes"][OURS] - 1)
    means["pictures"] = exact.groupby("codec")["picture"].nunique()
    means["largest_error"] = exact.groupby("codec")["largest_error"].max()
    return means.drop(columns="psnr_db").round(4).reindex([OURS, PLAIN, *EXACT]).reset_index()


def bounded_table(rows):
    """A line for each setting of ours below lossless: PSNR, and that of others at equal bytes.

    Means over the pictures whose files are as small in all formats, which `pictures` counts.
    """
    lines = []
    for setting, own in rows[(rows["codec"] == OURS) & (rows["setting"] != LOSSLESS)].groupby(
        "setting", sort=False
    ):
        found = []
        for _, line in own.iterrows():
            others = rows[rows["picture"] == line["picture"]]
            beside = {title: at_bytes(others[others["codec"] == title], line["bytes"]) for title in LADDERS}
            if None not in beside.values():
                found.append({"bpp": line["bpp"], OURS: line["psnr_db"], **beside})
        if not found:
            continue
        means = pd.DataFrame(found).mean().round(3).to_dict()
        facts = {"largest_error": own["largest_error"].max(), "pictures": len(found)}
        seconds = own[["encode_s", "decode_s"]].mean().round(3).to_dict()
        lines.append({"setting": setting, **facts, **means, **seconds})
    return pd.DataFrame(lines)


def markdown(table, columns):
    """`columns` gives for each column its title and its digits after the point."""
    lines = [f"| {' | '.join(title for title, _ in columns.values())} |"]
    lines.append(f"|{'|'.join('---' if digits is None else '---:' for _, digits in columns.values())}|")
    for line in table.to_dict("records"):
        cells = [
            str(line[name]) if digits is None else "" if pd.isna(line[name]) else f"{line[name]:.{digits}f}"
            for name, (_, digits) in columns.items()
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines).replace("-0.0 ", "0.0 ") + "\n"


SECONDS = {"encode_s": ("encode (CPU s)", 2), "decode_s": ("decode (CPU s)", 2)}
LOSSLESS_COLUMNS = {
    "codec": ("", None), "bpp": ("bits per pixel", 3), "against_vgic_percent": ("size against VGIC (%)", 1),
    "largest_error": ("largest error", 0), **SECONDS, "pictures": ("pictures", 0),
}  # fmt: skip
BOUNDED_COLUMNS = {
    "setting": ("VGIC", None), "largest_error": ("largest error", 0), "bpp": ("bits per pixel", 3),
    **{title: (f"{title} (dB)", 2) for title in (OURS, *LADDERS)}, **SECONDS, "pictures": ("pictures", 0),
}  # fmt: skip


def curves(rows):
    """Mean rate and PSNR of every setting; exact files have no PSNR."""
    means = rows.groupby(["codec", "setting"], sort=False)[["bpp", "psnr_db"]].mean().reset_index()
    means.loc[means["setting"] == LOSSLESS, "psnr_db"] = np.nan
    return means[means["codec"].isin([OURS, PLAIN, *EXACT])]


def figure(points):
    """PSNR over rate from quality 86 on; lossless files at the upper edge."""
    with style():
        drawn = Figure(figsize=(7.5, 4.5), layout="constrained")
        ax = drawn.subplots()
        for title in (*LADDERS, OURS):
            own = points[(points["codec"] == title) & points["psnr_db"].notna()]
            if title != OURS:
                ax.plot(own["bpp"], own["psnr_db"], label=title, color=COLOURS[title], linewidth=1.4)
                continue
            near = own["setting"].str.startswith("error")
            for part, marker, label in (
                (own[~near], "D", title),
                (own[near], "o", f"{title}, within a bound"),
            ):
                ax.plot(part["bpp"], part["psnr_db"], label=label, color=ACCENT, marker=marker)
        top = points["psnr_db"].max() + 3
        exact = points[points["setting"] == LOSSLESS].sort_values("bpp").to_dict("records")
        for place, line in enumerate(exact):
            colour = ACCENT if line["codec"] in (OURS, PLAIN) else COLOURS.get(line["codec"], "#6b7280")
            ax.plot([line["bpp"]], [top], marker="|", color=colour, markersize=14, clip_on=False)
            ax.annotate(
                line["codec"], (line["bpp"], top), (0, -9 - 48 * (place % 3)), textcoords="offset points",
                color=colour, rotation=90, ha="center", va="top", fontsize=7.5,
            )  # fmt: skip
        ax.set(title="PSNR (dB); at the upper edge, lossless", ylim=(None, top))
        ax.set(xlabel="rate (bits per pixel, from the length of the file)")
        ax.legend(loc="lower right")
    return drawn


def measure(folder, path, centres):
    """Rows of all pictures of a folder; files whose row `path` has already are not made again."""
    table = KeyedTable(path, COLUMNS, KEY, "this benchmark")
    for options in ({"lossless": True}, {"max_error": 1}, {}):  # tables are made at first use
        codec.compress(Image.new("RGB", (64, 64)), **options)
    for file in sorted(folder.glob("*.png")):
        image = Image.open(file).convert("RGB")
        image = centre_crop(image, *CROP_2020) if centres else image
        for (title, setting), way in ways(image).items():
            if (file.stem, title, setting) not in table:
                table.add([dict(zip(COLUMNS, row(file.stem, image, title, setting, *way), strict=True))])
        print(file.stem, flush=True)
    table.rewrite()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--centres", action="store_true", help="the middle of each picture alone")
    parser.add_argument("--only-tables", action="store_true", help="of what was measured already")
    parser.add_argument("--state", type=Path, default=STATE, help="folder of the rows")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of tables and figure")
    options = parser.parse_args()
    suffix = "_centres" if options.centres else ""
    path = options.state / f"rows{suffix}.csv"
    if not options.only_tables:
        measure(options.folder, path, options.centres)
    rows, tables = pd.read_csv(path), options.results / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    write_text(tables / f"rows{suffix}.csv", rows.to_csv(index=False))
    for name, table, columns in (
        ("lossless", lossless_table(rows), LOSSLESS_COLUMNS),
        ("bounded", bounded_table(rows), BOUNDED_COLUMNS),
    ):
        write_text(tables / f"{name}{suffix}.csv", table.to_csv(index=False))
        write_text(tables / f"{name}{suffix}.md", markdown(table, columns))
        print(markdown(table, columns))
    if not options.centres:
        points = curves(rows)
        (options.results / "figures").mkdir(exist_ok=True)
        save_figure(figure(points), options.results / "figures" / "rate_distortion", points)


if __name__ == "__main__":
    main()
