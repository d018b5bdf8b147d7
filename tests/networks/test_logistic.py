# SPDX-License-Identifier: MIT
"""Densities of residuals, and the tables that are stored."""

import numpy as np
import pytest
import torch
from helpers.samples import smooth_crops
from helpers.tiny_hyperprior import tiny_model

from vgic_lib.bitstream.fixed_point import (
    LARGEST_RESIDUAL,
    code_lengths,
    mirrored,
    scale_frequencies,
)
from vgic_lib.models.hyperprior import QualitySetting
from vgic_lib.networks.logistic import LARGEST_SCALE, SCALES, SMALLEST_SCALE, residual_bits


def test_the_smallest_scale_takes_no_bits():
    silent = tiny_model()
    silent.network.context.base.fill_(-200.0)
    silent.network.z_base.fill_(-5.0)
    setting = QualitySetting(448)
    latents = silent.analysis((smooth_crops(1, 40, 40) + 1) / 2, setting)
    assert silent.encode(latents, setting) == [b""]
    (y_hat, z_hat), bits = silent.quantise(latents, setting)
    decoded = silent.decode([b""], setting, (40, 40))
    assert bits == 0 and not z_hat.any() and decoded[1].equal(z_hat)
    assert (decoded[0] - y_hat).abs().max() < 0.01


def test_stored_tables_are_logistic_densities():
    scale = torch.logspace(np.log10(SMALLEST_SCALE), np.log10(LARGEST_SCALE), SCALES, dtype=torch.float64)
    bits = code_lengths(scale_frequencies())
    residual = torch.arange(5.0)
    for table in (0, 20, 40, SCALES - 1):
        expected = residual_bits(residual, torch.tensor(float(table)))
        seen = expected < 15  # beyond, tables round up
        assert torch.allclose(bits[table, :5][seen], expected[seen], atol=0.01)
    both = mirrored(scale_frequencies())
    assert both.shape == (SCALES, 2 * LARGEST_RESIDUAL + 1)
    assert (both == both[:, ::-1]).all() and both.min() == 1 and both.sum(1).max() < 1.01 * 2**24
    near = np.arange(-40, 41)  # nine deviations; beyond, tables hold more than the density
    table = both[30, near + LARGEST_RESIDUAL]
    variance = (table * near**2).sum() / table.sum()
    assert variance == pytest.approx(scale[30].item() ** 2 + 1 / 12, rel=0.01)
