# SPDX-License-Identifier: MIT
"""Random crops of photographs that are held in memory as they are, 8 bits a channel."""

from collections.abc import Sequence

import numpy as np
import torch

from vgic_lib.errors import ParameterError


class CropSampler:
    """Batches of random crops; a batch depends on seed and step only, so a resumed run sees the same."""

    def __init__(
        self,
        images: Sequence[np.ndarray],
        size: tuple[int, int],
        batch: int,
        seed: int,
        flip: bool = True,
        device: torch.device | None = None,
    ) -> None:
        """Keep those images that the crop fits into.

        Args:
            images: pictures (H, W, 3), uint8.
            size: height and width of the crops.
            batch: crops in a batch.
            seed: any number from 0.
            flip: mirror half of the crops, left to right.
            device: where to hold all pictures in memory and cut crops; None: as they are given.

        Raises:
            ParameterError: no image is as large as the crop.
        """
        self.size, (self.height, self.width) = size, size
        self.images = [x for x in images if x.shape[0] >= self.height and x.shape[1] >= self.width]
        if not self.images:
            raise ParameterError(f"no picture is as large as {self.width}x{self.height}; take smaller crops")
        areas = np.array([x.shape[0] * x.shape[1] for x in self.images])
        self.shares = areas / areas.sum()  # every pixel is about equally likely
        self.batch_size, self.seed, self.flip, self.device = batch, seed, flip, device
        if device is not None:
            self.starts = np.cumsum(areas) - areas
            self.strides = np.array([x.shape[1] for x in self.images])
            self.pixels = torch.from_numpy(np.concatenate([x.reshape(-1, 3) for x in self.images])).to(device)

    def batch(self, step: int, share: tuple[int, int] = (0, 1)) -> torch.Tensor:
        """Crops of one training step: (B, 3, H, W), uint8; the same ones wherever they are cut.

        Args:
            step: its number.
            share: of the batch, its number from 0, and how many equal ones there are.
        """
        random = np.random.default_rng((self.seed, step))
        chosen = random.choice(len(self.images), size=self.batch_size, p=self.shares)
        rows = self.batch_size // share[1]
        places = [self._place(index, random) for index in chosen][share[0] * rows :][:rows]
        if self.device is not None:
            return self._gather(places)
        crops = np.stack([self._cut(*place) for place in places])
        return torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous()

    def _place(self, index: int, random: np.random.Generator) -> tuple[int, int, int, bool]:
        """Picture, top, left, whether mirrored."""
        height, width = self.images[index].shape[:2]
        top, left = random.integers(height - self.height + 1), random.integers(width - self.width + 1)
        return index, top, left, self.flip and random.random() < 0.5

    def _cut(self, index: int, top: int, left: int, mirrored: bool) -> np.ndarray:
        crop = self.images[index][top : top + self.height, left : left + self.width]
        return crop[:, ::-1] if mirrored else crop

    def _gather(self, places: Sequence[tuple[int, int, int, bool]]) -> torch.Tensor:
        """Cut on the device: all pixels of all crops by their places in one list of pixels."""
        picture, top, left, mirrored = np.array(places, dtype=np.int64).T
        strides = self.strides[picture]
        corners = self.starts[picture] + top * strides + left + mirrored * (self.width - 1)
        corner, stride, column = (
            torch.from_numpy(values).to(self.device)[:, None, None]
            for values in (corners, strides, 1 - 2 * mirrored)
        )
        rows = torch.arange(self.height, device=self.device)[:, None]
        index = corner + stride * rows + column * torch.arange(self.width, device=self.device)
        return self.pixels[index].permute(0, 3, 1, 2)
