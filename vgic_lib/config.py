# SPDX-License-Identifier: MIT
"""Configuration: frozen dataclasses, loaded strictly from mappings and `name=value` words."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import yaml

from vgic_lib.errors import ParameterError

T = TypeVar("T")


@dataclass(frozen=True)
class TrainingConfig:
    """One training run of the VAE-GAN. The defaults are the published ones of 2020."""

    model: Literal["vaegan"] = "vaegan"
    num_channels: tuple[int, ...] = (8,)  # latent channels; several: one nested network for all of them
    bits: tuple[int, ...] = ()  # bit depths of the quantiser trained through; none: no quantiser (2020)
    initialisation: Literal["published", "klt"] = "published"  # N(0, 0.05), or the best linear codec
    distortion: Literal["l1", "psnr"] = "l1"  # 2 x L1 as published, or minus the PSNR of each crop
    adversarial_from: float = 0.0  # fraction of the steps after which the discriminator joins; 1: never
    crop_height: int = 218  # pixels, 2 modulo 4; the discriminator needs 218 x 178
    crop_width: int = 178
    batch: int = 20  # crops a step
    steps: int = 4860  # 15 epochs of the 6472 training photographs of Flickr8k
    learning_rate: float = 5e-4  # Adam
    beta1: float = 0.5
    beta2: float = 0.999
    warmup_steps: int = 0
    schedule: Literal["constant", "cosine"] = "constant"  # of the learning rate, cosine down to zero
    ema_decay: float = 0.0  # of the averaged weights that are validated and saved; 0: the last weights
    clip_norm: float = 0.0  # gradient norm; 0: no clipping
    seed: int = 0
    log_every: int = 20  # steps between rows of metrics.csv
    validate_every: int = 250  # steps
    checkpoint_every_s: float = 60.0  # seconds
    compile: bool = False  # torch.compile: worth its start-up time on an accelerator only

    @property
    def nested(self) -> bool:
        """Whether one network serves several channel counts."""
        return len(self.num_channels) > 1

    @property
    def adversarial_step(self) -> int:
        """First step with the discriminator."""
        return round(self.adversarial_from * self.steps)

    def __post_init__(self) -> None:
        """Refuse values that cannot work. Raises ParameterError."""
        adversarial = self.adversarial_step < self.steps
        checks = {
            "num_channels needs one or more counts of at least 1": self.num_channels
            and min(self.num_channels) >= 1,
            "bits must lie in 1..8": all(1 <= bits <= 8 for bits in self.bits),
            "crop_height and crop_width must be 2 modulo 4 and at least 14": all(
                side % 4 == 2 and side >= 14 for side in (self.crop_height, self.crop_width)
            ),
            "the discriminator of 2020 needs crops of 218 x 178 (or set adversarial_from=1)": not adversarial
            or (self.crop_height, self.crop_width) == (218, 178),
            "the discriminator of 2020 needs one channel count (or set adversarial_from=1)": not adversarial
            or not self.nested,
            "batch, log_every and validate_every must be at least 1": min(
                self.batch, self.log_every, self.validate_every
            )
            >= 1,
            "steps must not be negative": self.steps >= 0,
            "learning_rate must be above 0": self.learning_rate > 0,
            "beta1, beta2 and ema_decay must lie in 0..1, 1 excluded": all(
                0 <= value < 1 for value in (self.beta1, self.beta2, self.ema_decay)
            ),
            "initialisation klt serves up to 32 channels": self.initialisation != "klt"
            or max(self.num_channels, default=0) <= 32,
        }
        for message, passed in checks.items():
            if not passed:
                raise ParameterError(f"training: {message}")


PRESETS = {
    "published": TrainingConfig(),
    "nested": TrainingConfig(
        num_channels=(2, 4, 8, 16, 28), bits=(4, 6, 8), initialisation="klt", distortion="psnr",
        adversarial_from=1.0, crop_height=98, crop_width=98, batch=8, steps=2100,
        learning_rate=8e-4, beta1=0.9, warmup_steps=100, schedule="cosine", ema_decay=0.998, clip_norm=1.0,
    ),
}  # fmt: skip


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
