# SPDX-License-Identifier: MIT
"""What a search minimises."""

import pytest
import torch

from vgic_lib.search.objectives import objective_bpp, objective_db


def test_the_objective_trades_decibels_for_doublings():
    x, bits = torch.zeros(1, 3, 4, 4), torch.tensor([1023.0])
    base = objective_db(x + 0.1, x, bits, 3.0).item()
    assert base == pytest.approx(-20 + 3 * 10, abs=1e-3)
    assert objective_db(x + 0.1, x, 2 * bits + 1, 3.0).item() == pytest.approx(base + 3, abs=1e-3)
    assert objective_db(x + 0.1, x, bits, 0.0).item() == pytest.approx(-20, abs=1e-3)


def test_bits_per_pixel_and_squared_error_add_up():
    x = torch.zeros(1, 3, 4, 4)
    found = objective_bpp(x + 2 / 255, x, torch.tensor([48.0]), trade_off=0.5).item()
    assert found == pytest.approx(0.5 * 4 + 3)
