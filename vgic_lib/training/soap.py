# SPDX-License-Identifier: MIT
"""SOAP: Adam in the slowly turning eigenbases of each weight's gradients.

Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam" (2024), algorithm 3; that it suits
image codecs was found by Zhang and Zhu, "Leveraging Second-Order Curvature for Efficient Learned Image
Compression" (2026).
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from vgic_lib.training.config import TrainingConfig

LARGEST_SIDE = 1024  # longer sides of a weight keep their axes: a basis costs the cube of its side


class Soap(torch.optim.Optimizer):
    """Adam whose moments live where the gradients of a layer's outputs, and of its inputs, are uncorrelated.

    A weight (out, in, height, width) or (out, in) has two bases, of its outputs and of its inputs; positions
    in a kernel keep their axes. Anything of one dimension is left to plain Adam.
    """

    def __init__(
        self,
        params: Iterable[dict],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        refresh: int = 10,
    ) -> None:
        """Make the optimizer.

        Args:
            params: groups of parameters, as for any optimizer of PyTorch.
            lr: learning rate; those of Adam suit.
            betas: decay of the mean gradient; of its squares, and of the covariances that make the bases.
            eps: added to the denominator.
            refresh: steps between two turns of the bases.
        """
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "refresh": refresh})

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._step(parameter, self.state[parameter], group)

    def _step(self, parameter: Tensor, state: dict, group: dict) -> None:
        gradient = _last_in(parameter.grad)
        sides = _sides(gradient)
        if not state:
            state["step"] = 0
            state["mean"], state["square"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
            for side in sides:
                covariance = state[f"covariance_{side}"] = _covariance(gradient, side)
                # in double precision: with one gradient it lacks rank, where single precision may give NaN
                basis = torch.linalg.eigh(covariance.double()).eigenvectors
                state[f"basis_{side}"] = basis.flip(1).to(covariance.dtype)
        state["step"] += 1
        step, (beta1, beta2) = state["step"], group["betas"]
        bases = {side: state[f"basis_{side}"] for side in sides}
        turned = _turned(gradient, bases)
        state["mean"].lerp_(turned, 1 - beta1)
        state["square"].lerp_(turned.square(), 1 - beta2)
        deviation = (state["square"] / (1 - beta2**step)).sqrt_().add_(group["eps"])
        update = state["mean"] / deviation
        update = _turned(update, {side: basis.T for side, basis in bases.items()})
        parameter.sub_(_first_in(update), alpha=group["lr"] / (1 - beta1**step))
        for side in sides:
            state[f"covariance_{side}"].lerp_(_covariance(gradient, side), 1 - beta2)
            if step % group["refresh"] == 0:
                _turn_basis(state, side)


def _last_in(weight: Tensor) -> Tensor:
    """(out, in, ...) as (out, ..., in), contiguous."""
    return (weight.movedim(1, -1) if weight.dim() > 1 else weight).contiguous()


def _first_in(weight: Tensor) -> Tensor:
    """What `_last_in` had."""
    return weight.movedim(-1, 1) if weight.dim() > 1 else weight


def optimizer(config: TrainingConfig, groups: Iterable[dict]) -> torch.optim.Optimizer:
    """The optimizer that a training run has chosen, for groups of parameters."""
    betas = config.beta1, config.beta2
    if config.optimizer == "soap":
        return Soap(groups, config.learning_rate, betas)
    return torch.optim.Adam(groups, config.learning_rate, betas, fused=True)


def _sides(weight: Tensor) -> list[str]:
    """Sides of a weight (out, ..., in) that get a basis."""
    if weight.dim() < 2:
        return []
    lengths = {"out": weight.shape[0], "in": weight.shape[-1]}
    return [side for side, length in lengths.items() if 1 < length <= LARGEST_SIDE]


def _covariance(weight: Tensor, side: str) -> Tensor:
    """Sum of the outer products of what lies along a side."""
    if side == "out":
        rows = weight.flatten(1)
        return rows @ rows.T
    rows = weight.flatten(0, -2)
    return rows.T @ rows


def _turned(weight: Tensor, bases: dict[str, Tensor]) -> Tensor:
    """A weight (out, ..., in) in other bases, the columns of a matrix for each side."""
    if "out" in bases:
        weight = (bases["out"].T @ weight.flatten(1)).view(weight.shape)
    return weight @ bases["in"] if "in" in bases else weight


def _turn_basis(state: dict, side: str) -> None:
    """One step of orthogonal iteration towards the eigenvectors of a covariance, the largest first.

    The mean gradient turns along; its squares keep their places, in the new order.
    """
    covariance, old = state[f"covariance_{side}"], state[f"basis_{side}"]
    product = covariance @ old
    order = (old * product).sum(0).argsort(descending=True)
    new = torch.linalg.qr(product[:, order]).Q
    axis = 0 if side == "out" else -1
    state["square"] = state["square"].index_select(axis, order)
    state["mean"] = _turned(state["mean"], {side: old.T @ new})
    state[f"basis_{side}"] = new
