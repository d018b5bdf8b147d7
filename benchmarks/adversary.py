# SPDX-License-Identifier: MIT
"""What the adversary of 2020 does: training with it and without it, on from the same nested weights.

Trains the arms below (a run that was interrupted goes on), judges their files on photographs that neither
training nor validation has seen, and writes table, record of the game and picture of
`vgic_lib/reporting/adversary.py`.

With another channel count than the shipped one, only the arms that are judged, and their lines of the table.

    python benchmarks/adversary.py --folder photographs --validation-folder held-out --judge-folder others
"""

import argparse
from dataclasses import replace

import pandas as pd

from vgic_lib import figures
from vgic_lib.datasets.photographs import load, prepare, with_validation
from vgic_lib.files import atomic_path
from vgic_lib.reporting import adversary
from vgic_lib.training.presets import PRESETS
from vgic_lib.training.run import train_model

PRESET = PRESETS["adversarial"]
(SHIPPED,) = PRESET.num_channels
ARMS = {  # what is changed in the preset
    "without the adversary": {"adversarial_from": 1.0, "steps": PRESET.steps - PRESET.head_start},
    "as published": {
        "initialisation": "published", "head_start": 0, "adversarial_weight": 1.0, "steps": 40
    },
    "published weight": {"adversarial_weight": 1.0, "head_start": 40, "steps": 88},
    "with the adversary": {},
}  # fmt: skip
JUDGED = "without the adversary", "with the adversary"  # as many updates of encoder and generator
SHOWN = ("astronaut", "chelsea", "coffee")  # in the picture: photographs that may be passed on


def trained(arm, num_channels, photographs):
    """Path of the weights of an arm; its metrics lie beside."""
    config = replace(PRESET, num_channels=(num_channels,), start_from=f"vaegan-{num_channels}", **ARMS[arm])
    return train_model(config, f"adversary-{num_channels}", photographs, name=arm.replace(" ", "-"))


def write(frame, path):
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.5g")


def write_game(metrics):
    """The record of the runs with a discriminator."""
    games = [frame.assign(arm=arm) for arm, frame in metrics.items() if "discriminator_loss" in frame]
    write(pd.concat(games), adversary.GAME)


def judge(models, metrics, folder, num_channels):
    """Write the lines of one channel count, those of others kept."""
    pictures = adversary.centres(load(prepare("folder", folder=folder).photographs))
    rows = adversary.reconstruct(pictures, models)
    updates = [0, *(metrics[arm].get("generator_loss", metrics[arm]["loss"]).count() for arm in JUDGED)]
    table = adversary.summary(rows, pictures).assign(updates=updates, photographs=len(pictures))
    print(table.to_string())
    others = adversary.load()
    table.insert(0, "num_channels", num_channels)
    table = pd.concat([others[others["num_channels"] != num_channels], table])
    write(table.sort_values("num_channels", kind="stable"), adversary.TABLE)


def draw(models):
    """The picture, of photographs that may be passed on."""
    shown = [p for p in prepare("embedded").photographs if any(name in p.path for name in SHOWN)]
    pictures = adversary.centres(load(shown))
    figure = adversary.comparison(adversary.reconstruct(pictures, models), pictures)
    with figures.style(), atomic_path(adversary.PICTURE) as temporary:
        figure.savefig(temporary, format="jpg", dpi=110, pil_kwargs={"quality": 92})


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("--folder", "--validation-folder", "--judge-folder"):
        parser.add_argument(name, required=True)
    parser.add_argument("--num-channels", type=int, default=SHIPPED, choices=PRESETS["nested"].num_channels)
    options = parser.parse_args()
    n = options.num_channels
    photographs = with_validation(
        prepare("folder", folder=options.folder).photographs, options.validation_folder
    )
    weights = {arm: trained(arm, n, photographs) for arm in (ARMS if n == SHIPPED else JUDGED)}
    metrics = {arm: pd.read_csv(path.with_name("metrics.csv")) for arm, path in weights.items()}
    models = {"nested weights": f"vaegan-{n}"} | {arm: f"{weights[arm]}:{n}" for arm in JUDGED}
    judge(models, metrics, options.judge_folder, n)
    if n == SHIPPED:
        write_game(metrics)
        draw(models)


if __name__ == "__main__":
    main()
