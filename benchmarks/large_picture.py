# SPDX-License-Identifier: MIT
"""Time and peak memory of compressing and decompressing a large picture, each in a process of its own.

The picture is a photograph from scikit-image, repeated mirror-wise. JPEG through Pillow is the other side.

    python benchmarks/large_picture.py [--megapixels 20] [--model vaegan-8]
"""

import argparse
import io
import multiprocessing
import resource
import time

import numpy as np
import skimage
from PIL import Image


def picture(megapixels):
    tile = np.asarray(skimage.data.astronaut())
    tile = np.concatenate([tile, tile[:, ::-1]], 1)
    tile = np.concatenate([tile, tile[::-1]], 0)
    width = round((megapixels * 1.5e6) ** 0.5)
    height = round(width / 1.5)
    repeats = height // tile.shape[0] + 1, width // tile.shape[1] + 1, 1
    return Image.fromarray(np.tile(tile, repeats)[:height, :width].copy())


def nothing(megapixels, model, data):
    from vgic_lib import codec  # noqa: F401 - what the others import too

    picture(megapixels)


def vgic_compress(megapixels, model, data):
    from vgic_lib import codec

    return codec.compress(picture(megapixels), model=model, quality=50)


def vgic_decompress(megapixels, model, data):
    from vgic_lib import codec

    codec.decompress(data)


def jpeg_compress(megapixels, model, data):
    stream = io.BytesIO()
    picture(megapixels).save(stream, "JPEG", quality=75)
    return stream.getvalue()


def jpeg_decompress(megapixels, model, data):
    Image.open(io.BytesIO(data)).load()


def child(connection, work, arguments):
    begun = time.perf_counter()
    result = work(*arguments)
    seconds = time.perf_counter() - begun
    connection.send((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, result))


def run(name, work, *arguments):
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=child, args=(there, work, arguments))
    process.start()
    seconds, gib, result = here.recv()
    process.join()
    size = f"{len(result):>10} bytes" if result else ""
    print(f"{name:<16} {seconds:8.1f} s  {gib:6.2f} GiB  {size}", flush=True)
    return result


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megapixels", type=float, default=20)
    parser.add_argument("--model", default="vaegan-8")
    options = parser.parse_args()
    settings = options.megapixels, options.model
    run("imports, picture", nothing, *settings, None)
    data = run("vgic compress", vgic_compress, *settings, None)
    run("vgic decompress", vgic_decompress, *settings, data)
    data = run("jpeg compress", jpeg_compress, *settings, None)
    run("jpeg decompress", jpeg_decompress, *settings, data)


if __name__ == "__main__":
    main()
