# SPDX-License-Identifier: MIT
"""Settings from mappings and `name=value` words to configurations, strictly."""

import dataclasses
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import yaml

from vgic_lib.errors import ParameterError

T = TypeVar("T")


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
