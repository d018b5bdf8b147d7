#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Do files decode to the same here? For other machines, releases of PyTorch and accelerators.

    python tools/check_exactness.py                  the golden files of this project
    python tools/check_exactness.py --write FOLDER   on one machine: write those and others
    python tools/check_exactness.py FOLDER           on another: decode and compare

A folder holds NAME.vgic, NAME.png (the picture that was decoded) and symbols.json (digests of the symbols),
as tests/golden does. Symbols must be the same, and pixels of exact files; those of lossy files come from
floating point and may differ by one level.
Once with one thread, once with several, and once on each accelerator that computes in float64. It needs
torch, numpy, safetensors, constriction and Pillow, in any release; nothing has to be installed of VGIC
itself. Exit status: 0 all the same, 1 a difference.
"""

import argparse
import json
import platform
import shutil
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from helpers.pictures import noise, ramps  # noqa: E402
from helpers.symbols import digest  # noqa: E402
from helpers.tiny_hyperprior import tiny_model  # noqa: E402
from helpers.tiny_lossless import IDS, tiny_lossless  # noqa: E402
from PIL import Image  # noqa: E402

from vgic_lib import codec  # noqa: E402
from vgic_lib.bitstream import container  # noqa: E402
from vgic_lib.bitstream.fixed_point import LARGEST_RESIDUAL, ExactNetworks, mirrored, receiver  # noqa: E402
from vgic_lib.bitstream.range_coding import RangeDecoder, Tables  # noqa: E402
from vgic_lib.codec.reading import read  # noqa: E402
from vgic_lib.images import to_image  # noqa: E402
from vgic_lib.models import store  # noqa: E402
from vgic_lib.models.hyperprior import HyperpriorModel  # noqa: E402

GOLDEN = PROJECT / "tests" / "golden"
TOLERANCE = 1  # levels of 255
CASES = [(quality, "RGB", (150, 100)) for quality in (1, 35, 70, 100)] + [
    (50, "RGB", (1, 1)), (50, "L", (65, 63)), (50, "RGBA", (47, 33)), (50, "LA", (33, 90)),
    (50, "RGB", (400, 270)),
]  # fmt: skip


def symbols_digest(data, device="cpu"):
    """SHA-256 of the latents of a file; on an accelerator, None for a model that has no networks to check."""
    parts = container.unpack(data)
    header, model = parts.header, find_model(parts.header.model_id.to_bytes(4))
    setting, size = model.from_code(header.setting), (header.height, header.width)
    if device == "cpu":
        return digest(read(parts, model).latents)
    if model.kind != HyperpriorModel.kind:
        return None
    tables = Tables(mirrored(model.frequencies), LARGEST_RESIDUAL, certain=1)
    receive = receiver(RangeDecoder(parts.latents[0], tables))

    def exchange(index, wanted):
        return receive(index.cpu(), wanted).to(device)

    networks = ExactNetworks(model.network).to(device)
    latents = networks.traverse(setting.network_quality, model.latent_shapes(setting, size), exchange)
    return digest(latents)


def find_model(model_id):
    """A small model that tests make, or an installed one."""
    tiny = {model.model_id: model for model in (tiny_model(), *map(tiny_lossless, IDS))}
    return tiny.get(model_id) or store.find_model(model_id)


def pixels(data, device="cpu"):
    """Pixels (H, W, C) that a file shows, uint8; from an accelerator without alpha."""
    parts = container.unpack(data)
    model = find_model(parts.header.model_id.to_bytes(4))
    if device == "cpu":
        return np.atleast_3d(codec.decompress(data, model))
    contents = read(parts, model)
    latents = tuple(latent.to(device) for latent in contents.latents)
    try:
        with torch.no_grad():
            x_hat = model.to(device).synthesis(latents, contents.setting, contents.size).cpu()
    finally:
        model.to("cpu")
    gray = container.Layout.GRAY in contents.header.layout
    return np.atleast_3d(to_image(x_hat.mean(1, keepdim=True).expand(-1, 3, -1, -1) if gray else x_hat))


def difference(found, path):
    """Largest difference (levels) of pixels from those in a PNG file, in the colours that both have."""
    expected = np.atleast_3d(Image.open(path))
    if found.shape[2] == 3 and expected.shape[2] in (1, 2):
        expected = expected[..., :1]
    shared = min(found.shape[2], expected.shape[2])
    return int(np.abs(found[..., :shared].astype(int) - expected[..., :shared]).max())


def check(label, device, folder):
    """Print one line for a device; returns whether all files gave the symbols and pixels expected."""
    expected = json.loads((folder / "symbols.json").read_text(encoding="utf-8"))
    wrong, made, largest = [], 0, 0
    for name, value in expected.items():
        data = (folder / f"{name}.vgic").read_bytes()
        found = symbols_digest(data, device)
        made += found is not None
        off = difference(pixels(data, device), folder / f"{name}.png")
        largest = max(largest, off)
        exact = container.Layout.EXACT in container.read_header(data).layout
        wrong += [f"{name} (symbols)"] * (found not in (value, None))
        wrong += [f"{name} (pixels)"] * (off > (0 if exact else TOLERANCE))
    verdict = f"FAIL {', '.join(wrong)}" if wrong else "pass"
    print(
        f"torch {torch.__version__:<14} {label:<28} {folder.name}: symbols of {made} files, "
        f"pixels of {len(expected)} within {largest}: {verdict}",
        flush=True,
    )
    return not wrong


def write(folder):
    """The golden files and some of the shipped models, with what they decode to here."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in GOLDEN.iterdir():
        shutil.copy(path, folder)
    digests = json.loads((GOLDEN / "symbols.json").read_text(encoding="utf-8"))
    for model in ("hyperprior", "vaegan", "lossless"):
        for quality, mode, size in CASES:
            image = Image.blend(ramps(size), noise("RGB", size), 0.2).convert(mode)
            if "A" in mode:
                image.putalpha(Image.linear_gradient("L").resize(size))
            name = f"{model}-{mode.lower()}-{size[0]}x{size[1]}-q{quality}"
            data, decoded = codec.encode(image, model=store.load_model(model), quality=quality)
            (folder / f"{name}.vgic").write_bytes(data)
            decoded.save(folder / f"{name}.png")
            digests[name] = symbols_digest(data)
    (folder / "symbols.json").write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")
    print(f"{folder}: {len(digests)} files")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default=GOLDEN)
    parser.add_argument("--write", action="store_true", help="write the folder instead")
    options = parser.parse_args()
    if options.write:
        write(options.folder)
        return
    cpu = platform.processor() or platform.machine()
    passed = []
    for threads in sorted({1, 2, torch.get_num_threads()}):
        torch.set_num_threads(threads)
        passed.append(check(f"{cpu}, {threads} threads", "cpu", options.folder))
    for index in range(torch.cuda.device_count()):
        passed.append(check(torch.cuda.get_device_name(index), f"cuda:{index}", options.folder))
    if not torch.cuda.is_available():
        print("no accelerator with float64 here; the CPU alone was checked")
    sys.exit(not all(passed))


if __name__ == "__main__":
    main()
