# SPDX-License-Identifier: MIT
"""The same file gives the same symbols, whatever the order in which sums are made.

What changes that order, on one machine: threads, rows worked on together, memory format, the kernels that
a library chooses. New processes that may use older instructions only stand for other machines; other
releases of PyTorch and accelerators are for tools/check_exactness.py.
"""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from helpers import PROJECT
from helpers.surroundings import default_dtype, threads
from helpers.symbols import digest
from helpers.tiny_hyperprior import tiny_model

from vgic_lib.bitstream import exact_layers
from vgic_lib.bitstream.fixed_point import ExactNetworks
from vgic_lib.models.hyperprior import CODES_PER_ANCHOR, QualitySetting
from vgic_lib.networks.logistic import SCALES

SIZE = 330, 500  # no multiple of anything
CODES = (0, 333, 896)


def make_latents(model, seed=0):
    random = torch.Generator().manual_seed(seed)
    return tuple(3 * torch.randn(shape, generator=random) for shape in model.latent_shapes(None, SIZE))


@pytest.fixture(scope="module")
def files():
    """For each quality code: the sections that one thread wrote, and the digest of what they hold."""
    model = tiny_model()
    written = {}
    for code in CODES:
        setting = QualitySetting(code)
        sections = model.encode(make_latents(model), setting)
        written[code] = sections, digest(model.decode(sections, setting, SIZE))
    return written


@contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


CIRCUMSTANCES = {
    "one thread": lambda: threads(1),
    "two threads": lambda: threads(2),
    "five threads": lambda: threads(5),
    "without oneDNN": lambda: torch.backends.mkldnn.flags(enabled=False),
    "float64 by default": lambda: default_dtype(torch.float64),
    "deterministic algorithms": deterministic,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "inference mode": torch.inference_mode,
}


@pytest.mark.filterwarnings("ignore:TF32")  # said by PyTorch when oneDNN's flags are touched
@pytest.mark.parametrize("circumstance", CIRCUMSTANCES)
def test_same_file_and_same_symbols(files, circumstance):
    code = CODES[len(circumstance) % len(CODES)]  # any of them
    model, setting = tiny_model(), QualitySetting(code)
    sections, expected = files[code]
    latents = make_latents(model)
    with CIRCUMSTANCES[circumstance]():
        assert digest(model.decode(sections, setting, SIZE)) == expected
        assert model.encode(latents, setting) == sections


def test_file_and_symbols_are_not_trivial(files):
    sections, digests = zip(*files.values(), strict=True)
    assert len(set(digests)) == len(CODES)
    model = tiny_model()
    values = model.decode(sections[1], QualitySetting(CODES[1]), SIZE)[0]
    assert values.unique().numel() > values.numel() / 2  # means differ everywhere
    used = set()

    def exchange(index, wanted):
        used.update(index.unique().tolist())
        return wanted.round()

    ExactNetworks(model.network).traverse(2.5, model.latent_shapes(None, SIZE), exchange, make_latents(model))
    assert len(used) > 10  # scale tables


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_memory_format_of_latents_and_weights(files, layout):
    model, setting = tiny_model(), QualitySetting(CODES[1])
    model.network.to(memory_format=layout)
    latents = [t.contiguous(memory_format=layout) for t in make_latents(model)]
    sections, expected = files[CODES[1]]
    assert model.encode(latents, setting) == sections
    assert digest(model.decode(sections, setting, SIZE)) == expected


@pytest.mark.parametrize("rows", [1, 64, 10**6])
def test_rows_worked_on_together(files, monkeypatch, rows):
    monkeypatch.setattr(exact_layers, "PART", rows)
    model, setting = tiny_model(), QualitySetting(CODES[1])
    sections, expected = files[CODES[1]]
    assert model.encode(make_latents(model), setting) == sections
    assert digest(model.decode(sections, setting, SIZE)) == expected


ENVIRONMENTS = {
    "old instructions": {
        "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
    "256-bit vectors and two threads": {
        "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OMP_NUM_THREADS": "2",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_new_process_reads_and_writes_the_same(files, tmp_path, name):
    code = CODES[1]
    sections, expected = files[code]
    latents = make_latents(tiny_model())
    torch.save((sections, latents), tmp_path / "file.pt")
    program = (
        "import sys, torch, test_fixed_point as here;"
        "model = here.tiny_model(); sections, latents = torch.load(sys.argv[1]);"
        f"setting = here.QualitySetting({code});"
        "print(here.digest(model.decode(sections, setting, here.SIZE)));"
        "print(model.encode(latents, setting) == sections)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "file.pt")]
    path = os.pathsep.join(map(str, (PROJECT, PROJECT / "tests", Path(__file__).parent)))
    environment = os.environ | {"PYTHONPATH": path} | ENVIRONMENTS[name]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split() == [expected, "True"]


@pytest.mark.parametrize("code", CODES)
def test_exact_networks_are_the_networks_but_for_rounding(code):
    model = tiny_model()
    network, quality = model.network, code / CODES_PER_ANCHOR
    y, z = make_latents(model)
    indices = {"exact": [], "float": []}

    def exchange(index, wanted):
        indices["exact"].append(index)
        return wanted.round() * (index > 0)

    def code_pass(at):
        height, width = y.shape[2:]
        index = at.index.round().clamp(0, SCALES - 1)
        indices["float"].append(index[0].T)
        residual = (y.flatten(2)[:, at.channels, at.places] - at.mean).round() * (index > 0)
        return residual + at.mean

    shapes = y.shape, z.shape
    y_hat, z_hat = ExactNetworks(network).traverse(quality, shapes, exchange, (y, z))
    at = torch.tensor([quality])
    features = network.hyper_synthesis(z_hat, at, y.shape[2:])
    expected = network.context.traverse(features, at, code_pass)
    assert ((y_hat - expected).abs() > 0.1).float().mean() < 0.01  # a residual that rounds the other way
    found = torch.cat([index.flatten()[index.flatten() > 0] for index in indices["exact"][1:]])
    wanted = torch.cat([index.flatten()[index.flatten() > 0] for index in indices["float"]])
    assert abs(len(found) - len(wanted)) < 0.01 * len(wanted)
