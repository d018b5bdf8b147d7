# SPDX-License-Identifier: MIT
"""The worked examples of docs/develop.md: all of its Python, block after block, in one session."""

import re

import pytest
from helpers import PROJECT
from helpers.pages import blocks

from vgic_lib.datasets.sources import SOURCES
from vgic_lib.evaluation.classical import CLASSICAL
from vgic_lib.metrics.perceptual import METRICS
from vgic_lib.models.store import MODELS
from vgic_lib.models.tunes import TUNED_MODELS
from vgic_lib.search.objectives import TUNES
from vgic_lib.search.relaxations import RELAXATIONS

PAGE = PROJECT / "docs" / "develop.md"
REGISTRIES = {
    "CLASSICAL": CLASSICAL,
    "RELAXATIONS": RELAXATIONS,
    "TUNES": TUNES,
    "TUNED_MODELS": TUNED_MODELS,
    "SOURCES": SOURCES,
    "METRICS": METRICS,
    "MODELS": MODELS,
}


@pytest.fixture
def registries():
    """What each registry holds, restored afterwards."""
    before = {name: dict(registry) for name, registry in REGISTRIES.items()}
    yield before
    for name, registry in REGISTRIES.items():
        registry.clear()
        registry.update(before[name])


def test_examples_run_and_each_registers_itself(home, registries):
    session = {}
    for source in blocks(PAGE, "python"):
        exec(compile(source, PAGE.name, "exec"), session)
    added = {name: len(registry) - len(registries[name]) for name, registry in REGISTRIES.items()}
    assert set(added.values()) == {1}, added


def test_the_table_names_the_file_of_each_registry():
    for name in REGISTRIES:
        (line,) = (line for line in PAGE.read_text().splitlines() if f"| `{name}` |" in line)
        file = re.search(r"\]\(\.\./(vgic_lib/\S+\.py)\)", line)[1]
        assert re.search(rf"^{name}\b.* = ", (PROJECT / file).read_text(), re.MULTILINE)
