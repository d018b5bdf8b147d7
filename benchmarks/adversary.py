# SPDX-License-Identifier: MIT
"""What the adversary of 2020 does: training with it and without it, on from the same nested weights.

Trains the arms below (a run that was interrupted goes on), judges their files on photographs that neither
training nor validation has seen, and writes table, record of the game and picture of
`vgic_lib/reporting/adversary.py`.

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


def trained(arm, photographs):
    """Path of the weights of an arm; its metrics lie beside."""
    config = replace(PRESET, **ARMS[arm])
    return train_model(config, "adversary", photographs, name=arm.replace(" ", "-"))


def write(frame, path):
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.5g")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("--folder", "--validation-folder", "--judge-folder"):
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    photographs = with_validation(
        prepare("folder", folder=options.folder).photographs, options.validation_folder
    )
    weights = {arm: trained(arm, photographs) for arm in ARMS}
    metrics = {arm: pd.read_csv(path.with_name("metrics.csv")) for arm, path in weights.items()}
    write(
        pd.concat([metrics[arm].assign(arm=arm) for arm in metrics if "discriminator_loss" in metrics[arm]]),
        adversary.GAME,
    )
    models = {"nested weights": "vaegan-4"} | {arm: f"{weights[arm]}:4" for arm in JUDGED}
    pictures = adversary.centres(load(prepare("folder", folder=options.judge_folder).photographs))
    rows = adversary.reconstruct(pictures, models)
    updates = [0, *(metrics[arm].get("generator_loss", metrics[arm]["loss"]).count() for arm in JUDGED)]
    table = adversary.summary(rows, pictures).assign(updates=updates, photographs=len(pictures))
    write(table, adversary.TABLE)
    print(table.to_string())
    shown = [p for p in prepare("embedded").photographs if any(name in p.path for name in SHOWN)]
    pictures = adversary.centres(load(shown))
    figure = adversary.comparison(adversary.reconstruct(pictures, models), pictures)
    with figures.style(), atomic_path(adversary.PICTURE) as temporary:
        figure.savefig(temporary, format="jpg", dpi=110, pil_kwargs={"quality": 92})


if __name__ == "__main__":
    main()
