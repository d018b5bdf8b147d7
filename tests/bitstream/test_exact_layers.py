# SPDX-License-Identifier: MIT
"""Rows stand for planes, and sums on the grid are the same in any order."""

import pytest
import torch

from vgic_lib.bitstream import exact_layers
from vgic_lib.bitstream.exact_layers import GRID, LIMIT, WEIGHT_GRID, ExactConv, Sheet, on_grid
from vgic_lib.errors import ModelError
from vgic_lib.networks.context import Conv, CrossConv

SIZES = [(6, 9), (5, 4), (1, 1), (1, 7), (8, 2)]


def on_whole_grid(*shape, largest=50.0):
    """Activations in units of GRID, (height, width, channels)."""
    return (largest / GRID * (2 * torch.rand(shape, dtype=torch.float64) - 1)).round()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", [1, 3, 5])
def test_an_exact_convolution_is_the_convolution_rounded(monkeypatch, size, side):
    monkeypatch.setattr(exact_layers, "PART", 7)
    torch.manual_seed(0)
    layer, x = Conv(5, 7, side), on_whole_grid(*size, 5)
    sheet, exact = Sheet(*size, reach=2), ExactConv(layer, 100.0)
    rows = sheet.spread(x)
    layer.weight.data = on_grid(layer.weight)
    layer.bias.data = on_grid(layer.bias)
    expected = layer((GRID * x).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    found = torch.cat([exact.around(sheet, rows, part) for part in sheet.parts()])
    assert torch.equal(found, found.round())
    assert (GRID * sheet.grid(found) - expected).abs().max() <= GRID / 2
    for colour in (0, 1):
        parts = list(sheet.parts(colour))
        mine = torch.cat([exact.around(sheet, rows, part) for part in parts]) if parts else found[1::2]
        assert torch.equal(mine, found[colour::2])


@pytest.mark.parametrize("size", SIZES)
def test_slices_of_every_second_row_are_the_colours_of_a_checkerboard(size):
    sheet = Sheet(*size)
    odd = (torch.arange(size[0])[:, None] + torch.arange(size[1])) % 2
    rows = sheet.inside(sheet.spread(1.0 + odd[..., None]))
    assert set(rows[0::2].unique().tolist()) <= {0, 1} and set(rows[1::2].unique().tolist()) <= {0, 2}
    sheet.clear(rows)
    assert torch.equal(sheet.grid(rows)[..., 0], 1.0 + odd)


@pytest.mark.parametrize("size", SIZES)
def test_a_cross_convolution_leaves_out_zeros_alone(size):
    torch.manual_seed(0)
    sheet, layer = Sheet(*size), CrossConv(5, 7)
    even = 1 - (torch.arange(size[0])[:, None] + torch.arange(size[1])) % 2
    rows = sheet.spread(on_whole_grid(*size, 5) * even[..., None])
    plain = Conv(5, 7)
    plain.load_state_dict(layer.state_dict())
    for part in sheet.parts(1):
        cross, full = (ExactConv(one, 100.0).around(sheet, rows, part) for one in (layer, plain))
        assert torch.equal(cross, full)


def test_order_of_sums_matters_in_float_and_not_on_the_grid():
    """The reason for all this, and the proof that the other tests could fail."""
    torch.manual_seed(1)
    layer, x = Conv(160, 20, 1), on_whole_grid(900, 160)
    order = torch.randperm(160)
    exact = ExactConv(layer, 100.0)
    matrix = exact.taps[0]
    assert torch.equal(exact((x, matrix)), exact((x[:, order], matrix[order])))
    assert torch.equal(exact((x, matrix)), exact((x[:, 90:], matrix[90:]), (x[:, :90], matrix[:90])))
    x, matrix = (GRID * x).float(), matrix.float()
    assert not torch.equal(x @ matrix, x[:, order] @ matrix[order])


def test_the_largest_sum_that_is_let_through_is_exact():
    """Weights at the limit, inputs that make every product as large as it can be."""
    largest = 2.0**12
    layer = Conv(7, 1, 1)
    layer.weight.data.fill_(2.0**6)  # 7 of them times the input: just below the limit
    layer.bias.data.fill_(WEIGHT_GRID)
    exact = ExactConv(layer, largest)
    x = torch.full((1, 7), largest / GRID, dtype=torch.float64)
    x[0, 0] -= 0.125  # the finest that LeakyReLU makes
    total = torch.addmm(exact.bias, x, exact.taps[0])
    whole = 7 * 2**6 * 2**24 - 2**3 + 2.0**-4 + 0.5
    assert total.item() == whole
    assert exact((x, exact.taps[0])).item() == LIMIT / GRID
    layer.weight.data.fill_(2.0**7)
    with pytest.raises(ModelError):
        ExactConv(layer, largest)
