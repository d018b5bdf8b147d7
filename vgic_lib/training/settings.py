# SPDX-License-Identifier: MIT
"""Settings from mappings and `name=value` words to configurations, strictly."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import torch
import yaml

from vgic_lib.errors import ParameterError
from vgic_lib.files import read_bytes
from vgic_lib.training.config import TrainingConfig
from vgic_lib.training.presets import PRESETS

T = TypeVar("T")


def starting_point(model: str, preset: str | None = None, nested: bool = False) -> TrainingConfig:
    """Settings before any is changed: those of a preset, or those that suit the model and this machine.

    Raises:
        ParameterError: an unknown model or preset, or a preset of another model.
    """
    accelerated = "gpu" if torch.cuda.is_available() else "cpu"
    defaults = {
        "vaegan": "nested" if nested else "published",
        "hyperprior": f"hyperprior-{accelerated}",
        "head": "head",
        "lossless": "lossless",
    }
    if model not in defaults:
        raise ParameterError(f"unknown model {model!r}; choose from {', '.join(defaults)}")
    if (name := preset or defaults[model]) not in PRESETS:
        raise ParameterError(f"unknown preset {name!r}; choose from {', '.join(PRESETS)}")
    if PRESETS[name].model != model:
        raise ParameterError(f"preset {name!r} is for --model {PRESETS[name].model}")
    return PRESETS[name]


def read_settings(path: str | None, words: Sequence[str]) -> dict[str, Any]:
    """Settings from a YAML file, if there is one, replaced by those of words NAME=VALUE.

    Raises:
        ParameterError: the file or a word is written otherwise.
        StorageError: the file cannot be read.
    """
    values: dict[str, Any] = {}
    if path:
        try:
            values |= yaml.safe_load(read_bytes(path)) or {}
        except (yaml.YAMLError, TypeError, ValueError) as error:
            raise ParameterError(f"{path} is not YAML with one 'name: value' a line") from error
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ParameterError(f"--set {word}: write it as NAME=VALUE")
        values[name] = value
    return values


def load_config(kind: type[T], values: Mapping[str, Any], base: T | None = None) -> T:
    """Build the dataclass `kind` from `base` (or its defaults) with `values` set.

    Text is parsed as YAML, so that `name=value` words of a command line work too.

    Raises:
        ParameterError: an unknown name, or a value of the wrong type.
    """
    hints = get_type_hints(kind)
    known = [field.name for field in fields(kind)]
    for name in values:
        if name not in known:
            raise ParameterError(f"unknown setting {name!r}; choose from {', '.join(known)}")
    converted = {name: _convert(name, value, hints[name]) for name, value in values.items()}
    return dataclasses.replace(base, **converted) if base is not None else kind(**converted)


def _convert(name: str, value: object, hint: Any) -> Any:  # noqa: ANN401 - any field type
    if isinstance(value, str) and hint is not str:
        literal = get_origin(hint) is Literal
        value = value if literal else _parse(name, value.strip("()") if get_origin(hint) is tuple else value)
    if get_origin(hint) is tuple:
        items = (
            value.split(",")
            if isinstance(value, str)
            else value
            if isinstance(value, list | tuple)
            else [value]
        )
        return tuple(_convert(name, item, get_args(hint)[0]) for item in items if item not in ("", None))
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ParameterError(
                f"setting {name!r}: {value!r} is not one of {', '.join(map(repr, get_args(hint)))}"
            )
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):  # YAML reads 1e-3 as text
        try:
            return float(value)
        except ValueError:
            pass
    if type(value) is not hint:
        raise ParameterError(f"setting {name!r} must be of type {hint.__name__}, not {value!r}")
    return value


def _parse(name: str, text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ParameterError(
            f"setting {name!r}: cannot read {text!r}; check its brackets and quotes"
        ) from error
