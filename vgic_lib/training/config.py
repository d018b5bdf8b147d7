# SPDX-License-Identifier: MIT
"""Configuration of training runs: frozen dataclasses, and presets of them."""

from dataclasses import dataclass, fields
from typing import Literal

from vgic_lib.errors import ParameterError
from vgic_lib.networks.hyperprior import Architecture

TUNE_NAMES = {"psnr": "squared error", "eye": "the eye"}


@dataclass(frozen=True)
class TrainingConfig:
    """What every training run has, of whatever model."""

    batch: int = 20  # crops a step
    steps: int = 4860  # updates
    learning_rate: float = 5e-4  # at its peak
    beta1: float = 0.5  # of the optimizer's moments
    beta2: float = 0.999
    warmup_steps: int = 0
    schedule: Literal["constant", "cosine"] = "constant"  # of the learning rate
    final_rate: float = 0.0  # fraction of the peak at which the cosine ends
    ema_decay: float = 0.0  # of the averaged weights that are validated and saved; 0: the last weights
    clip_norm: float = 0.0  # gradient norm; 0: no clipping
    seed: int = 0
    start_from: str = ""  # weights to train on from, a model's name or path; none: a start of its own
    bf16: Literal["auto", "on", "off"] = "auto"  # bfloat16 convolutions; auto: where the hardware has them
    log_every: int = 20  # steps between rows of metrics.csv
    validate_every: int = 250  # steps
    validation_pictures: int = 0  # the first so many; 0: all
    checkpoint_every_s: float = 60.0  # seconds
    compile: bool = False  # torch.compile: worth its start-up time on an accelerator only

    @property
    def name(self) -> str:
        """Name of the network that is trained."""
        return self.model

    @property
    def title(self) -> str:
        """What is trained, in a few words."""
        raise NotImplementedError

    def sampling(self, step: int) -> tuple[tuple[int, int], int]:
        """Height and width in pixels of the training crops of a step, and their number."""
        raise NotImplementedError

    def checks(self) -> list[tuple[bool, str]]:
        """What must hold, each with the sentence that says so."""
        return [
            (
                min(self.batch, self.log_every, self.validate_every) >= 1,
                "batch, log_every and validate_every must be at least 1",
            ),
            (min(self.steps, self.warmup_steps) >= 0, "steps and warmup_steps must not be negative"),
            (self.learning_rate > 0, "learning_rate must be above 0"),
            (
                all(0 <= value < 1 for value in (self.beta1, self.beta2, self.ema_decay)),
                "beta1, beta2 and ema_decay must lie in 0..1, 1 excluded",
            ),
            (0 <= self.final_rate <= 1, "final_rate must lie in 0..1"),
            (self.clip_norm >= 0, "clip_norm must not be negative"),
            (self.validation_pictures >= 0, "validation_pictures must not be negative"),
        ]

    def __post_init__(self) -> None:
        """Refuse values that cannot work. Raises ParameterError."""
        for passed, message in self.checks():
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
    # N(0, 0.05); or the best linear codec, and a discriminator that starts with whitened patches
    initialisation: Literal["published", "klt"] = "published"
    distortion: Literal["l1", "psnr"] = "l1"  # 2 x L1 as published, or minus the PSNR of each crop
    adversarial_from: float = 0.0  # fraction of the steps after which the discriminator joins; 1: never
    adversarial_weight: float = 1.0  # of the adversarial loss beside the distortion
    head_start: int = 0  # steps in which the discriminator, when it joins, learns alone
    discriminator_rate: float = 1.0  # learning rate of the discriminator, as a fraction
    crop_height: int = 218  # pixels, 2 modulo 4; the discriminator needs 218 x 178
    crop_width: int = 178

    def sampling(self, step: int) -> tuple[tuple[int, int], int]:
        """Height and width in pixels of the training crops of a step, and their number."""
        return (self.crop_height, self.crop_width), self.batch

    @property
    def name(self) -> str:
        """Name of the network that is trained: "vaegan-8" if it serves one channel count only."""
        return self.model if self.nested else f"{self.model}-{self.num_channels[0]}"

    @property
    def title(self) -> str:
        """What is trained."""
        adversary = " with its adversary" * (self.adversarial_step < self.steps)
        return f"2020 VAE-GAN{adversary}, n = {', '.join(map(str, self.num_channels))}"

    @property
    def nested(self) -> bool:
        """Whether one network serves several channel counts."""
        return len(self.num_channels) > 1

    @property
    def adversarial_step(self) -> int:
        """First step with the discriminator."""
        return round(self.adversarial_from * self.steps)

    def checks(self) -> list[tuple[bool, str]]:
        """What must hold, each with the sentence that says so."""
        adversarial = self.adversarial_step < self.steps
        return [
            *super().checks(),
            (
                bool(self.num_channels) and min(self.num_channels) >= 1,
                "num_channels needs one or more counts of at least 1",
            ),
            (all(1 <= bits <= 8 for bits in self.bits), "bits must lie in 1..8"),
            (
                all(side % 4 == 2 and side >= 14 for side in (self.crop_height, self.crop_width)),
                "crop_height and crop_width must be 2 modulo 4 and at least 14",
            ),
            (
                not adversarial or (self.crop_height, self.crop_width) == (218, 178),
                "the discriminator of 2020 needs crops of 218 x 178 (or set adversarial_from=1)",
            ),
            (
                not adversarial or not self.nested,
                "the discriminator of 2020 needs one channel count (or set adversarial_from=1)",
            ),
            (
                min(self.adversarial_weight, self.head_start, self.discriminator_rate) >= 0,
                "adversarial_weight, head_start and discriminator_rate must not be negative",
            ),
            (
                self.initialisation != "klt" or max(self.num_channels, default=0) <= 32,
                "initialisation klt serves up to 32 channels",
            ),
        ]


@dataclass(frozen=True)
class HyperpriorConfig(TrainingConfig, Architecture):
    """One training run of the codec, for all rates at once. The defaults suit two CPU cores."""

    batch: int = 16
    steps: int = 20000
    optimizer: Literal["adam", "soap"] = "adam"  # soap: Adam in turning bases, see `training.soap`
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
    tune: Literal["psnr", "eye"] = "psnr"  # what pictures are to be near in, of `search.objectives.TUNES`
    lambda_low: float = 8e-4  # of lambda * 255**2 * MSE + bits per pixel, at the lowest quality
    lambda_high: float = 0.15  # at the highest; geometric between
    crop_side: int = 128  # pixels, a multiple of 16; with 64, z covers the whole crop
    late_from: float = 1.0  # fraction of the steps after which crops are larger and fewer; 1: never
    late_crop_side: int = 256  # their side; as many as have the pixels of an earlier batch
    initial_crops: int = 1024  # crops that the linear codec at the start is fitted to
    linear_rate: float = 0.02  # learning rate of the linear transforms, as a fraction
    table_rate: float = 0.5  # of gains and scales that are tables over quality
    entropy_rate: float = 3.0  # of hyper networks and context model
    validation_pictures: int = 24  # the first so many; their centres of at most 256 x 256 pixels

    @property
    def architecture(self) -> Architecture:
        """Sizes of the networks alone."""
        return Architecture(**{field.name: getattr(self, field.name) for field in fields(Architecture)})

    @property
    def title(self) -> str:
        """What is trained."""
        return f"hyperprior codec for all rates, tuned for {TUNE_NAMES[self.tune]}"

    def sampling(self, step: int) -> tuple[tuple[int, int], int]:
        """Height and width in pixels of the training crops of a step, and their number."""
        if step < round(self.late_from * self.steps):
            return (self.crop_side, self.crop_side), self.batch
        batch = round(self.batch * self.crop_side**2 / self.late_crop_side**2)
        return (self.late_crop_side, self.late_crop_side), max(1, batch)

    def checks(self) -> list[tuple[bool, str]]:
        """What must hold, each with the sentence that says so."""
        layouts = (self.analysis_widths, self.analysis_blocks, self.synthesis_widths, self.synthesis_blocks)
        counts = (self.synthesis_latent, self.hyper_latent, self.features, self.context, self.hidden)
        rates = (self.linear_rate, self.table_rate, self.entropy_rate)
        return [
            *super().checks(),
            (
                bool(self.groups) and min(self.groups) >= 1 and sum(self.groups) <= 768,
                "groups needs one or more counts of at least 1, 768 in all",
            ),
            (
                len(self.context_sides) == len(self.groups)
                and all(side >= 1 and side % 2 for side in self.context_sides),
                "context_sides needs one odd number for each of groups",
            ),
            (all(len(layout) == 3 for layout in layouts), "widths and blocks need three numbers each"),
            (min((1, *self.analysis_widths, *self.synthesis_widths)) >= 1, "widths must be at least 1"),
            (min((0, *self.analysis_blocks, *self.synthesis_blocks)) >= 0, "blocks must not be negative"),
            (
                min(counts) >= 1,
                "synthesis_latent, hyper_latent, features, context and hidden must be at least 1",
            ),
            (self.initial_crops >= 1, "initial_crops must be at least 1"),
            (0 < self.lambda_low < self.lambda_high, "lambda_low must be above 0 and below lambda_high"),
            (
                all(side >= 16 and side % 16 == 0 for side in (self.crop_side, self.late_crop_side)),
                "crop_side and late_crop_side must be multiples of 16, at least 16",
            ),
            (0 <= self.late_from <= 1, "late_from must lie in 0..1"),
            (min(rates) >= 0, "linear_rate, table_rate and entropy_rate must not be negative"),
        ]
