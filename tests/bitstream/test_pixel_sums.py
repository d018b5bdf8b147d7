# SPDX-License-Identifier: MIT
"""No sum may need more than the bits of float32."""

import pytest
from helpers.tiny_lossless import tiny_lossless

from vgic_lib.bitstream.pixel_sums import LARGEST_MEAN, sums_fit
from vgic_lib.errors import ModelError
from vgic_lib.models.lossless import bound


def test_weights_that_are_too_large():
    model = tiny_lossless()
    model.network.exact.passes[0].middle.weight.fill_(40.0)
    with pytest.raises(ModelError, match="too large for exact"):
        model._coder(bound(0))


@pytest.mark.parametrize("excess", [False, True])
def test_the_limit_of_means(excess):
    """Differences of 255 levels, all of the sign of their weight, are the worst that can be."""
    network = tiny_lossless().network.exact
    part = network.passes[0]
    part.out[0].weight.zero_()
    part.out[0].bias.zero_()
    part.straight[0].weight.zero_()
    part.straight[0].bias.zero_()
    part.straight[0].weight[0, :8] = LARGEST_MEAN / 16 / 16 / 8 - 2**-8 * (not excess)
    assert sums_fit(network) != excess
