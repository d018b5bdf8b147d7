# SPDX-License-Identifier: MIT
"""The same bytes and pixels whatever the caller has done to torch, and in processes of every kind."""

import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from helpers import PROJECT
from helpers.samples import smooth_pictures
from helpers.surroundings import default_dtype
from PIL import Image

import vgic_lib.pillow_plugin  # noqa: F401
from vgic_lib import codec
from vgic_lib.models import store

MODELS = "hyperprior", "vaegan-2"


@contextmanager
def default_device(device):
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


SURROUNDINGS = {
    "float64": lambda: default_dtype(torch.float64),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "another device": lambda: default_device("meta"),
    "device context": lambda: torch.device("meta"),
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "strict numpy": lambda: np.errstate(all="raise"),
}


@pytest.fixture(scope="module")
def picture():
    return Image.fromarray(smooth_pictures(1, 48, 64)[0])


def work(picture, model):
    """Everything that a model is asked for, in bytes."""
    plain = codec.compress(picture, model=model, quality=40)
    searched = codec.compress(picture, model=model, quality=40, search_steps=2)
    aimed = codec.compress(picture, model=model, target_bytes=len(plain) + 100)
    return plain, searched, aimed, codec.decompress(searched).tobytes()


@pytest.fixture(scope="module")
def expected(picture):
    return {model: work(picture, model) for model in MODELS}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", SURROUNDINGS)
def test_the_state_of_torch_changes_nothing(picture, expected, name, model):
    store._read.cache_clear()  # so that the model is built in there, too
    with SURROUNDINGS[name]():
        assert work(picture, model) == expected[model]
    assert codec.compress(picture, model=model, quality=40) == expected[model][0]  # nor does it last


def test_the_state_of_torch_is_left_as_it_was(picture):
    with default_dtype(torch.float64), torch.no_grad(), torch.device("meta"):
        codec.compress(picture, quality=10)
        assert torch.get_default_dtype() == torch.float64 and not torch.is_grad_enabled()
        assert torch.zeros(1).device.type == "meta"
        with pytest.raises(Exception, match="quality"):
            codec.compress(picture, quality=1000)
        assert torch.get_default_dtype() == torch.float64


PROCESSES = """
import concurrent.futures, io, multiprocessing, torch
from PIL import Image
import vgic_lib.pillow_plugin
from vgic_lib import codec

torch.set_num_threads(2)
picture = Image.effect_mandelbrot((96, 80), (-2, -1, 1, 1), 50).convert("RGB")
data = codec.compress(picture)
pixels = codec.decompress(data).tobytes()

def same(_):
    buffer = io.BytesIO()
    picture.save(buffer, "VGIC")
    opened = Image.open(io.BytesIO(data))
    return codec.compress(picture) == data == buffer.getvalue() and opened.tobytes() == pixels

class Files(torch.utils.data.Dataset):
    def __len__(self):
        return 2
    def __getitem__(self, index):
        return same(index)

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    with context.Pool(1) as pool:
        answers = pool.map_async(same, range(2)).get(100)
    with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
        answers += pool.map(same, range(1), timeout=100)
    for method in ("fork", "spawn"):
        loader = torch.utils.data.DataLoader(
            Files(), num_workers=1, multiprocessing_context=method, timeout=100
        )
        answers += [bool(batch) for batch in loader]
    print(all(answers) and same(0), len(answers))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
def test_processes_of_every_kind(tmp_path):
    """Each may be started after this one has decoded with several threads."""
    program = tmp_path / "processes.py"
    program.write_text(PROCESSES)
    environment = {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE", "PATH": "", "HOME": str(tmp_path)}
    command = [sys.executable, str(program)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=400, env=environment)
    assert answer.stdout.split() == ["True", "7"], answer.stderr


LOADED = """
import sys
from PIL import Image
from vgic_lib.cli import main

main(["decompress", sys.argv[1], sys.argv[2]])
import vgic_lib.pillow_plugin
Image.open(sys.argv[1]).save(sys.argv[3])
print([name for name in sys.modules if name.startswith(("vgic_lib.search", "vgic_lib.metrics"))])
"""


def test_decoding_loads_neither_search_nor_metrics(tmp_path):
    """Decoding by the command line, then by Pillow."""
    source = PROJECT / "tests" / "golden" / "rgb-n2-b4.vgic"
    targets = [tmp_path / name for name in ("a.png", "b.png")]
    command = [sys.executable, "-c", LOADED, source, *targets]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "[]" and all(target.exists() for target in targets)
