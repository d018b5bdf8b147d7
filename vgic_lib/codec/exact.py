# SPDX-License-Identifier: MIT
"""Which model writes files within a largest error: the one that goes on where another's quality ends."""

from vgic_lib.bitstream import container
from vgic_lib.errors import ModelError, ParameterError
from vgic_lib.models import store
from vgic_lib.models.base import LatentModel


def exact_model(model: LatentModel) -> LatentModel:
    """The model of files within a largest error: the one given, or the one that goes on where it ends.

    Raises:
        ModelError: it is not installed.
        ParameterError: nothing goes on there.
    """
    if model.exact:
        return model
    if not model.continued_by:
        raise ParameterError(f"model {model.name} keeps no largest error; leave the model out")
    return store.load_model(model.continued_by)


def continuation(model: LatentModel) -> LatentModel | None:
    """The model that goes on where `model` ends, if it is installed."""
    try:
        return store.load_model(model.continued_by) if model.continued_by else None
    except ModelError:
        return None


def writer_of(data: bytes, model: LatentModel) -> LatentModel:
    """The model of a file that `compress` made with `model`: that, or the one that goes on where it ends."""
    same = container.read_header(data).model_id == int.from_bytes(model.model_id)
    return model if same else exact_model(model)


def notes(data: bytes, model: LatentModel, target_bytes: int | None) -> list[str]:
    """What people may not expect of a new file of a model."""
    setting = model.from_code(container.read_header(data).setting)
    best = setting == [model.setting(100), *model.finer][-1]
    name = "beyond quality 100" if setting in model.finer else "at quality 100"
    if model.exact:
        name = "lossless" if best else f"largest error {max(setting)}"
    if target_bytes is not None and best:
        return [f"{name}, which has fewer bytes than asked for"]
    return [name] if model.exact or setting in model.finer else []
