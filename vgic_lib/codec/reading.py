# SPDX-License-Identifier: MIT
"""From the bytes of a .vgic file to its picture, or to what its header tells."""

from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image

from vgic_lib.bitstream import container
from vgic_lib.bitstream.container import Header, Layout, Parts
from vgic_lib.environment import plain_arithmetic
from vgic_lib.errors import BitstreamError, ImageError, ModelError
from vgic_lib.images import to_image
from vgic_lib.models import store
from vgic_lib.models.base import LatentModel, Latents, Setting
from vgic_lib.models.tunes import check_realism


class Contents(NamedTuple):
    """What a file holds, before synthesis."""

    header: Header
    setting: Setting
    latents: Latents  # quantised

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


def decompress(
    data: bytes,
    model: LatentModel | None = None,
    max_pixels: int = container.MAX_PIXELS,
    realism: float = 0.0,
) -> Image.Image:
    """The picture in a .vgic file.

    Time and memory grow with the number of pixels that the file says it has, which costs a forger nothing:
    docs/limits.md has seconds and bytes a megapixel.

    Args:
        data: the file.
        model: that wrote it, where it is at hand; None: it is found by the id in the file.
        max_pixels: larger pictures are refused before any work.
        realism: 0 to 1, how much of what the model's generative head adds, to make the picture look real. It
            is invented in part: leave it at 0 for anything that measures.

    Returns:
        picture of mode "L", "LA", "RGB" or "RGBA", as it was compressed; alpha is exact. Kept metadata are in
        its `info`.

    Raises:
        BitstreamError: `data` is no .vgic file, truncated, altered or of a newer version.
        ImageError: more than `max_pixels`.
        ModelError: the model that wrote it is not installed, or another one than `model`, or has no head.
        ParameterError: `realism` is out of range.
    """
    check_realism(realism)
    parts = container.unpack(data)
    check_pixels(parts.header, max_pixels)
    return decode(parts, model_of(parts.header, model), realism)


def check_pixels(header: Header, max_pixels: int) -> None:
    """Refuse a picture that is larger than wished. Raises ImageError."""
    if header.width * header.height > max_pixels:
        size = f"{header.width} x {header.height} pixels, more than {max_pixels}"
        raise ImageError(f"the picture has {size}; raise the limit if you trust the file")


def model_of(header: Header, model: LatentModel | None = None) -> LatentModel:
    """The model that wrote a file: `model` where it is at hand, else one of the store.

    Raises:
        ModelError: it is not installed, or another one than `model`.
    """
    model_id = header.model_id.to_bytes(4)
    if model is None:
        return store.find_model(model_id)
    if model.model_id != model_id:
        raise ModelError(f"this file needs model {model_id.hex()}, not {model.name}; leave the model out")
    return model


def info(data: bytes) -> FileInfo:
    """What the header of a .vgic file tells; works without its model too. Raises BitstreamError."""
    parts = container.unpack(data)
    header, (name, setting) = parts.header, _names(parts.header)
    latent_bytes = sum(map(len, parts.latents))
    alpha_bytes, metadata_bytes = len(parts.alpha or b""), len(parts.metadata or b"")
    pixels = header.width * header.height
    return FileInfo(
        version=header.version,
        model_id=f"{header.model_id:08x}",
        model=name,
        setting=setting,
        width=header.width,
        height=header.height,
        mode=header.layout.mode,
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
        model = model_of(header)
        setting = model.from_code(header.setting)
    except ModelError:
        return "not installed", str(header.setting)
    return model.name, ", ".join(f"{name}={value}" for name, value in setting._asdict().items())


@plain_arithmetic(gradients=False)
def read(parts: Parts, model: LatentModel) -> Contents:
    """Entropy-decode a file of `model`. Raises BitstreamError if it is none, or damaged."""
    header = parts.header
    setting = model.from_code(header.setting)
    found = Layout.EXACT in header.layout, Layout.FINER in header.layout
    if found != (model.exact, setting in model.finer):
        raise BitstreamError("the file is damaged: its layout is not one of its model; get a fresh copy")
    return Contents(header, setting, model.decode(parts.latents, setting, (header.height, header.width)))


@plain_arithmetic(gradients=False)
def decode(parts: Parts, model: LatentModel, realism: float = 0.0) -> Image.Image:
    """The picture in a file of `model`, in the layout of the original, with some of what its head adds.

    Raises:
        BitstreamError: as `read`.
        ModelError: `realism` is above 0 and the model has no generative head.
    """
    head = store.find_head(model) if realism else None
    header, contents = parts.header, read(parts, model)
    places = contents.latents, contents.setting, contents.size
    x_hat = model.synthesis(*places) if head is None else head.synthesis(model, *places, realism)
    if Layout.GRAY in header.layout:
        x_hat = x_hat.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    image = to_image(x_hat)
    if Layout.GRAY in header.layout:
        image = image.getchannel(0)
    if parts.alpha is not None:
        alpha = container.unpack_alpha(parts.alpha, header.width, header.height)
        image.putalpha(Image.fromarray(alpha))
    if parts.metadata is not None:
        image.info |= container.unpack_metadata(parts.metadata)
    return image
