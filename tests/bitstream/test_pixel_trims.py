# SPDX-License-Identifier: MIT
"""Scales of a picture are trimmed to what takes fewest bits."""

import torch

from vgic_lib.bitstream.pixel_tables import LARGEST, OFFSETS, RULE_TABLE, TABLES, every_place, tables_for
from vgic_lib.bitstream.pixel_trims import (
    BUCKET,
    TRIMMED_PIXELS,
    Residuals,
    best_trims,
    no_trims,
    tables_of,
    trimmed,
    trimmed_tables,
)
from vgic_lib.networks.pixels import SCALES, Place

AT = Place(4, 1, slice(0, 8), slice(0, 8))


def test_large_passes_and_coded_channels_have_trims():
    side = int(TRIMMED_PIXELS**0.5) * 2
    assert trimmed((side, side), 3)[:3].all() and not trimmed((side, side), 3)[3:].any()
    assert not trimmed((side, side - 1), 3).any()
    assert trimmed((4 * side, 4 * side), 1)[:, 0].all() and not trimmed((4 * side, 4 * side), 1)[:, 1:].any()


def test_tables_without_trims_and_of_rules():
    tables = trimmed_tables(no_trims())
    index, offset = every_place()
    for network in (0, 8, -1):
        assert (tables[network, 2, :-1] == tables_for(index, offset).numpy()).all()
    assert (tables[..., -1] == RULE_TABLE).all() and RULE_TABLE == TABLES


def test_the_scale_that_a_picture_has_is_found():
    """Costs that grow with the distance of a table from that of scale 20."""
    costs = torch.ones(TABLES + 1, 2 * LARGEST + 1)
    wanted = int(tables_for(torch.tensor(20), torch.tensor(0)))
    costs[:TABLES] += (torch.arange(TABLES) - wanted).abs()[:, None]
    expected = Residuals(
        AT, torch.full((1, 8, 8), 17 * OFFSETS, dtype=torch.uint8), torch.zeros(1, 8, 8).short()
    )
    ruled = Residuals(AT, torch.full((1, 8, 8), SCALES * OFFSETS, dtype=torch.uint8), expected.residual)
    chosen = torch.zeros(9, 3, dtype=torch.bool)
    assert not best_trims([expected, ruled], chosen, costs).any()
    chosen[4, 1] = True
    trims = best_trims([expected, ruled], chosen, costs)
    assert trims[4, 1, 17 // BUCKET] == 3 and trims.count_nonzero() == 1
    tables = trimmed_tables(trims)
    assert (tables_of(expected, tables) == wanted).all() and (tables_of(ruled, tables) == RULE_TABLE).all()
