# SPDX-License-Identifier: MIT
"""Trained weights that a training run goes on from: the setting `start_from`."""

from typing import TypeVar

from vgic_lib.errors import ModelError
from vgic_lib.models.base import LatentModel
from vgic_lib.models.store import load_model

Model = TypeVar("Model", bound=LatentModel)


def trained_model(name: str, kind: type[Model]) -> Model:
    """The model that `start_from` names, for its weights to be copied or kept as they are.

    Raises:
        ModelError: there is none, it is damaged, or it is of another kind.
    """
    model = load_model(name)
    if model.kind != kind.kind:
        wanted = kind.kind.split("-")[1]  # vgic-<this>-<version>
        raise ModelError(f"start_from: {name!r} is no {wanted}; give weights of one")
    return model
