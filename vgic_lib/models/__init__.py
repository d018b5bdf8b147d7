# SPDX-License-Identifier: MIT
"""Networks, probabilities and weights behind one contract, that of `base`."""
