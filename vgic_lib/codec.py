# SPDX-License-Identifier: MIT
"""The codec: a picture to the bytes of a .vgic file, and back.

    picture -> analysis -> [latent search] -> quantise -> range coding -> container
    container -> range coding -> synthesis -> picture

Both directions end in `_picture`, so the encoder knows exactly what a decoder will show.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from vgic_lib import bitstream, model_store
from vgic_lib.bitstream import Header, Layout
from vgic_lib.errors import ImageError, ModelError, ParameterError
from vgic_lib.images import normalise_image, to_image, to_tensor
from vgic_lib.latent_model import Setting, VaeGan
from vgic_lib.model_store import DEFAULT_MODEL

_MODES = {Layout(0): "RGB", Layout.GRAY: "L", Layout.ALPHA: "RGBA", Layout.GRAY | Layout.ALPHA: "LA"}
_LAYOUTS = {mode: layout for layout, mode in _MODES.items()}


class Encoded(NamedTuple):
    """A compressed picture, and what a decoder makes of it."""

    data: bytes
    reconstruction: Image.Image


@dataclass(frozen=True)
class FileInfo:
    """What the header of a .vgic file tells, without decoding the picture."""

    version: int
    model_id: str  # 8 hex digits
    model: str  # name, or "not installed"
    setting: str  # operating point, or its number where the model is not installed
    width: int  # pixels
    height: int  # pixels
    mode: str  # "L", "LA", "RGB" or "RGBA"
    file_bytes: int
    latent_bytes: int  # entropy-coded latents
    alpha_bytes: int
    overhead_bytes: int  # header, lengths and checksum
    bpp: float  # bits of the file per pixel
    compression_ratio: float  # bytes of 24-bit RGB over bytes of the file


def compress(
    image: Image.Image,
    *,
    model: str | VaeGan = DEFAULT_MODEL,
    quality: float = 50,
    search_steps: int = 0,
    setting: Setting | None = None,
    report: Callable[[object], object] | None = None,
) -> bytes:
    """A .vgic file with `image`.

    Args:
        image: any picture that `normalise_image` takes.
        model: a model, its name, or the path of a weights file.
        quality: 1 to 100; more is larger and closer to the original.
        search_steps: gradient steps that improve the latents of this picture; 0 for none.
        setting: operating point of the model, instead of `quality`.
        report: called after each search step with its TracePoint.

    Raises:
        ImageError: the picture is of an unsupported kind or too large.
        ModelError: unknown model. ParameterError: impossible quality or number of steps.
    """
    return _describe(image, model, quality, search_steps, setting, report).data


def encode(
    image: Image.Image,
    *,
    model: str | VaeGan = DEFAULT_MODEL,
    quality: float = 50,
    search_steps: int = 0,
    setting: Setting | None = None,
    report: Callable[[object], object] | None = None,
) -> Encoded:
    """Compress `image` and reconstruct it as a decoder will; arguments and errors as in `compress`."""
    described = _describe(image, model, quality, search_steps, setting, report)
    return Encoded(described.data, _picture(*described[1:]))


class _Description(NamedTuple):
    """A compressed picture before its reconstruction."""

    data: bytes
    model: VaeGan
    latents_hat: tuple[torch.Tensor, ...]
    setting: Setting
    header: Header
    alpha: np.ndarray | None  # (H, W) uint8


def _describe(
    image: Image.Image,
    model: str | VaeGan,
    quality: float,
    search_steps: int,
    setting: Setting | None,
    report: Callable[[object], object] | None,
) -> _Description:
    if search_steps < 0:
        raise ParameterError(f"search steps must be 0 or more, not {search_steps}")
    model = model_store.load_model(model) if isinstance(model, str) else model
    setting = model.setting(quality) if setting is None else setting
    image = normalise_image(image)
    if max(image.size) > bitstream.MAX_SIDE:
        raise ImageError(f"a side of the picture exceeds {bitstream.MAX_SIDE} pixels; make it smaller first")
    header = Header(
        model_id=int.from_bytes(model.model_id),
        setting=model.code(setting),
        width=image.width,
        height=image.height,
        layout=_LAYOUTS[image.mode],
    )
    alpha = np.asarray(image.getchannel("A")) if Layout.ALPHA in header.layout else None
    latents_hat = _best_latents(model, to_tensor(image), setting, search_steps, report)
    sections = model.encode(latents_hat, setting)
    if alpha is not None:
        sections = [*sections, bitstream.pack_alpha(alpha)]
    return _Description(bitstream.pack(header, sections), model, latents_hat, setting, header, alpha)


def decompress(data: bytes) -> Image.Image:
    """The picture in a .vgic file.

    Returns:
        picture of mode "L", "LA", "RGB" or "RGBA", as it was compressed; alpha is exact.

    Raises:
        BitstreamError: `data` is no .vgic file, truncated, altered or of a newer version.
        ModelError: the model that wrote it is not installed.
    """
    header, sections = bitstream.unpack(data)
    model = model_store.find_model(header.model_id.to_bytes(4))
    setting = model.from_code(header.setting)
    alpha = None
    if Layout.ALPHA in header.layout:
        alpha = bitstream.unpack_alpha(sections.pop(), header.width, header.height)
    latents_hat = model.decode(sections, setting, (header.height, header.width))
    return _picture(model, latents_hat, setting, header, alpha)


def info(data: bytes) -> FileInfo:
    """What the header of a .vgic file tells; works without its model too. Raises BitstreamError."""
    header, sections = bitstream.unpack(data)
    name, setting = _names(header)
    alpha_bytes = len(sections.pop()) if Layout.ALPHA in header.layout else 0
    latent_bytes = sum(map(len, sections))
    pixels = header.width * header.height
    return FileInfo(
        version=header.version,
        model_id=f"{header.model_id:08x}",
        model=name,
        setting=setting,
        width=header.width,
        height=header.height,
        mode=_MODES[header.layout],
        file_bytes=len(data),
        latent_bytes=latent_bytes,
        alpha_bytes=alpha_bytes,
        overhead_bytes=len(data) - latent_bytes - alpha_bytes,
        bpp=8 * len(data) / pixels,
        compression_ratio=3 * pixels / len(data),
    )


def _names(header: Header) -> tuple[str, str]:
    """Name of the model and of the operating point."""
    try:
        model = model_store.find_model(header.model_id.to_bytes(4))
        setting = model.from_code(header.setting)
    except ModelError:
        return "not installed", str(header.setting)
    return model.name, ", ".join(f"{name}={value}" for name, value in setting._asdict().items())


def _best_latents(
    model: VaeGan,
    x: torch.Tensor,
    setting: Setting,
    search_steps: int,
    report: Callable[[object], object] | None,
) -> tuple[torch.Tensor, ...]:
    """Rounded latents of x (1, 3, H, W) in [0, 1]: the encoder's, or those a search found."""
    if search_steps:
        from vgic_lib.latent_search import SearchConfig, search  # a decoder never needs it

        return search(model, x, setting, SearchConfig(steps=search_steps), report).latents
    with torch.no_grad():
        return model.rounded(model.analysis(x, setting), setting)


@torch.no_grad()
def _picture(
    model: VaeGan,
    latents_hat: tuple[torch.Tensor, ...],
    setting: Setting,
    header: Header,
    alpha: np.ndarray | None,
) -> Image.Image:
    """What the latents show, in the layout of the original."""
    x_hat = model.synthesis(latents_hat, setting, (header.height, header.width))
    if Layout.GRAY in header.layout:
        x_hat = x_hat.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    image = to_image(x_hat)
    if Layout.GRAY in header.layout:
        image = image.getchannel(0)
    if alpha is not None:
        image.putalpha(Image.fromarray(alpha))
    return image
