# SPDX-License-Identifier: MIT
"""From a picture to the bytes of a .vgic file.

    picture -> analysis -> [latent search] -> quantise -> range coding -> container -> reading.decode

What a file shows is always found by decoding it, so the encoder knows exactly what a decoder will show.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from vgic_lib.bitstream import container
from vgic_lib.bitstream.container import Header, Layout
from vgic_lib.codec.exact import continuation, exact_model, writer_of
from vgic_lib.codec.reading import decode
from vgic_lib.environment import plain_arithmetic
from vgic_lib.errors import ImageError, ParameterError
from vgic_lib.images import normalise_image, to_tensor
from vgic_lib.models import store
from vgic_lib.models.base import LatentModel, Latents, Setting
from vgic_lib.models.lossless import bound
from vgic_lib.models.tunes import DEFAULT_TUNE, check_tune, default_model

DEFAULT_QUALITY = 50

_LAYOUTS = {layout.mode: layout for layout in map(Layout, range(Layout.METADATA))}  # of pixels alone


Attempt = Callable[[Setting, int], bytes]  # makes the file of a setting, with a number of search steps


class Encoded(NamedTuple):
    """A compressed picture, and what a decoder makes of it."""

    data: bytes
    reconstruction: Image.Image


@plain_arithmetic(gradients=False)
def compress(
    image: Image.Image,
    *,
    model: str | LatentModel | None = None,
    quality: float | None = None,
    search_steps: int = 0,
    target_bytes: int | None = None,
    target_psnr: float | None = None,
    target_ssimulacra2: float | None = None,
    max_error: int | None = None,
    lossless: bool = False,
    setting: Setting | None = None,
    tune: str | None = None,
    exif: bytes = b"",
    xmp: bytes = b"",
    report: Callable[[object], object] | None = None,
    show: Callable[[torch.Tensor], object] | None = None,
) -> bytes:
    """A .vgic file with `image`.

    Args:
        image: any picture that `normalise_image` takes.
        model: a model, its name, or the path of a weights file. Default: the model for `tune`.
        quality: 1 to 100; more is larger and closer to the original. Default: DEFAULT_QUALITY.
        search_steps: gradient steps that improve the latents of this picture; 0 for none.
        target_bytes: largest size of the file, instead of `quality`.
        target_psnr: smallest PSNR over RGB values in dB, instead of `quality`.
        target_ssimulacra2: smallest score by `metrics.ssimulacra2`, instead of `quality`.
        max_error: largest difference of any channel's value, 0 to 64, instead of `quality`; kept on every
            machine. The file is then of the exact model that goes on where `model` ends.
        lossless: a `max_error` of 0.
        setting: operating point of the model, instead of `quality`.
        tune: what the picture is to be near in, a key of `models.tunes.TUNED_MODELS`: the choice of a model
            where none is named, and what a search improves. Default: DEFAULT_TUNE, or the model's own.
        exif: to be kept, as Pillow has it in `Image.info`; its orientation should be 1.
        xmp: to be kept, likewise.
        report: called after each search step with its TracePoint; raising StopIteration ends the search.
        show: called with x_hat (1, 3, H, W) in [0, 1] whenever the search finds better latents.

    Raises:
        ImageError: the picture is of an unsupported kind or too large.
        ModelError: unknown model.
        ParameterError: impossible quality, number of steps, target or tune, or more than one of quality,
            setting, targets and largest error; a largest error with a search.
    """
    targets = target_bytes, target_psnr, target_ssimulacra2
    check_options(quality, search_steps, *targets, setting, tune, max_error, lossless)
    model = _loaded(model, tune)
    if lossless or max_error is not None:
        model, setting = exact_model(model), bound(max_error or 0)
    if search_steps and model.exact:
        raise ParameterError(f"{model.name} has nothing to search; leave out the search steps")
    image = normalise_image(image)
    if max(image.size) > container.MAX_SIDE:
        raise ImageError(f"a side of the picture exceeds {container.MAX_SIDE} pixels; make it smaller first")
    attempts = partial(_attempts, image, metadata=(exif, xmp))
    attempt = cache(attempts(model, tune, report, show))
    if any(target is not None for target in targets):
        finer = continuation(model)
        beyond = finer and (finer, cache(attempts(finer)))
        return _within_targets(image, (model, attempt), beyond, targets, search_steps)
    if setting is None:
        setting = model.setting(DEFAULT_QUALITY if quality is None else quality)
    return attempt(setting, search_steps)


def _within_targets(
    image: Image.Image,
    within: tuple[LatentModel, Attempt],
    beyond: tuple[LatentModel, Attempt] | None,
    targets: tuple[int | None, float | None, float | None],
    search_steps: int,
) -> bytes:
    """The best file for a target of bytes, PSNR or SSIMULACRA2, of a model or the one that goes on there."""
    from vgic_lib.codec import rate_control  # a decoder never needs it

    target_bytes, target_psnr, target_ssimulacra2 = targets
    model, attempt = within
    ranges = [rate_control.Range(attempt, rate_control.ladder(model), model.setting(100))]
    if beyond:
        settings = rate_control.ladder(beyond[0])[-rate_control.RUNGS_BEYOND :]
        ranges.append(rate_control.Range(beyond[1], settings, settings[-1]))
    by_psnr = target_ssimulacra2 is None
    scale = rate_control.PSNR if by_psnr else rate_control.SSIMULACRA2
    judge = cache(lambda: scale.judge(image.convert("RGB")))  # made when it is needed

    def measure(data: bytes) -> float:
        return judge()(decode(container.unpack(data), writer_of(data, model)).convert("RGB"))

    if target_bytes is not None:
        return rate_control.meet_bytes_in(ranges, measure, target_bytes, search_steps)
    target = target_psnr if by_psnr else target_ssimulacra2
    return rate_control.meet_score_in(ranges, measure, scale, target, search_steps)


def check_options(
    quality: float | None = None,
    search_steps: int = 0,
    target_bytes: int | None = None,
    target_psnr: float | None = None,
    target_ssimulacra2: float | None = None,
    setting: tuple | None = None,
    tune: str | None = None,
    max_error: int | None = None,
    lossless: bool = False,
) -> None:
    """Refuse what contradicts itself before any work is done. Raises ParameterError."""
    if search_steps < 0:
        raise ParameterError(f"search steps must be 0 or more, not {search_steps}")
    targets = target_bytes, target_psnr, target_ssimulacra2
    bounds = max_error, lossless or None
    if sum(choice is not None for choice in (quality, *targets, setting, *bounds)) > 1:
        raise ParameterError(
            "quality, targets (bytes, PSNR, SSIMULACRA2), largest error and lossless exclude each other; "
            "give one"
        )
    if max_error is not None:
        bound(max_error)
    if any(choice is not None for choice in bounds) and (search_steps or tune not in (None, DEFAULT_TUNE)):
        raise ParameterError(
            "a file within a largest error has nothing to search; leave out search steps and tune"
        )
    if target_bytes is not None and target_bytes < 1:
        raise ParameterError(f"a file cannot have {target_bytes} bytes; give a larger target")
    if tune is not None:
        check_tune(tune)


@plain_arithmetic(gradients=False)
def encode(
    image: Image.Image,
    *,
    model: str | LatentModel | None = None,
    tune: str | None = None,
    **options: object,
) -> Encoded:
    """Compress `image` and reconstruct it as a decoder will; options and errors as in `compress`."""
    model = _loaded(model, tune)
    data = compress(image, model=model, tune=tune, **options)
    return Encoded(data, decode(container.unpack(data), writer_of(data, model)))


def _loaded(model: str | LatentModel | None, tune: str | None) -> LatentModel:
    """The model that is meant, ready for use."""
    name = default_model(tune or DEFAULT_TUNE) if model is None else model
    return store.load_model(name) if isinstance(name, str) else name


def _attempts(
    image: Image.Image,
    model: LatentModel,
    tune: str | None = None,
    *watch: Callable | None,
    metadata: tuple[bytes, bytes],
) -> Attempt:
    """A function that makes the file of `image` for a setting and a number of search steps.

    Or for a finer setting, where that takes less. Searches are for `tune`, or the model's own, and watched by
    `report` and `show`.
    """
    x, layout = to_tensor(image), _LAYOUTS[image.mode]
    more = [container.pack_alpha(np.asarray(image.getchannel("A")))] if Layout.ALPHA in layout else []
    if any(metadata):
        layout |= Layout.METADATA
        more.insert(0, container.pack_metadata(*metadata))
    if model.exact:
        layout |= Layout.EXACT
    model_id = int.from_bytes(model.model_id)

    def made(setting: Setting, search_steps: int) -> bytes:
        finer = Layout.FINER if setting in model.finer else Layout(0)
        header = Header(model_id, model.code(setting), image.width, image.height, layout | finer)
        latents = _latents(model, x, setting, search_steps, tune, *watch)
        return container.pack(header, [*model.encode(latents, setting), *more])

    def attempt(setting: Setting, search_steps: int) -> bytes:
        settings = setting, *model.finer_for_less(x, setting)
        return min((made(one, search_steps) for one in settings), key=len)

    return attempt


def _latents(
    model: LatentModel,
    x: torch.Tensor,
    setting: Setting,
    search_steps: int,
    tune: str | None,
    *watch: Callable | None,
) -> Latents:
    """Latents of x (1, 3, H, W) in [0, 1]: the encoder's, or those a search found."""
    if search_steps:
        from vgic_lib.search.latent_search import SearchConfig, search  # a decoder never needs it

        return search(model, x, setting, SearchConfig(steps=search_steps, tune=tune), *watch).latents
    return model.analysis(x, setting)
