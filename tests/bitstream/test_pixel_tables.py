# SPDX-License-Identifier: MIT
"""Frequency tables of residuals."""

import numpy as np
import torch

from vgic_lib.bitstream.pixel_tables import (
    FINE_SCALES,
    LARGEST,
    OFFSETS,
    PER_LEVEL,
    RULE,
    RULE_TABLE,
    TABLES,
    coder_tables,
    table_parameters,
)
from vgic_lib.networks.pixels import SCALES


def test_tables_follow_the_densities():
    scale = torch.logspace(-1, 1.77, SCALES, dtype=torch.float64)
    width, share = (torch.full((SCALES,), value, dtype=torch.float64) for value in (2.5, 0.2))
    tables = coder_tables(*table_parameters(scale, width, share))
    assert len(tables) == TABLES + 1
    residuals = np.arange(-LARGEST, LARGEST + 1)
    for entry in (0, 9, FINE_SCALES - 1):
        for offset in range(OFFSETS):
            edges = (torch.from_numpy(residuals) - 0.5 - offset / PER_LEVEL)[:, None] + torch.tensor(
                [0.0, 1.0]
            )
            narrow, wide = (
                torch.sigmoid(edges / s).diff(dim=1)[:, 0] for s in (scale[entry], 2.5 * scale[entry])
            )
            wanted = (0.8 * narrow + 0.2 * wide).numpy()
            found = tables.frequencies[entry * OFFSETS + offset] / 2**24
            assert np.abs(found - wanted).max() < 1e-6
    rule = tables.frequencies[RULE_TABLE]
    assert rule.argmax() == LARGEST and rule.min() >= 1
    assert 0.5 / RULE < 1 - rule[LARGEST] / rule.sum() < 1 / RULE
