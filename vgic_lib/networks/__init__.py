# SPDX-License-Identifier: MIT
"""Networks: the 2020 VAE-GAN and, later, the codec of VGIC."""
