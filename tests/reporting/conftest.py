# SPDX-License-Identifier: MIT
"""Numbers that figures are drawn from."""

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def points() -> pd.DataFrame:
    lines = [("JPEG", "jpeg", "classical", 0, 0, 0, bpp, 32 + 4 * np.log2(bpp)) for bpp in (0.2, 0.5, 1, 2)]
    lines += [("VAE-GAN, 4 bits", f"vaegan-{n}", "ours", n, 4, 0, 0.1 * n, 25.0 + n / 4) for n in (2, 8, 16)]
    lines += [("VGIC", "hyperprior", "ours", 0, 0, 0, bpp, 34 + 4 * np.log2(bpp)) for bpp in (0.2, 1.6)]
    names = ["curve", "codec", "kind", "num_channels", "bits", "search_steps", "bpp", "psnr_db"]
    grown = {metric: np.linspace(0.5, 0.9, len(lines)) for metric in ("ssim", "ms_ssim")}
    return pd.DataFrame(lines, columns=names).assign(**grown, ms_ssim_db=-10 * np.log10(1 - grown["ms_ssim"]))


@pytest.fixture
def traces() -> pd.DataFrame:
    lines = [
        (image, method, f"b{bits}", step, step / 10, 20 + bits / 4 + step / 50, 1 - step / 1000)
        for image in "ab" for method in ("gumbel", "noise") for bits in (4, 6) for step in range(0, 101, 10)
    ]  # fmt: skip
    names = "image,method,setting,step,time_s,psnr_db,bpp_estimated"
    return pd.DataFrame(lines, columns=names.split(","))
