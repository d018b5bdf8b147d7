# SPDX-License-Identifier: MIT
"""Files at a few rates, as long for every arm, and apart from all other rows."""

import pytest
from helpers.fakes import FakeModel
from helpers.heads import install_head

from vgic_lib.errors import ParameterError
from vgic_lib.evaluation import bench as bench_module
from vgic_lib.evaluation import crop_files, measure
from vgic_lib.evaluation.points import heads_of, latent_points, operating_points


def test_every_arm_gets_the_same_bytes(home, context, picture: measure.Picture) -> None:
    body = install_head(home)
    bench = bench_module.Bench(context)
    middle = bench.run([picture], latent_points(body, operating_points(body, [50], []), [], 0), "ours")[0]
    realism = heads_of([body], [1.0]), [1.0]
    rates = [1e-3, middle.bpp * 1.001]  # the first one is beyond reach
    made = crop_files.measure(bench, [picture], [FakeModel("fake-3"), body], rates, (0, None), realism)
    setting = f"r{24 / rates[1]:g}-s0"
    assert [(row.codec, row.matched_to) for row in made] == [
        (body.name, ""), (body.name, ""), ("avif", f"{body.name}/{setting}")
    ]  # fmt: skip
    assert [row.setting for row in made[:2]] == [setting, f"{setting}+r1"]
    assert 0.95 * middle.bytes < made[0].bytes == made[1].bytes <= middle.bytes * 1.01
    assert made[2].bytes == pytest.approx(made[0].bytes, rel=0.1)
    kept = crop_files.load(context.folder)
    assert kept["asked_bpp"].tolist() == pytest.approx([rates[1]] * 3, rel=1e-4)
    for row in made:
        assert measure.reconstruction_path(row.file, context.folder).exists()
    assert crop_files.measure(bench, [picture], [body], [], (0, None), realism) == []
    assert crop_files.load(context.folder).empty


def test_rates_that_are_none_are_refused() -> None:
    crop_files.check_rates([0.1, 24])
    for bpp in (0.0, -1.0, float("nan"), 25.0):
        with pytest.raises(ParameterError, match="bits per pixel, such as 0.2"):
            crop_files.check_rates([bpp])
