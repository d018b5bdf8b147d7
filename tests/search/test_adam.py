# SPDX-License-Identifier: MIT
"""The optimizer of a latent search: that of PyTorch."""

import torch

from vgic_lib.search.adam import Adam


def loss(tensors):
    return sum((k * tensor - 1).square().sum() + tensor.sin().sum() for k, tensor in enumerate(tensors, 1))


def test_it_moves_as_that_of_torch_does():
    torch.manual_seed(0)
    ours = [torch.randn(shape) for shape in ((1, 3, 5, 7), (1, 2, 3, 4))]
    theirs = [tensor.clone() for tensor in ours]
    for tensor in (*ours, *theirs):
        tensor.requires_grad_()
    adam, reference = Adam(ours), torch.optim.Adam(theirs)
    for step in range(30):
        rate = 0.1 / (1 + step)
        loss(ours).backward()
        adam.step(rate)
        reference.param_groups[0]["lr"] = rate
        reference.zero_grad()
        loss(theirs).backward()
        reference.step()
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.grad is None
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-6)
