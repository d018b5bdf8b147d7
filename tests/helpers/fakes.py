# SPDX-License-Identifier: MIT
"""A tiny stand-in for the latent model, so that tests of the codec need no trained weights."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from vgic_lib.bitstream.range_coding import RangeDecoder, RangeEncoder, Tables
from vgic_lib.errors import BitstreamError, ModelError, ParameterError
from vgic_lib.models import store
from vgic_lib.models.base import LatentModel, Quantised
from vgic_lib.models.tunes import TUNED_MODELS

BLOCK = 4  # pixels a side


class FakeSetting(NamedTuple):
    """Operating point: latents take 2**bits values."""

    num_channels: int
    bits: int

    @property
    def label(self) -> str:
        return f"b{self.bits}"


class FakeModel(LatentModel):
    """Latents are means of 4x4 blocks of each colour; a decoder repeats them."""

    kind, starts_from_noise, bit_depths = "fake", True, (4, 6, 8)
    settings = tuple(FakeSetting(3, bits) for bits in (4, 6, 8))
    search_relaxation, search_rate = "soft-rounding", 0.015

    def __init__(self, name: str = "fake") -> None:
        super().__init__()
        self.name = name
        self.model_id = hashlib.sha256(name.encode()).digest()[:4]
        self.scale = nn.Parameter(torch.ones(()))

    def setting(self, quality: float) -> FakeSetting:
        if not 1 <= quality <= 100:
            raise ParameterError(f"quality must lie in 1..100, not {quality}")
        return self.settings[int(min(quality, 99.9) / 33.4)]

    def code(self, setting: FakeSetting) -> int:
        return setting.num_channels * 256 + setting.bits

    def from_code(self, code: int) -> FakeSetting:
        setting = FakeSetting(*divmod(code, 256))
        if setting not in self.settings:
            raise BitstreamError(f"the file has an unknown operating point {code}; get a fresh copy")
        return setting

    def latent_range(self, setting: FakeSetting) -> float:
        return float(2**setting.bits - 1)

    def latent_shapes(self, setting: FakeSetting, size: tuple[int, int]) -> tuple[tuple[int, ...], ...]:
        return ((1, 3, *(-(-side // BLOCK) for side in size)),)

    def analysis(self, x: Tensor, setting: FakeSetting) -> tuple[Tensor, ...]:
        height, width = x.shape[2:]
        padded = functional.pad(x, (0, -width % BLOCK, 0, -height % BLOCK), mode="replicate")
        return (functional.avg_pool2d(padded, BLOCK) * self.scale * (2**setting.bits - 1),)

    def rounded(
        self,
        latents: tuple[Tensor, ...],
        setting: FakeSetting,
        rounding: Callable[[Tensor], Tensor] = torch.round,
    ) -> tuple[Tensor, ...]:
        return tuple(rounding(y).clamp(0, 2**setting.bits - 1) for y in latents)

    def quantise(
        self,
        latents: tuple[Tensor, ...],
        setting: FakeSetting,
        rounding: Callable[[Tensor], Tensor] = torch.round,
    ) -> Quantised:
        rounded = self.rounded(latents, setting, rounding)
        return Quantised(rounded, sum(y.flatten(1).abs().sum(1) for y in rounded))

    def synthesis(
        self, latents_hat: tuple[Tensor, ...], setting: FakeSetting, size: tuple[int, int]
    ) -> Tensor:
        x_hat = latents_hat[0] / (2**setting.bits - 1)
        x_hat = x_hat.repeat_interleave(BLOCK, 2).repeat_interleave(BLOCK, 3)
        return x_hat[:, :, : size[0], : size[1]]

    def encode(self, latents_hat: tuple[Tensor, ...], setting: FakeSetting) -> list[bytes]:
        symbols = self.rounded(latents_hat, setting)[0][0].to(torch.int64).numpy()
        encoder = RangeEncoder(self._tables(setting))
        encoder.put(symbols, self._index(symbols.shape))
        return [encoder.finish()]

    def decode(
        self, sections: list[bytes], setting: FakeSetting, size: tuple[int, int]
    ) -> tuple[Tensor, ...]:
        if len(sections) != 1:
            raise BitstreamError(
                f"the file is damaged: {len(sections)} sections of latents; get a fresh copy"
            )
        index = self._index(self.latent_shapes(setting, size)[0][1:])
        symbols = RangeDecoder(sections[0], self._tables(setting)).get(index)
        return (torch.from_numpy(symbols).float()[None],)

    @staticmethod
    def _tables(setting: FakeSetting) -> Tables:
        rising = np.arange(1, 2**setting.bits + 1)
        return Tables(np.stack([rising, rising[::-1], np.full_like(rising, 1)]))

    @staticmethod
    def _index(shape: tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(np.arange(3, dtype=np.uint8)[:, None, None], shape)


def install(monkeypatch: pytest.MonkeyPatch, *models: FakeModel) -> None:
    """Let the model store offer `models`, the first one also as the default, and nothing else."""

    def load_model(name: str) -> FakeModel:
        for model in models:
            if name == model.name:
                return model
        if name in TUNED_MODELS.values() and models:
            return models[0]
        raise ModelError(f"unknown model {name!r}; see 'vgic models'")

    def find_model(model_id: bytes) -> FakeModel:
        for model in models:
            if model_id == model.model_id:
                return model
        raise ModelError(f"model {model_id.hex()} is not installed; see 'vgic models'")

    monkeypatch.setattr(store, "load_model", load_model)
    monkeypatch.setattr(store, "find_model", find_model)
