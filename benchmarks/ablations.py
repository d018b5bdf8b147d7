# SPDX-License-Identifier: MIT
"""Short trainings of variants of the codec, one change each: what is worth its computation.

All start from the linear codec with the same seed, see the same number of pixels in the same order of
photographs, and let the learning rate fall to its end. Validation curves go into one table; a variant that is
in it already is not trained again, one that was interrupted goes on.

    python benchmarks/ablations.py --folder photographs --validation-folder held-out [--steps 400]
"""

import argparse
from dataclasses import replace
from pathlib import Path

import pandas as pd

from vgic_lib import paths
from vgic_lib.datasets.photographs import load, prepare, with_validation
from vgic_lib.files import atomic_path
from vgic_lib.models import complexity
from vgic_lib.models.store import as_stored
from vgic_lib.reporting import ablations
from vgic_lib.training.config import HyperpriorConfig
from vgic_lib.training.export import make_model
from vgic_lib.training.loop import train

BASE = HyperpriorConfig()  # what the second weights were trained with
VARIANTS = {  # what is changed
    ablations.REFERENCE: {},
    "256 latent channels": {"groups": (16, 32, 64, 144), "context_sides": (3, 3, 3, 3)},
    "320 latent channels": {"groups": (16, 32, 64, 144, 64)},
    "512 latent channels": {"groups": (16, 32, 64, 144, 256)},
    "one group": {"groups": (400,), "context_sides": (3,)},
    "narrow synthesis": {"synthesis_widths": (32, 64, 128)},
    "deep at 1/16": {"synthesis_blocks": (0, 1, 5)},
    "learning rate 3e-4": {"learning_rate": 3e-4},
    "learning rate 1.2e-3": {"learning_rate": 1.2e-3},
    "gains at full rate": {"table_rate": 2.0},
    "entropy networks at rate 1": {"entropy_rate": 1.0},
    "crops of 64": {"crop_side": 64, "batch": 64},
    "crops of 256": {"crop_side": 256, "batch": 4},
}


def configuration(change, steps):
    """Of a short run."""
    short = replace(BASE, steps=steps, warmup_steps=steps // 8, ema_decay=0.98, initial_crops=256)
    return replace(short, validate_every=max(1, steps // 4), log_every=max(1, steps // 4), **change)


def curve(name, change, options, images, validation):
    """Train a variant; rows of its validation curve."""
    config = configuration(change, options.steps)
    folder = paths.training_dir("ablations") / name.replace(" ", "-").replace("/", "-")
    trained = train(config, folder, images, validation, options.device)
    model = make_model([as_stored(network) for network in trained.networks], config)
    facts = {
        "variant": name,
        "change": "; ".join(f"{key}={value}" for key, value in change.items()),
        "decoder_kmac_per_pixel": round(complexity.decoder_kmac_per_pixel(model), 2),
    }
    rows = pd.DataFrame(trained.metrics)
    kept = ["step", *(column for column in rows if column.startswith("validation_"))]
    return pd.DataFrame([facts] * len(rows)).join(rows[kept])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", required=True, help="photographs to train on")
    parser.add_argument("--validation-folder", required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), choices=list(VARIANTS), metavar="NAME")
    parser.add_argument("--device")
    parser.add_argument("--table", type=Path, default=ablations.TABLE)
    options = parser.parse_args()
    photographs = with_validation(
        prepare("folder", folder=options.folder).photographs, options.validation_folder
    )
    images, validation = (
        load([p for p in photographs if p.split == split]) for split in ("train", "validation")
    )
    table = pd.read_csv(options.table) if options.table.exists() else pd.DataFrame(columns=["variant"])
    for name in options.only:
        if name not in set(table["variant"]):
            rows = curve(name, VARIANTS[name], options, images, validation)
            table = pd.concat([table, rows], ignore_index=True)
            with atomic_path(options.table) as temporary:
                table.to_csv(temporary, index=False)
            print(rows.iloc[-1].to_string(), flush=True)


if __name__ == "__main__":
    main()
