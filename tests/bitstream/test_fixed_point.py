# SPDX-License-Identifier: MIT
"""The same file gives the same symbols, whatever the order in which sums are made.

What changes that order, on one machine: threads, batch size, memory format, the kernels that a library
chooses. New processes that may use older instructions only stand for other machines; other releases of
PyTorch and accelerators are for tools/check_exactness.py.
"""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from helpers import PROJECT
from helpers.surroundings import default_dtype
from helpers.symbols import digest
from helpers.tiny_hyperprior import tiny_model

from vgic_lib.bitstream.fixed_point import GRID, ExactNetworks
from vgic_lib.models.hyperprior import QualitySetting
from vgic_lib.networks.context import Conv

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
def threads(count):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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


def test_a_batch_gives_what_its_pictures_give_alone():
    model = tiny_model()
    networks, quality = ExactNetworks(model.network), 2.6015625
    several = [make_latents(model, seed) for seed in range(4)]

    def exchange(index, wanted):
        return wanted.round() * (index > 0)

    def traverse(latents):
        return networks.traverse(quality, [t.shape for t in latents], exchange, latents)

    together = traverse([torch.cat(parts) for parts in zip(*several, strict=True)])
    for i, latents in enumerate(several):
        for alone, all_of_them in zip(traverse(latents), together, strict=True):
            assert torch.equal(alone[0], all_of_them[i])


ENVIRONMENTS = {
    "as here": {},
    "two threads": {"OMP_NUM_THREADS": "2"},
    "old instructions": {
        "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
    "256-bit vectors": {
        "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2",
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


def permuted(layer, x, order):
    """The same layer with its sums made in another order."""
    shuffled = Conv(x.shape[1], len(layer.weight), layer.size).to(x.dtype)
    shuffled.weight = torch.nn.Parameter(layer.weight[:, order])
    shuffled.bias, shuffled.grid, shuffled.limit = layer.bias, layer.grid, layer.limit
    return shuffled(x[:, order])


def test_order_of_sums_matters_in_float_and_not_on_the_grid():
    """The reason for all this, and the proof that the other tests could fail."""
    network = tiny_model().network
    random = torch.Generator().manual_seed(1)
    x = 50 * torch.randn(1, 16, 30, 30, generator=random)
    order = torch.randperm(16, generator=random)
    layer = network.hyper_synthesis.last
    assert not torch.equal(layer(x), permuted(layer, x, order))
    exact = ExactNetworks(network)._hyper_synthesis.last
    x = (x.double() / GRID).round() * GRID
    assert torch.equal(exact(x), permuted(exact, x, order))


def test_activations_stay_on_the_grid():
    exact = ExactNetworks(tiny_model().network)._hyper_synthesis
    y = exact.entry(torch.full((1, 6, 4, 4), 900.0, dtype=torch.float64))
    assert torch.equal(y, (y / GRID).round() * GRID)
    assert y.abs().max() <= exact.entry.limit
