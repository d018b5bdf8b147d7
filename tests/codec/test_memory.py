# SPDX-License-Identifier: MIT
"""Memory that is needed, memory that there is, and errors that tell of its end."""

import pytest
from helpers.tiny_hyperprior import tiny_model

from vgic_lib.codec import memory
from vgic_lib.errors import ImageError
from vgic_lib.models.vaegan import VaeGan


@pytest.mark.parametrize("model", [tiny_model(), VaeGan([2])], ids=lambda model: type(model).__name__)
def test_more_pixels_and_search_need_more(model):
    for work in ("compress", "search", "decompress"):
        needed = [memory.needed_bytes(side, side, model, work) for side in (1, 1000, 1024, 1025, 8000)]
        assert needed == sorted(set(needed)) and needed[0] < 10_000 and 2e9 < needed[-1] < 3e11
    assert memory.needed_bytes(9, 9, model, "search") > memory.needed_bytes(9, 9, model, "compress")


def test_what_the_system_tells(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    assert memory.available_bytes() is None
    memory.check_memory(10**4, 10**4, VaeGan([2]), "compress")  # nobody knows
    (tmp_path / "meminfo").write_text(
        "MemTotal: 9 kB\nMemAvailable: 2000 kB\nSwapFree: 48 kB\n", encoding="ascii"
    )
    assert memory.available_bytes() == 2048 * 1024
    memory.check_memory(10, 10, VaeGan([2]), "compress")
    with pytest.raises(ImageError, match=r"1000 x 1000 pixels need 0\.1 GB .* close"):
        memory.check_memory(1000, 1000, VaeGan([2]), "compress")
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\n", encoding="ascii")
    assert memory.available_bytes() is None


def test_errors_that_tell_of_the_end_of_memory():
    hidden = ImageError("damaged")
    hidden.__cause__ = MemoryError()
    found = [
        MemoryError(),
        RuntimeError("CUDA out of memory"),
        RuntimeError("x: not enough memory: y"),
        hidden,
    ]
    assert all(map(memory.is_out_of_memory, found))
    assert not any(map(memory.is_out_of_memory, [ValueError("out of memory"), RuntimeError("no"), None]))
