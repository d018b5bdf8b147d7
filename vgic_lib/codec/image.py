# SPDX-License-Identifier: MIT
"""The codec: a picture to the bytes of a .vgic file, and back.

    picture -> analysis -> [latent search] -> quantise -> range coding -> container
    container -> range coding -> synthesis -> picture

What a file shows is always found by decoding it, so the encoder knows exactly what a decoder will show.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from vgic_lib.bitstream import container
from vgic_lib.bitstream.container import Header, Layout
from vgic_lib.environment import plain_arithmetic
from vgic_lib.errors import ImageError, ModelError, ParameterError
from vgic_lib.images import normalise_image, to_image, to_tensor
from vgic_lib.models import store
from vgic_lib.models.base import LatentModel, Latents, Setting
from vgic_lib.models.store import DEFAULT_MODEL
from vgic_lib.search.objectives import DEFAULT_TUNE, check_tune

DEFAULT_QUALITY = 50

_MODES = {Layout(0): "RGB", Layout.GRAY: "L", Layout.ALPHA: "RGBA", Layout.GRAY | Layout.ALPHA: "LA"}
_LAYOUTS = {mode: layout for layout, mode in _MODES.items()}


class Contents(NamedTuple):
    """What a file holds, before synthesis."""

    header: Header
    setting: Setting
    latents: Latents  # quantised
    alpha: bytes | None  # coded plane

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.header.height, self.header.width


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


@plain_arithmetic(gradients=False)
def compress(
    image: Image.Image,
    *,
    model: str | LatentModel = DEFAULT_MODEL,
    quality: float | None = None,
    search_steps: int = 0,
    target_bytes: int | None = None,
    target_psnr: float | None = None,
    target_ssimulacra2: float | None = None,
    setting: Setting | None = None,
    tune: str = DEFAULT_TUNE,
    report: Callable[[object], object] | None = None,
    show: Callable[[torch.Tensor], object] | None = None,
) -> bytes:
    """A .vgic file with `image`.

    Args:
        image: any picture that `normalise_image` takes.
        model: a model, its name, or the path of a weights file.
        quality: 1 to 100; more is larger and closer to the original. Default: DEFAULT_QUALITY.
        search_steps: gradient steps that improve the latents of this picture; 0 for none.
        target_bytes: largest size of the file, instead of `quality`.
        target_psnr: smallest PSNR over RGB values in dB, instead of `quality`.
        target_ssimulacra2: smallest score by `metrics.ssimulacra2`, instead of `quality`.
        setting: operating point of the model, instead of `quality`.
        tune: what a search improves, a key of `search.objectives.TUNES`; nothing changes without steps.
        report: called after each search step with its TracePoint; raising StopIteration ends the search.
        show: called with x_hat (1, 3, H, W) in [0, 1] whenever the search finds better latents.

    Raises:
        ImageError: the picture is of an unsupported kind or too large.
        ModelError: unknown model.
        ParameterError: impossible quality, number of steps, target or tune, or more than one of quality,
            setting and targets.
    """
    check_options(quality, search_steps, target_bytes, target_psnr, target_ssimulacra2, setting, tune)
    model = store.load_model(model) if isinstance(model, str) else model
    image = normalise_image(image)
    if max(image.size) > container.MAX_SIDE:
        raise ImageError(f"a side of the picture exceeds {container.MAX_SIDE} pixels; make it smaller first")
    attempt = _attempts(image, model, tune, report, show)
    if target_bytes is target_psnr is target_ssimulacra2 is None:
        setting = (
            model.setting(DEFAULT_QUALITY if quality is None else quality) if setting is None else setting
        )
        return attempt(setting, search_steps)
    from vgic_lib.codec import rate_control  # a decoder never needs it

    ladder = rate_control.ladder(model)
    if target_bytes is not None:
        return rate_control.meet_bytes(attempt, ladder, target_bytes, search_steps)
    by_psnr = target_ssimulacra2 is None
    scale = rate_control.PSNR if by_psnr else rate_control.SSIMULACRA2
    target, score = target_psnr if by_psnr else target_ssimulacra2, scale.judge(image.convert("RGB"))

    def measure(data: bytes) -> float:
        return score(_decode(data, model).convert("RGB"))

    return rate_control.meet_score(attempt, measure, ladder, scale, target, search_steps)


def check_options(
    quality: float | None = None,
    search_steps: int = 0,
    target_bytes: int | None = None,
    target_psnr: float | None = None,
    target_ssimulacra2: float | None = None,
    setting: tuple | None = None,
    tune: str = DEFAULT_TUNE,
) -> None:
    """Refuse what contradicts itself before any work is done. Raises ParameterError."""
    if search_steps < 0:
        raise ParameterError(f"search steps must be 0 or more, not {search_steps}")
    targets = target_bytes, target_psnr, target_ssimulacra2
    if sum(choice is not None for choice in (quality, *targets, setting)) > 1:
        raise ParameterError("quality and targets (bytes, PSNR, SSIMULACRA2) exclude each other; give one")
    if target_bytes is not None and target_bytes < 1:
        raise ParameterError(f"a file cannot have {target_bytes} bytes; give a larger target")
    check_tune(tune)


@plain_arithmetic(gradients=False)
def encode(image: Image.Image, *, model: str | LatentModel = DEFAULT_MODEL, **options: object) -> Encoded:
    """Compress `image` and reconstruct it as a decoder will; options and errors as in `compress`."""
    model = store.load_model(model) if isinstance(model, str) else model
    data = compress(image, model=model, **options)
    return Encoded(data, _decode(data, model))


@plain_arithmetic(gradients=False)
def decompress(data: bytes, model: LatentModel | None = None) -> Image.Image:
    """The picture in a .vgic file.

    Args:
        data: the file.
        model: that wrote it, where it is at hand; None: it is found by the id in the file.

    Returns:
        picture of mode "L", "LA", "RGB" or "RGBA", as it was compressed; alpha is exact.

    Raises:
        BitstreamError: `data` is no .vgic file, truncated, altered or of a newer version.
        ModelError: the model that wrote it is not installed, or another one than `model`.
    """
    model_id = container.unpack(data)[0].model_id.to_bytes(4)
    if model is not None and model.model_id != model_id:
        raise ModelError(f"this file needs model {model_id.hex()}, not {model.name}; leave the model out")
    return _decode(data, model or store.find_model(model_id))


def info(data: bytes) -> FileInfo:
    """What the header of a .vgic file tells; works without its model too. Raises BitstreamError."""
    header, sections = container.unpack(data)
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
        model = store.find_model(header.model_id.to_bytes(4))
        setting = model.from_code(header.setting)
    except ModelError:
        return "not installed", str(header.setting)
    return model.name, ", ".join(f"{name}={value}" for name, value in setting._asdict().items())


def _attempts(
    image: Image.Image, model: LatentModel, tune: str, *watch: Callable | None
) -> Callable[[Setting, int], bytes]:
    """A function that makes the file of `image` for a setting and a number of search steps.

    Searches are for `tune`, and watched by `report` and `show`.
    """
    x, layout = to_tensor(image), _LAYOUTS[image.mode]
    alpha = [container.pack_alpha(np.asarray(image.getchannel("A")))] if Layout.ALPHA in layout else []
    model_id = int.from_bytes(model.model_id)

    def attempt(setting: Setting, search_steps: int) -> bytes:
        header = Header(model_id, model.code(setting), image.width, image.height, layout)
        latents = _latents(model, x, setting, search_steps, tune, *watch)
        return container.pack(header, [*model.encode(latents, setting), *alpha])

    return attempt


def _latents(
    model: LatentModel,
    x: torch.Tensor,
    setting: Setting,
    search_steps: int,
    tune: str,
    *watch: Callable | None,
) -> Latents:
    """Latents of x (1, 3, H, W) in [0, 1]: the encoder's, or those a search found."""
    if search_steps:
        from vgic_lib.search.latent_search import SearchConfig, search  # a decoder never needs it

        return search(model, x, setting, SearchConfig(steps=search_steps, tune=tune), *watch).latents
    return model.analysis(x, setting)


@plain_arithmetic(gradients=False)
def read(data: bytes, model: LatentModel) -> Contents:
    """Entropy-decode a file of `model`. Raises BitstreamError if it is none, or damaged."""
    header, sections = container.unpack(data)
    alpha = sections.pop() if Layout.ALPHA in header.layout else None
    setting = model.from_code(header.setting)
    return Contents(header, setting, model.decode(sections, setting, (header.height, header.width)), alpha)


def _decode(data: bytes, model: LatentModel) -> Image.Image:
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
    return image
