# SPDX-License-Identifier: MIT
"""Draws docs/weakest-1.png and -2.png for the card of the weights: where the codec gains least over JPEG.

Needs the rows of notebook 04 for all of Kodak. Beside each picture stands AVIF, tuned for PSNR, with files of
the same length.

    python tools/weakest.py [--run kodak]
"""

import argparse
from pathlib import Path

from vgic_lib import paths
from vgic_lib.evaluation import measure, rate_distortion, results
from vgic_lib.evaluation.bench import Bench, keep_reconstructions, make_context
from vgic_lib.files import atomic_path
from vgic_lib.images import read_image
from vgic_lib.reporting import reconstructions

DOCS = Path(__file__).resolve().parents[1] / "docs"
BESIDE = "avif-psnr"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", default="kodak")
    run = parser.parse_args().run
    folder = paths.compression_dir(run)
    rows = results.read_rows(folder / "rows.csv")
    if not rows:
        parser.error(f"no rows in {folder}: vgic run --profile paper --run {run}")
    deltas = rate_distortion.picture_table(results.to_frame(rows)).sort_values("VGIC")
    print(deltas.to_string(index=False, float_format="%.1f"))
    bench = Bench(make_context(run, seed=0))
    for number, name in enumerate(deltas["image"].iloc[:-3:-1], 1):
        own = [
            row for row in rows if row.image == name and row.codec == "hyperprior" and not row.search_steps
        ]
        image = read_image(measure.original_path(folder, name, own[0].image_id))
        picture = measure.Picture(name, own[0].split, image, own[0].image_id)
        together = own + bench.match([picture], [BESIDE], own, "equal bytes")
        shown = reconstructions.showcase(results.to_frame(together), name, beside=[BESIDE])
        keep_reconstructions([row for row in together if row.file in set(shown["file"])], folder)
        figure = reconstructions.reconstructions(shown, folder)
        with atomic_path(DOCS / f"weakest-{number}.png") as temporary:
            figure.savefig(temporary, format="png", dpi=100, metadata={"Software": None})


if __name__ == "__main__":
    main()
