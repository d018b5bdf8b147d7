# SPDX-License-Identifier: MIT
"""Kinds of training runs by the name of what they train, and named settings to start from."""

from vgic_lib.errors import ParameterError
from vgic_lib.training.config import HyperpriorConfig, TrainingConfig, VaeGanConfig
from vgic_lib.training.head_config import HeadConfig
from vgic_lib.training.lossless_config import LosslessConfig

CONFIGS = {
    "vaegan": VaeGanConfig,
    "hyperprior": HyperpriorConfig,
    "head": HeadConfig,
    "lossless": LosslessConfig,
}
PRESETS = {
    "published": VaeGanConfig(),
    "nested": VaeGanConfig(
        num_channels=(2, 4, 8, 16, 28), bits=(4, 6, 8), initialisation="klt", distortion="psnr",
        adversarial_from=1.0, crop_height=98, crop_width=98, batch=8, steps=2100,
        learning_rate=8e-4, beta1=0.9, warmup_steps=100, schedule="cosine", ema_decay=0.998, clip_norm=1.0,
    ),
    "adversarial": VaeGanConfig(
        num_channels=(4,), bits=(4, 6, 8), start_from="vaegan-4", initialisation="klt", head_start=23,
        discriminator_rate=2.5, adversarial_weight=0.02, batch=4, steps=143, learning_rate=2e-4,
        ema_decay=0.97, log_every=1, validate_every=40,
    ),
    "hyperprior-cpu": HyperpriorConfig(late_from=0.8, learning_rate=1e-3, table_rate=2.0, entropy_rate=2.0),
    "hyperprior-eye": HyperpriorConfig(
        start_from="hyperprior", tune="eye", optimizer="soap", beta2=0.95,
        lambda_low=0.0007, lambda_high=0.39, crop_side=256, batch=16,
        ema_decay=0.998, warmup_steps=100, steps=2800, learning_rate=8e-4, table_rate=2.0, entropy_rate=2.0,
    ),
    "head": HeadConfig(),
    "lossless": LosslessConfig(),
    "lossless-near": LosslessConfig(part="near", steps=1000, learning_rate=1e-3, start_from="lossless"),
    "lossless-jpeg": LosslessConfig(part="jpeg", steps=1000, learning_rate=1e-3, start_from="lossless"),
    "lossless-photo-cd": LosslessConfig(
        part="photo_cd", steps=1000, learning_rate=1e-3, start_from="lossless"
    ),
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
