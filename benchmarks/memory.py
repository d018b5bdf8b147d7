# SPDX-License-Identifier: MIT
"""Peak memory and time of compressing and decompressing pictures of several sizes, each in its own process.

The picture is a photograph from scikit-image, repeated mirror-wise. JPEG through Pillow is the other side.

    python benchmarks/memory.py [--megapixels 0.4 5 20] [--model NAME] [--search-steps 0] [--tune eye]
    python benchmarks/memory.py --megapixels 20 --max-error 0
    python benchmarks/memory.py --tune eye --realism 1
"""

import argparse
import io
import multiprocessing
import time

import numpy as np
import skimage
from peak import peak_bytes
from PIL import Image

TARGET_GIB, TARGET_EXACT_GIB = 8, 4  # at most, for 20 megapixels; of files within a largest error
GIB = 2**30


def photograph(width, height):
    """Pixels (height, width, 3), uint8."""
    tile = np.asarray(skimage.data.astronaut())
    tile = np.concatenate([tile, tile[:, ::-1]], 1)
    tile = np.concatenate([tile, tile[::-1]], 0)
    repeats = height // tile.shape[0] + 1, width // tile.shape[1] + 1, 1
    return np.tile(tile, repeats)[:height, :width].copy()


def picture(megapixels):
    width = round((megapixels * 1.5e6) ** 0.5)
    return Image.fromarray(photograph(width, round(width / 1.5)))


def nothing(megapixels, options, data):
    from vgic_lib import codec  # noqa: F401 - what the others import too

    picture(megapixels)


def vgic_compress(megapixels, options, data):
    from vgic_lib import codec

    how = {"search_steps": options.search_steps, "tune": options.tune, "max_error": options.max_error}
    return codec.compress(picture(megapixels), model=options.model, **how)


def vgic_decompress(megapixels, options, data):
    from vgic_lib import codec

    codec.decompress(data, realism=options.realism)


def jpeg_compress(megapixels, options, data):
    stream = io.BytesIO()
    picture(megapixels).save(stream, "JPEG", quality=75)
    return stream.getvalue()


def jpeg_decompress(megapixels, options, data):
    Image.open(io.BytesIO(data)).load()


def child(connection, work, arguments):
    from vgic_lib import codec  # noqa: F401 - imports are not timed

    begun = time.perf_counter()
    result = work(*arguments)
    seconds = time.perf_counter() - begun
    connection.send((seconds, peak_bytes() / GIB, result))


def run(name, work, *arguments):
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=child, args=(there, work, arguments))
    process.start()
    there.close()
    try:
        seconds, gib, result = here.recv()
    except EOFError:
        raise SystemExit(f"{name} failed or ran out of memory") from None
    process.join()
    size = f"{len(result):>10} bytes" if result else ""
    print(f"{name:<16} {seconds:8.1f} s  {gib:6.2f} GiB  {size}", flush=True)
    return seconds, gib, result


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megapixels", type=float, nargs="+", default=[0.4, 5, 20])
    parser.add_argument("--model", help="of VGIC (default: the codec's)")
    parser.add_argument("--search-steps", type=int, default=0)
    parser.add_argument("--tune", default="psnr")
    parser.add_argument("--realism", type=float, default=0.0, help="of decompressing (default: 0)")
    parser.add_argument("--max-error", type=int, help="0 for lossless files (default: lossy)")
    return parser.parse_args(arguments)


def main():
    options = parse()
    target = TARGET_GIB if options.max_error is None else TARGET_EXACT_GIB
    for megapixels in options.megapixels:
        print(f"\n{megapixels:g} megapixels")
        run("imports, picture", nothing, megapixels, options, None)
        _, compressing, data = run("vgic compress", vgic_compress, megapixels, options, None)
        _, decompressing, _ = run("vgic decompress", vgic_decompress, megapixels, options, data)
        _, _, data = run("jpeg compress", jpeg_compress, megapixels, options, None)
        run("jpeg decompress", jpeg_decompress, megapixels, options, data)
        if megapixels >= 20:
            verdict = "reached" if max(compressing, decompressing) <= target else "missed"
            print(f"at most {target} GiB: {verdict}")


if __name__ == "__main__":
    main()
