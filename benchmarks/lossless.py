# SPDX-License-Identifier: MIT
"""Lossless and near-lossless files of VGIC beside those of other formats, picture by picture, all decoded.

    python benchmarks/lossless.py FOLDER results.csv

Rows are added picture by picture; what is there already is not done again. At errors of 1 and more, JPEG XL,
JPEG 2000 and AVIF make the best file that is no larger than VGIC's.
"""

import argparse
import csv
import io
import time
from functools import partial
from pathlib import Path

import numpy as np
import pillow_jxl  # noqa: F401 - registers JPEG XL with Pillow
from PIL import Image

from vgic_lib import codec
from vgic_lib.files import write_text
from vgic_lib.metrics.distortion import psnr_db

ERRORS = (1, 2, 4)
LOSSLESS = {  # name -> Pillow's format and options
    "PNG": ("PNG", {"optimize": True}),
    "WebP": ("WEBP", {"lossless": True, "method": 6, "quality": 100}),
    "JPEG XL": ("JXL", {"lossless": True, "effort": 7}),
    "JPEG 2000": ("JPEG2000", {"irreversible": False, "mct": 1}),
    "AVIF": ("AVIF", {"quality": 100, "subsampling": "4:4:4", "speed": 6}),  # nearly: 8 bits of YCbCr
}
BESIDE = {  # name -> format, options of a quality, qualities from small files to large
    "JPEG XL": ("JXL", lambda q: {"quality": q, "effort": 7}, [q / 4 for q in range(340, 400)]),
    "JPEG 2000": (
        "JPEG2000", lambda r: {"quality_mode": "rates", "quality_layers": [r], "irreversible": True},
        [20 / 1.03**step for step in range(80)],
    ),
    "AVIF": ("AVIF", lambda q: {"quality": q, "subsampling": "4:4:4", "speed": 6}, list(range(80, 101))),
}  # fmt: skip
COLUMNS = "picture", "codec", "error", "bytes", "bpp", "psnr_db", "largest_error", "encode_s", "decode_s"


def saved(image, kind, options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def row(name, image, title, error, encode, decode):
    start = time.process_time()
    data = encode()
    middle = time.process_time()
    shown = decode(data)
    end = time.process_time()
    before, after = (np.asarray(x.convert("RGB")) for x in (image, shown))
    largest = int(np.abs(before.astype(int) - after).max())
    bpp = 8 * len(data) / (image.width * image.height)
    seconds = round(middle - start, 3), round(end - middle, 3)
    return (name, title, error, len(data), round(bpp, 4), round(psnr_db(before, after), 3), largest, *seconds)


def opened(data):
    return Image.open(io.BytesIO(data)).convert("RGB")


def largest_within(image, kind, options, qualities, size):
    """Best file of a format that is no larger than `size`; the smallest where all are larger."""
    low, high = 0, len(qualities)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (
            (middle, high) if len(saved(image, kind, options(qualities[middle]))) <= size else (low, middle)
        )
    return saved(image, kind, options(qualities[low]))


def rows_of(name, image, errors, others):
    of_picture = partial(row, name, image)
    ours = {error: partial(codec.compress, image, max_error=error) for error in (0, *errors)}
    yield of_picture("VGIC", 0, ours[0], codec.decompress)
    for title, way in LOSSLESS.items():
        yield of_picture(title, 0, partial(saved, image, *way), opened)
    for error in errors:
        mine = of_picture("VGIC", error, ours[error], codec.decompress)
        yield mine
        for title in others:
            yield of_picture(title, error, partial(largest_within, image, *BESIDE[title], mine[3]), opened)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--beside", nargs="*", default=list(BESIDE), help="formats at equal bytes")
    parser.add_argument("--errors", nargs="*", type=int, default=ERRORS, help="that are allowed, from 1 on")
    options = parser.parse_args()
    done, wanted = [], (options.errors, options.beside)
    if options.results.exists():
        done = list(csv.reader(options.results.read_text(encoding="utf-8").splitlines()))[1:]
    codec.compress(Image.new("RGB", (64, 64)), lossless=True)  # tables are made at first use
    for path in sorted(options.folder.glob("*.png")):
        if path.stem not in {line[0] for line in done}:
            done += rows_of(path.stem, Image.open(path).convert("RGB"), *wanted)
            write_text(
                options.results, "\n".join(",".join(map(str, line)) for line in [COLUMNS, *done]) + "\n"
            )
    print(f"{'codec':<12} error  bpp     PSNR    largest error  encode  decode (CPU s)")
    for title, error in dict.fromkeys((line[1], str(line[2])) for line in done):
        chosen = [line for line in done if (line[1], str(line[2])) == (title, error)]
        means = [np.mean([float(line[k]) for line in chosen]) for k in range(4, 9)]
        rest = f"{means[0]:.3f}  {means[1]:6.2f}  {means[2]:13.2f}  {means[3]:6.2f}  {means[4]:.2f}"
        print(f"{title:<12} {error:>5}  {rest}")


if __name__ == "__main__":
    main()
