# SPDX-License-Identifier: MIT
"""Layers of the codec and of the 2020 VAE-GAN: modules that know tensors only."""
