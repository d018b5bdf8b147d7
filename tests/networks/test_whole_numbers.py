# SPDX-License-Identifier: MIT
"""Layers of whole numbers, with and without gradients."""

import torch

from vgic_lib.networks.whole_numbers import LARGEST, Activation, Linear, logarithm, planes, rounded


def test_logarithm():
    numbers = torch.arange(6000).float()
    found = logarithm(numbers)
    assert (found / 16 - torch.log2(1 + numbers)).abs().max() < 0.16 and (found.diff() >= 0).all()
    assert torch.equal(found, found.round()) and torch.equal(logarithm(numbers.double()), found.double())
    assert logarithm(torch.tensor([0.0, 1, 3, 7, 1023])).tolist() == [0, 16, 32, 48, 160]


def test_rounding_lets_gradients_pass():
    x = torch.tensor([-1.0, 1.2, 30.9, 2000.0], requires_grad=True)
    y = Activation.apply(x * 1)
    y.sum().backward()
    assert y.tolist() == [0, 1, 30, LARGEST] and x.grad.tolist() == [0, 1, 1, 0]
    x.grad = None
    z = rounded(x, 0.25)
    z.sum().backward()
    assert z.tolist() == [-1, 1.25, 31, 2000] and x.grad.tolist() == [1] * 4


def test_products_are_the_same_with_and_without_gradients():
    layer, x = Linear(5, 3), torch.randint(-255, 256, (40, 5)).float()
    with torch.no_grad():
        layer.weight.copy_(torch.round(layer.weight * 256) / 256)
        layer.bias.copy_(torch.round(layer.bias * 256) / 256)
        plain = layer(x, 2.0**-4, 2.0**-6)
    assert torch.equal(plain, layer(x, 2.0**-4, 2.0**-6).detach())
    assert torch.equal(plain.T - 0.5, planes([layer], x, 2.0**-4, 2.0**-6).detach())
    assert torch.equal(planes([layer] * 2, x, 2.0**-4, 2.0**-6), torch.cat([plain.T - 0.5] * 2))
    exact = 64 * (layer.weight.double() @ x.T.double() / 16 + layer.bias.double())
    assert torch.equal(plain.T.double() - 0.5, exact)
