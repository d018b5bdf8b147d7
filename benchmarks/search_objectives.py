# SPDX-License-Identifier: MIT
"""Mixes of objectives of latent search, by metrics that they contain and by metrics that none contains.

Each arm, a tune or a mix such as "squared error=0.3,ssimulacra2=0.7", searches centres of photographs
at some qualities. Printed: bytes at equal PSNR, MS-SSIM, SSIMULACRA2, ST-LPIPS (vgg) and ColorVideoVDP
against no search and against the first arm, BD-rate in percent, mean over the photographs; negative is
smaller. An arm is measured once: what the table holds is not searched again, so more arms, photographs and
qualities can follow, in several processes at once (--part). A tune whose shares have changed is known by its
old name still: delete the table. Choose mixes on validation photographs, never on test ones.

    python benchmarks/search_objectives.py data/val/*.jpg --arms psnr eye "squared error=1,texture=1"
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from vgic_lib.evaluation.keyed_table import KeyedTable
from vgic_lib.evaluation.rate_distortion import bd_rate
from vgic_lib.images import to_tensor
from vgic_lib.metrics import perceptual
from vgic_lib.metrics.ms_ssim import ms_ssim
from vgic_lib.metrics.ssimulacra2 import ssimulacra2
from vgic_lib.models.store import load_model
from vgic_lib.search.latent_search import SearchConfig, search
from vgic_lib.search.objectives import TUNES

KEY = ["image", "side", "quality", "arm", "steps"]
METRICS = ["psnr_db", "ms_ssim_db", "ssimulacra2", "st_lpips", "cvvdp"]
COLUMNS = [*KEY, "bpp", *METRICS, "time_s"]
NO_SEARCH = "no search"
FALLING = ["st_lpips"]


def add_mix(arm):
    """Make a tune of an arm that is written as a mix."""
    if arm not in TUNES:
        TUNES[arm] = {name: float(value) for name, value in (part.split("=") for part in arm.split(","))}


def centre(path, side):
    """The middle of a photograph, (1, 3, side, side) in [0, 1]."""
    image = Image.open(path).convert("RGB")
    left, top = ((length - side) // 2 for length in image.size)
    return to_tensor(image.crop((left, top, left + side, top + side)))


def scores(x, x_hat):
    """All METRICS of a decoded picture."""
    pixels = [np.uint8(np.round(t[0].permute(1, 2, 0).numpy() * 255)) for t in (x, x_hat)]
    return {
        "psnr_db": -10 * (x_hat - x).square().mean().log10().item(),
        "ms_ssim_db": -10 * (1 - ms_ssim(x, x_hat)).log10().item(),
        "ssimulacra2": ssimulacra2(x, x_hat).item(),
        "st_lpips": perceptual.st_lpips(*pixels),
        "cvvdp": perceptual.cvvdp(*pixels),
    }


def measured(model, x, setting, arm, steps):
    """One line of the table, without its key."""
    config = SearchConfig(0) if arm == NO_SEARCH else SearchConfig(steps, tune=arm)
    begun = time.process_time()
    result = search(model, x, setting, config)
    seconds = time.process_time() - begun
    size = sum(map(len, model.encode(result.latents, setting)))
    with torch.no_grad():
        found = scores(x, result.x_hat)
    return {"bpp": 8 * size / x[0, 0].numel(), **found, "time_s": seconds}


def saved(rows, anchor, arm):
    """BD-rate by each metric, mean over the photographs, and how many photographs got worse by it."""
    values = {}
    for metric in METRICS:
        found = [
            bd_rate(own[own["arm"] == anchor], own[own["arm"] == arm], (-np.inf, np.inf), metric).percent
            for _, own in rows.groupby("image")
        ]
        values[metric] = f"{np.nanmean(found):+.1f} ({np.sum(np.array(found) > 0)})"
    return values


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", nargs="+", type=Path)
    parser.add_argument("--arms", nargs="+", default=list(TUNES))
    parser.add_argument("--qualities", nargs="+", type=float, default=[10, 30, 57, 85])
    parser.add_argument("--model", default="hyperprior", help="name or weights file; a table holds one model")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--side", type=int, default=256, help="pixels, at least 161")
    parser.add_argument("--table", type=Path, default=Path("outputs/search_objectives.csv"))
    parser.add_argument("--part", default="0/1", help="which share of the searches: 0/2 and 1/2 are halves")
    options = parser.parse_args()
    table = KeyedTable(options.table, COLUMNS, KEY, "this benchmark")
    model, arms = load_model(options.model), [NO_SEARCH, *options.arms]
    for arm in options.arms:
        add_mix(arm)
    keys = [
        (path, (path.name, str(options.side), f"{quality:g}", arm, str(options.steps * (arm != NO_SEARCH))))
        for arm in arms
        for path in options.photographs
        for quality in options.qualities
    ]
    part, parts = map(int, options.part.split("/"))
    for path, key in keys[part::parts]:
        if key not in table:
            x, setting = centre(path, options.side), model.setting(float(key[2]))
            line = measured(model, x, setting, key[3], options.steps)
            table.add([dict(zip(KEY, key, strict=True)) | line])
    table.rewrite()
    lines = [table[key][0] for _, key in keys if key in table]
    rows = pd.DataFrame(lines).astype(dict.fromkeys([*METRICS, "bpp", "time_s"], float))
    seconds = rows.groupby("arm")["time_s"].mean()
    rows[FALLING] = -rows[FALLING]
    for anchor in arms[:2]:
        report = {arm: saved(rows, anchor, arm) for arm in arms if arm != anchor}
        print(
            f"\nagainst {anchor}, {len(options.photographs)} photographs (and how many got worse);", end=" "
        )
        print(f"seconds of the processor for a search, {torch.get_num_threads()} threads")
        print(pd.DataFrame(report).T.assign(time_s=seconds.round(1)).to_string())


if __name__ == "__main__":
    main()
