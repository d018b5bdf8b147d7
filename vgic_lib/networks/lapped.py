# SPDX-License-Identifier: MIT
"""The best linear codec as a start: a lapped Karhunen-Loeve transform of 16 x 16 x 3 blocks.

A filter across each block border turns the block transform into one with overlapping, smooth basis
functions (Tran, Liang and Tu 2003, "Lapped transform via time-domain pre- and post-filtering"). The KLT of
the filtered blocks follows; the decoder applies its transpose and the inverse filter.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BLOCK = 16  # pixels a side
_BORDER_SCALE = 1.25  # of the filter: 1 is orthogonal; above, less blocking at low rates for some rate


def border_filter() -> Tensor:
    """Filter of the 16 pixels around a block border, (16, 16): Tran et al. 2003, eq. 13 with scale 1.25."""
    half = BLOCK // 2
    identity = torch.eye(half, dtype=torch.float64)
    flip = identity.flip(0)
    butterfly = torch.cat([torch.cat([identity, flip], 1), torch.cat([flip, -identity], 1)])
    index = torch.arange(half, dtype=torch.float64)
    dct_2 = torch.cos(math.pi / half * index[:, None] * (index + 0.5)) * math.sqrt(2 / half)
    dct_2[0] /= math.sqrt(2)
    dct_4 = torch.cos(math.pi / half * (index[:, None] + 0.5) * (index + 0.5)) * math.sqrt(2 / half)
    scale = torch.ones(half, dtype=torch.float64)
    scale[0] = _BORDER_SCALE
    odd = flip @ dct_2.T @ torch.diag(scale) @ dct_4 @ flip
    return 0.5 * butterfly @ torch.block_diag(identity, odd) @ butterfly


def filter_borders(x: Tensor, weight: Tensor) -> Tensor:
    """Apply `weight` (16, 16) across the block borders of x (B, C, H, W), along rows, then columns.

    The outermost half block of the picture has no border and stays as it is.
    """
    half = BLOCK // 2
    if x.shape[3] > BLOCK:  # all rows are one sequence; what was mixed across their ends is put back
        borders = x.flatten()[half:-half].unflatten(0, (-1, BLOCK)) @ weight.T
        mixed = F.pad(borders.flatten(), (half, half)).view_as(x)
        mixed[..., :half], mixed[..., -half:] = x[..., :half], x[..., -half:]
        x = mixed
    if x.shape[2] > BLOCK:  # likewise with the planes' columns
        borders = x.flatten(0, 2)[half:-half].unflatten(0, (-1, BLOCK))
        borders = torch.bmm(weight.expand(len(borders), -1, -1), borders)
        mixed = F.pad(borders.flatten(0, 1), (0, 0, half, half)).view_as(x)
        mixed[:, :, :half], mixed[:, :, -half:] = x[:, :, :half], x[:, :, -half:]
        x = mixed
    return x


class LappedAnalysis(nn.Module):
    """Pixels (B, 3, H, W) to the leading coefficients (B, M, H/16, W/16)."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.border = nn.Parameter(border_filter().float())
        self.basis = nn.Parameter(torch.randn(latent, 3, BLOCK, BLOCK) / BLOCK)

    def forward(self, x: Tensor) -> Tensor:
        """Transform; H and W are multiples of 16."""
        with torch.autocast(x.device.type, enabled=False):
            return F.conv2d(filter_borders(x.float(), self.border), self.basis, stride=BLOCK)


class LappedSynthesis(nn.Module):
    """Coefficients (B, M, h, w) to pixels (B, 3, 16h, 16w)."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.border = nn.Parameter(torch.linalg.inv(border_filter()).float())
        self.basis = nn.Parameter(torch.randn(latent, 3, BLOCK, BLOCK) / BLOCK)

    def forward(self, y: Tensor) -> Tensor:
        """Transform back; in training always in float32."""
        low_precision = torch.is_autocast_enabled(y.device.type) and not self.training
        with torch.autocast(y.device.type, enabled=low_precision):
            blocks = y.permute(0, 2, 3, 1) @ self.basis.flatten(1)  # (B, h, w, 768)
        with torch.autocast(y.device.type, enabled=False):
            blocks = blocks.unflatten(3, self.basis.shape[1:]).permute(0, 3, 1, 4, 2, 5)
            pixels = blocks.to(torch.float32, memory_format=torch.contiguous_format)
            return filter_borders(pixels.flatten(4).flatten(2, 3), self.border)


@torch.no_grad()
def initialise_linear(analysis: LappedAnalysis, synthesis: LappedSynthesis, crops: Tensor) -> Tensor:
    """Set both to the KLT of `crops` (B, 3, H, W) in [-0.5, 0.5], H and W multiples of 16.

    Returns:
        (M,) standard deviation of each coefficient, falling.
    """
    filtered = filter_borders(crops.double(), border_filter())
    blocks = F.unfold(filtered, BLOCK, stride=BLOCK).transpose(1, 2).flatten(0, 1)  # (L, 768)
    variance, basis = torch.linalg.eigh(blocks.T @ blocks / len(blocks))
    latent = len(analysis.basis)
    leading = basis.flip(1)[:, :latent].T.unflatten(1, (3, BLOCK, BLOCK)).float()
    analysis.basis.copy_(leading)
    synthesis.basis.copy_(leading)
    return variance.flip(0)[:latent].clamp(min=0).sqrt().float()
