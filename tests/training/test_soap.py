# SPDX-License-Identifier: MIT
"""The optimizer whose moments turn with the gradients."""

import copy

import pytest
import torch
from torch import nn

from vgic_lib.training.soap import Soap


def rotation(side: int, seed: int) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(side, side, generator=torch.Generator().manual_seed(seed))).Q


def path(optimizer_class: type, out: torch.Tensor, into: torch.Tensor) -> list[float]:
    """Losses of a quadratic in a 6 x 8 weight, seen in other coordinates of its two sides."""
    weight = nn.Parameter(out.T @ torch.randn(6, 8, generator=torch.Generator().manual_seed(0)) @ into.T)
    optimizer = optimizer_class([{"params": [weight]}], lr=1e-2, betas=(0.9, 0.95))
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        seen = out @ weight @ into
        loss = (torch.logspace(0, 1, 6)[:, None] * seen * torch.logspace(0, 1, 8)).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_its_path_does_not_depend_on_the_coordinates():
    """What Adam, which looks at each element alone, lacks."""
    turned = rotation(6, 1), rotation(8, 2)
    straight = torch.eye(6), torch.eye(8)
    assert path(Soap, *turned) == pytest.approx(path(Soap, *straight), rel=1e-3)
    assert path(torch.optim.Adam, *turned) != pytest.approx(path(torch.optim.Adam, *straight), rel=0.1)


@pytest.mark.parametrize("shape", [(7,), ()])
def test_without_two_sides_it_is_adam(shape):
    start = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    ends = []
    for optimizer_class in (Soap, torch.optim.Adam):
        weight = nn.Parameter(start.clone())
        optimizer = optimizer_class([{"params": [weight]}], lr=0.01, betas=(0.9, 0.95))
        for k in range(25):
            weight.grad = torch.sin(weight.detach() * 3 + k)
            optimizer.step()
        ends.append(weight.detach())
    assert torch.allclose(*ends, atol=1e-6)


def train(network: nn.Module, optimizer: Soap, steps: range) -> None:
    for k in steps:
        x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(k))
        optimizer.zero_grad()
        (network(x) - x[:, :1]).square().mean().backward()
        optimizer.step()


def network_and_optimizer() -> tuple[nn.Module, Soap]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 1, 1))
    return network, Soap([{"params": list(network.parameters())}], lr=3e-3)


def test_bases_stay_orthogonal_and_follow_the_gradients():
    network, optimizer = network_and_optimizer()
    train(network, optimizer, range(200))
    state = optimizer.state[network[0].weight]
    for side, length in (("out", 6), ("in", 3)):
        basis, covariance = state[f"basis_{side}"], state[f"covariance_{side}"]
        assert torch.allclose(basis.T @ basis, torch.eye(length), atol=1e-4)
        turned = basis.T @ covariance @ basis
        assert turned.diag().square().sum() > 0.97 * turned.square().sum()


def test_its_state_carries_on():
    network, optimizer = network_and_optimizer()
    train(network, optimizer, range(15))
    weights, state = copy.deepcopy(network.state_dict()), copy.deepcopy(optimizer.state_dict())
    train(network, optimizer, range(15, 40))
    other, resumed = network_and_optimizer()
    other.load_state_dict(weights)
    resumed.load_state_dict(state)
    train(other, resumed, range(15, 40))
    for ours, theirs in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_order_of_memory_does_not_matter():
    ends = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        weight = nn.Parameter(torch.ones(6, 5, 3, 3).to(memory_format=memory_format))
        optimizer = Soap([{"params": [weight]}], lr=1e-2)
        for k in range(25):
            gradient = torch.randn(6, 5, 3, 3, generator=torch.Generator().manual_seed(k))
            weight.grad = gradient.to(memory_format=memory_format)
            optimizer.step()
        ends.append(weight.detach())
    assert torch.allclose(*ends, atol=1e-4)


@pytest.mark.parametrize("seed", range(20))
def test_sparse_gradients_of_low_rank_leave_it_finite(seed):
    """Single-precision eigenvectors of their covariance came out as NaN, or not at all."""
    generator = torch.Generator().manual_seed(seed)
    weight = nn.Parameter(torch.zeros(8, 64))
    optimizer = Soap([{"params": [weight]}], lr=1e-3)
    for scale in (1e-3, 1e-4, 0):
        weight.grad = torch.zeros(8, 64)
        weight.grad[:, torch.randperm(64, generator=generator)[:6]] = scale * torch.randn(
            8, 6, generator=generator
        )
        optimizer.step()
    assert weight.isfinite().all()
    assert weight.abs().max() > 0
