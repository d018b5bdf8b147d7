# SPDX-License-Identifier: MIT
"""Trained weights that a training run goes on from: the setting `start_from`."""

from typing import TypeVar

from vgic_lib.errors import ModelError
from vgic_lib.models.base import LatentModel
from vgic_lib.models.store import load_model
from vgic_lib.training.config import TrainingConfig

Model = TypeVar("Model", bound=LatentModel)


def trained_model(config: TrainingConfig, kind: type[Model]) -> Model:
    """The model that `start_from` names, for its weights to be copied.

    Raises:
        ModelError: there is none, it is damaged, or it is of another kind.
    """
    model = load_model(config.start_from)
    if model.kind != kind.kind:
        raise ModelError(f"start_from: {config.start_from!r} is no {config.model}; give weights of one")
    return model
