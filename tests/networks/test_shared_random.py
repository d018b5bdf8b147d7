# SPDX-License-Identifier: MIT
"""Random numbers of a batch: shares of it together are the whole."""

import pytest
import torch

from vgic_lib.networks import shared_random
from vgic_lib.networks.shared_random import Dropout, choices, normal_like, uniform_like

DRAWN = {
    "uniform": lambda rows: uniform_like(torch.empty(rows, 3, 2), -0.5, 0.5),
    "normal": lambda rows: normal_like(torch.empty(rows, 3, 2, dtype=torch.float64)),
    "choices": lambda rows: choices((4, 6, 8), rows),
    "dropout": lambda rows: Dropout(0.3)(torch.ones(rows, 5)),
}


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_shares_of_a_batch_are_together_the_whole(monkeypatch, draw):
    torch.manual_seed(1)
    whole = draw(6)
    found = []
    for index in range(3):
        monkeypatch.setattr(shared_random, "share", lambda index=index: (index, 3))
        torch.manual_seed(1)
        found.append(draw(2))
    assert torch.equal(torch.cat(found), whole)
    assert not torch.equal(found[0], found[1])


def test_numbers_are_distributed_as_they_say():
    torch.manual_seed(0)
    x = torch.empty(100_000)
    even, normal = uniform_like(x, -0.5, 1.5), normal_like(x)
    assert -0.5 <= even.min() < -0.49 and 1.49 < even.max() < 1.5
    assert even.mean().item() == pytest.approx(0.5, abs=0.01)
    assert (normal.mean().item(), normal.std().item()) == pytest.approx((0, 1), abs=0.02)
    counts = choices((4, 6, 8), 30_000).unique(return_counts=True)
    assert counts[0].tolist() == [4, 6, 8] and counts[1].min() > 9_700


def test_dropout_keeps_the_mean_and_does_nothing_outside_training():
    torch.manual_seed(0)
    x = torch.full((100_000,), 2.0, requires_grad=True)
    layer = Dropout(0.3)
    dropped = layer(x)
    assert dropped.unique().tolist() == pytest.approx([0, 2 / 0.7])
    assert dropped.mean().item() == pytest.approx(2, rel=0.01)
    (gradient,) = torch.autograd.grad(dropped.sum(), x)
    assert torch.equal(gradient, dropped / 2)
    assert layer.eval()(x) is x
