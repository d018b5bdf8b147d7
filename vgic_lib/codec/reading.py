# SPDX-License-Identifier: MIT
"""From the bytes of a .vgic file to its picture, or to what its header tells."""

from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image

from vgic_lib.bitstream import container
from vgic_lib.bitstream.container import Header, Layout
from vgic_lib.environment import plain_arithmetic
from vgic_lib.errors import BitstreamError, ImageError, ModelError
from vgic_lib.images import to_image
from vgic_lib.models import store
from vgic_lib.models.base import LatentModel, Latents, Setting

MODES = {Layout(0): "RGB", Layout.GRAY: "L", Layout.ALPHA: "RGBA", Layout.GRAY | Layout.ALPHA: "LA"}


class Contents(NamedTuple):
    """What a file holds, before synthesis."""

    header: Header
    setting: Setting
    latents: Latents  # quantised
    alpha: bytes | None  # coded plane
    metadata: bytes | None  # coded

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.header.height, self.header.width


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
    metadata_bytes: int
    overhead_bytes: int  # header, lengths and checksum
    bpp: float  # bits of the file per pixel
    compression_ratio: float  # bytes of 24-bit RGB over bytes of the file


@plain_arithmetic(gradients=False)
def decompress(
    data: bytes, model: LatentModel | None = None, max_pixels: int = container.MAX_PIXELS
) -> Image.Image:
    """The picture in a .vgic file.

    Time and memory grow with the number of pixels that the file says it has, which costs a forger nothing:
    docs/limits.md has seconds and bytes a megapixel.

    Args:
        data: the file.
        model: that wrote it, where it is at hand; None: it is found by the id in the file.
        max_pixels: larger pictures are refused before any work.

    Returns:
        picture of mode "L", "LA", "RGB" or "RGBA", as it was compressed; alpha is exact. Kept metadata are in
        its `info`.

    Raises:
        BitstreamError: `data` is no .vgic file, truncated, altered or of a newer version.
        ImageError: more than `max_pixels`.
        ModelError: the model that wrote it is not installed, or another one than `model`.
    """
    header = container.unpack(data)[0]
    check_pixels(header.width, header.height, max_pixels)
    model_id = header.model_id.to_bytes(4)
    if model is not None and model.model_id != model_id:
        raise ModelError(f"this file needs model {model_id.hex()}, not {model.name}; leave the model out")
    return decode(data, model or store.find_model(model_id))


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture that is larger than wished. Raises ImageError."""
    if width * height > max_pixels:
        size = f"{width} x {height} pixels, more than {max_pixels}"
        raise ImageError(f"the picture has {size}; raise the limit if you trust the file")


def info(data: bytes) -> FileInfo:
    """What the header of a .vgic file tells; works without its model too. Raises BitstreamError."""
    header, sections = container.unpack(data)
    name, setting = _names(header)
    alpha_bytes = len(sections.pop()) if Layout.ALPHA in header.layout else 0
    metadata_bytes = len(sections.pop()) if Layout.METADATA in header.layout else 0
    latent_bytes = sum(map(len, sections))
    pixels = header.width * header.height
    return FileInfo(
        version=header.version,
        model_id=f"{header.model_id:08x}",
        model=name,
        setting=setting,
        width=header.width,
        height=header.height,
        mode=MODES[header.layout & (Layout.GRAY | Layout.ALPHA)],
        file_bytes=len(data),
        latent_bytes=latent_bytes,
        alpha_bytes=alpha_bytes,
        metadata_bytes=metadata_bytes,
        overhead_bytes=len(data) - latent_bytes - alpha_bytes - metadata_bytes,
        bpp=8 * len(data) / pixels,
        compression_ratio=3 * pixels / len(data),
    )


def _names(header: Header) -> tuple[str, str]:
    """Name of the model and of the operating point."""
    try:
        model = store.find_model(header.model_id.to_bytes(4))
        setting = model.from_code(header.setting)
    except ModelError:
        return "not installed", str(header.setting)
    return model.name, ", ".join(f"{name}={value}" for name, value in setting._asdict().items())


@plain_arithmetic(gradients=False)
def read(data: bytes, model: LatentModel) -> Contents:
    """Entropy-decode a file of `model`. Raises BitstreamError if it is none, or damaged."""
    header, sections = container.unpack(data)
    if (Layout.EXACT in header.layout) != model.exact:
        raise BitstreamError("the file is damaged: its layout is not one of its model; get a fresh copy")
    alpha = sections.pop() if Layout.ALPHA in header.layout else None
    metadata = sections.pop() if Layout.METADATA in header.layout else None
    setting = model.from_code(header.setting)
    latents = model.decode(sections, setting, (header.height, header.width))
    return Contents(header, setting, latents, alpha, metadata)


def decode(data: bytes, model: LatentModel) -> Image.Image:
    """The picture in a file of `model`, in the layout of the original."""
    contents = read(data, model)
    header = contents.header
    x_hat = model.synthesis(contents.latents, contents.setting, contents.size)
    if Layout.GRAY in header.layout:
        x_hat = x_hat.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    image = to_image(x_hat)
    if Layout.GRAY in header.layout:
        image = image.getchannel(0)
    if contents.alpha is not None:
        alpha = container.unpack_alpha(contents.alpha, header.width, header.height)
        image.putalpha(Image.fromarray(alpha))
    if contents.metadata is not None:
        image.info |= container.unpack_metadata(contents.metadata)
    return image
