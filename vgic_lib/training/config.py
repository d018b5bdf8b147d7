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
    """What every training run has, of whatever model."""

    batch: int = 20  # crops a step
    steps: int = 4860  # updates
    learning_rate: float = 5e-4  # at its peak
    beta1: float = 0.5  # of Adam
    beta2: float = 0.999
    warmup_steps: int = 0
    schedule: Literal["constant", "cosine"] = "constant"  # of the learning rate
    final_rate: float = 0.0  # fraction of the peak at which the cosine ends
    ema_decay: float = 0.0  # of the averaged weights that are validated and saved; 0: the last weights
    clip_norm: float = 0.0  # gradient norm; 0: no clipping
    seed: int = 0
    log_every: int = 20  # steps between rows of metrics.csv
    validate_every: int = 250  # steps
    checkpoint_every_s: float = 60.0  # seconds
    compile: bool = False  # torch.compile: worth its start-up time on an accelerator only

    def sampling(self, step: int) -> tuple[tuple[int, int], int]:
        """Height and width in pixels of the training crops of a step, and their number."""
        raise NotImplementedError

    def checks(self) -> dict[str, bool]:
        """What must hold, each with the sentence that says so."""
        return {
            "batch, log_every and validate_every must be at least 1": min(
                self.batch, self.log_every, self.validate_every
            )
            >= 1,
            "steps and warmup_steps must not be negative": min(self.steps, self.warmup_steps) >= 0,
            "learning_rate must be above 0": self.learning_rate > 0,
            "beta1, beta2 and ema_decay must lie in 0..1, 1 excluded": all(
                0 <= value < 1 for value in (self.beta1, self.beta2, self.ema_decay)
            ),
            "final_rate must lie in 0..1": 0 <= self.final_rate <= 1,
            "clip_norm must not be negative": self.clip_norm >= 0,
        }

    def __post_init__(self) -> None:
        """Refuse values that cannot work. Raises ParameterError."""
        for message, passed in self.checks().items():
            if not passed:
                raise ParameterError(f"training: {message}")


@dataclass(frozen=True)
class VaeGanConfig(TrainingConfig):
    """One training run of the VAE-GAN. The defaults are the published ones of 2020.

    Its steps are 15 epochs of the 6472 training photographs of Flickr8k.
    """

    model: Literal["vaegan"] = "vaegan"
    num_channels: tuple[int, ...] = (8,)  # latent channels; several: one nested network for all of them
    bits: tuple[int, ...] = ()  # bit depths of the quantiser trained through; none: no quantiser (2020)
    initialisation: Literal["published", "klt"] = "published"  # N(0, 0.05), or the best linear codec
    distortion: Literal["l1", "psnr"] = "l1"  # 2 x L1 as published, or minus the PSNR of each crop
    adversarial_from: float = 0.0  # fraction of the steps after which the discriminator joins; 1: never
    crop_height: int = 218  # pixels, 2 modulo 4; the discriminator needs 218 x 178
    crop_width: int = 178

    def sampling(self, step: int) -> tuple[tuple[int, int], int]:
        """Height and width in pixels of the training crops of a step, and their number."""
        return (self.crop_height, self.crop_width), self.batch

    @property
    def nested(self) -> bool:
        """Whether one network serves several channel counts."""
        return len(self.num_channels) > 1

    @property
    def adversarial_step(self) -> int:
        """First step with the discriminator."""
        return round(self.adversarial_from * self.steps)

    def checks(self) -> dict[str, bool]:
        """What must hold, each with the sentence that says so."""
        adversarial = self.adversarial_step < self.steps
        return super().checks() | {
            "num_channels needs one or more counts of at least 1": bool(self.num_channels)
            and min(self.num_channels) >= 1,
            "bits must lie in 1..8": all(1 <= bits <= 8 for bits in self.bits),
            "crop_height and crop_width must be 2 modulo 4 and at least 14": all(
                side % 4 == 2 and side >= 14 for side in (self.crop_height, self.crop_width)
            ),
            "the discriminator of 2020 needs crops of 218 x 178 (or set adversarial_from=1)": not adversarial
            or (self.crop_height, self.crop_width) == (218, 178),
            "the discriminator of 2020 needs one channel count (or set adversarial_from=1)": not adversarial
            or not self.nested,
            "initialisation klt serves up to 32 channels": self.initialisation != "klt"
            or max(self.num_channels, default=0) <= 32,
        }


@dataclass(frozen=True)
class HyperpriorConfig(TrainingConfig):
    """One training run of the codec, for all rates at once. The defaults suit two CPU cores."""

    batch: int = 16
    steps: int = 20000
    learning_rate: float = 6e-4
    beta1: float = 0.9
    beta2: float = 0.99
    warmup_steps: int = 300
    schedule: Literal["constant", "cosine"] = "cosine"
    final_rate: float = 0.01
    ema_decay: float = 0.999
    clip_norm: float = 1.0
    validate_every: int = 500
    model: Literal["hyperprior"] = "hyperprior"
    groups: tuple[int, ...] = (16, 32, 64, 144, 144)  # channels of y that are coded together; see Hyperprior
    context_sides: tuple[int, ...] = (3, 3, 3, 3, 1)  # positions a side that each group sees of earlier ones
    synthesis_latent: int = 256  # channels of y that the synthesis networks see directly
    analysis_widths: tuple[int, ...] = (64, 96, 192)  # channels at 1/4, 1/8 and 1/16 of the size
    analysis_blocks: tuple[int, ...] = (1, 1, 1)  # residual blocks there
    synthesis_widths: tuple[int, ...] = (48, 96, 160)
    synthesis_blocks: tuple[int, ...] = (1, 2, 2)
    hyper_latent: int = 64  # channels of z
    features: int = 128  # channels from z for the context model
    context: int = 64  # channels from what is decoded already
    hidden: int = 160  # width of the network that joins them
    lambda_low: float = 8e-4  # of lambda * 255**2 * MSE + bits per pixel, at the lowest quality
    lambda_high: float = 0.15  # at the highest; geometric between
    crop_side: int = 128  # pixels, a multiple of 16; with 64, z covers the whole crop
    late_from: float = 1.0  # fraction of the steps after which crops are larger and fewer; 1: never
    late_crop_side: int = 256  # their side; as many as have the pixels of an earlier batch
    start_from: str = ""  # weights to train on from, a model's name or path; none: the linear codec
    initial_crops: int = 1024  # crops that the linear codec at the start is fitted to
    linear_rate: float = 0.02  # learning rate of the linear transforms, as a fraction
    table_rate: float = 0.5  # of gains and scales that are tables over quality
    entropy_rate: float = 3.0  # of hyper networks and context model
    bf16: Literal["auto", "on", "off"] = "auto"  # bfloat16 convolutions; auto: where the hardware has them
    validation_pictures: int = 24  # the first so many; their centres of at most 256 x 256 pixels

    def sampling(self, step: int) -> tuple[tuple[int, int], int]:
        """Height and width in pixels of the training crops of a step, and their number."""
        if step < round(self.late_from * self.steps):
            return (self.crop_side, self.crop_side), self.batch
        batch = round(self.batch * self.crop_side**2 / self.late_crop_side**2)
        return (self.late_crop_side, self.late_crop_side), max(1, batch)

    def checks(self) -> dict[str, bool]:
        """What must hold, each with the sentence that says so."""
        layouts = (self.analysis_widths, self.analysis_blocks, self.synthesis_widths, self.synthesis_blocks)
        counts = (self.synthesis_latent, self.hyper_latent, self.features, self.context, self.hidden)
        rates = (self.linear_rate, self.table_rate, self.entropy_rate)
        return super().checks() | {
            "groups needs one or more counts of at least 1, 768 in all": bool(self.groups)
            and min(self.groups) >= 1
            and sum(self.groups) <= 768,
            "context_sides needs one odd number for each of groups": len(self.context_sides)
            == len(self.groups)
            and all(side >= 1 and side % 2 for side in self.context_sides),
            "widths and blocks need three numbers each": all(len(layout) == 3 for layout in layouts),
            "widths must be at least 1": min((1, *self.analysis_widths, *self.synthesis_widths)) >= 1,
            "blocks must not be negative": min((0, *self.analysis_blocks, *self.synthesis_blocks)) >= 0,
            "synthesis_latent, hyper_latent, features, context and hidden must be at least 1": min(counts)
            >= 1,
            "initial_crops must be at least 1": self.initial_crops >= 1,
            "lambda_low must be above 0 and below lambda_high": 0 < self.lambda_low < self.lambda_high,
            "crop_side and late_crop_side must be multiples of 16, at least 16": all(
                side >= 16 and side % 16 == 0 for side in (self.crop_side, self.late_crop_side)
            ),
            "late_from must lie in 0..1": 0 <= self.late_from <= 1,
            "linear_rate, table_rate and entropy_rate must not be negative": min(rates) >= 0,
            "validation_pictures must not be negative": self.validation_pictures >= 0,
        }


CONFIGS = {"vaegan": VaeGanConfig, "hyperprior": HyperpriorConfig}
PRESETS = {
    "published": VaeGanConfig(),
    "nested": VaeGanConfig(
        num_channels=(2, 4, 8, 16, 28), bits=(4, 6, 8), initialisation="klt", distortion="psnr",
        adversarial_from=1.0, crop_height=98, crop_width=98, batch=8, steps=2100,
        learning_rate=8e-4, beta1=0.9, warmup_steps=100, schedule="cosine", ema_decay=0.998, clip_norm=1.0,
    ),
    "hyperprior-cpu": HyperpriorConfig(late_from=0.8, learning_rate=1e-3, table_rate=2.0, entropy_rate=2.0),
    "hyperprior-gpu": HyperpriorConfig(
        batch=32, crop_side=256, late_from=0.8, late_crop_side=512, steps=60000, table_rate=2.0,
        validate_every=2000, compile=True,
    ),
}  # fmt: skip


def config_class(model: str) -> type[TrainingConfig]:
    """Class of the settings of a kind of model. Raises ParameterError."""
    if model not in CONFIGS:
        raise ParameterError(f"unknown model {model!r}; choose from {', '.join(CONFIGS)}")
    return CONFIGS[model]


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
