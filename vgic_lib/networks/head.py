# SPDX-License-Identifier: MIT
"""The generative head: a second synthesis on the same bits, for pictures that look real.

It adds to the picture of least error what that lacks to look like a photograph, and can be added in part
(Körber et al. 2024, "EGIC", section 3: output residual prediction). A discriminator that sees picture and
latent, as in 2020, teaches it. Nothing here touches what is coded.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vgic_lib.networks.hyperprior import QUARTER, Architecture, Correction, Synthesis
from vgic_lib.networks.lapped import BLOCK

NOISE = 2  # channels of noise at 1/4 of the size: texture that the latent does not tell
NOISE_START = 0.05  # deviation of its weights: half of the features' own; from 0 it is never used
_CELL = BLOCK // QUARTER  # places of noise along a side of a place of y


class Head(Correction):
    """From latent, picture of least error and noise to what makes the picture look real."""

    def __init__(self, sizes: Architecture) -> None:
        seen = min(sizes.synthesis_latent, sizes.latent)
        super().__init__(seen, sizes.synthesis_widths, sizes.synthesis_blocks)
        self.noise = nn.Conv2d(NOISE, sizes.synthesis_widths[0], 1, bias=False)
        nn.init.normal_(self.noise.weight, std=NOISE_START)

    @torch.no_grad()
    def start_from(self, synthesis: Synthesis) -> None:
        """Take over the features of a trained synthesis; what is added still starts at zero."""
        state = {k: v for k, v in synthesis.state_dict().items() if not k.startswith(("linear.", "last."))}
        self.load_state_dict(state, strict=False)

    def forward(self, y: Tensor, quality: Tensor, picture: Tensor, noise: Tensor) -> Tensor:
        """What to add to a picture.

        Args:
            y: what the synthesis takes, (B, M, h, w).
            quality: (B,).
            picture: what it makes, (B, 3, 16h, 16w), about [-0.5, 0.5].
            noise: as `noise_like` makes it.

        Returns:
            (B, 3, 16h, 16w).
        """
        more = self.noise(F.pixel_shuffle(noise, _CELL).to(self.noise.weight.dtype))
        return self.correction(y, quality, picture, more)


def noise_like(y: Tensor, seed: int = 0) -> Tensor:
    """Normal noise for y (B, M, h, w), the same whenever shape and seed are: (B, NOISE * 16, h, w)."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn(noise_shape(y), generator=random).to(y.device)


def noise_shape(y: Tensor) -> tuple[int, int, int, int]:
    """Shape of the noise for y (B, M, h, w)."""
    return len(y), NOISE * _CELL**2, *y.shape[2:]


class PatchDiscriminator(nn.Module):
    """Judges patches of pictures, together with the latent they were made from, at two scales.

    Fine judgements are of the picture alone (patches of 12 pixels a side), coarse ones also see the latent.
    Only differences between the judgements of a real and a made picture mean something.
    """

    def __init__(self, latent: int, widths: tuple[int, int, int, int] = (48, 96, 160, 192)) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth = widths
        self.fine = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(12, half, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(half, quarter, 4, 2, padding=1),
            nn.LeakyReLU(0.2),
        )
        self.fine_judgement = nn.Conv2d(quarter, 1, 1)
        self.coarse = nn.Sequential(
            nn.Conv2d(quarter, eighth, 4, 2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(eighth, sixteenth, 4, 2, padding=1),
            nn.LeakyReLU(0.2),
        )
        self.condition = nn.Sequential(nn.Conv2d(latent, 64, 1), nn.LeakyReLU(0.2))
        self.coarse_judgement = nn.Sequential(
            nn.Conv2d(sixteenth + 64, sixteenth, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(sixteenth, 1, 1),
        )

    def forward(self, picture: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Judge pictures (B, 3, 16h, 16w), about [-0.5, 0.5]; more is more like a photograph.

        Args:
            picture: to be judged.
            y: (B, latent, h, w), all channels about as large.

        Returns:
            fine judgements (B, 1, 4h, 4w) and coarse ones (B, 1, h, w).
        """
        features = self.fine(picture)
        coarse = torch.cat([self.coarse(features), self.condition(y)], 1)
        return self.fine_judgement(features), self.coarse_judgement(coarse)
