# SPDX-License-Identifier: MIT
"""What is measured: codecs at settings, ours and the classical ones."""

import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image

from vgic_lib import codec, paths
from vgic_lib.bitstream import container
from vgic_lib.codec.exact import writer_of
from vgic_lib.codec.reading import read
from vgic_lib.errors import ModelError, ParameterError
from vgic_lib.evaluation.classical import ClassicalCodec, classical_codec
from vgic_lib.evaluation.measure import LatentFacts, Point
from vgic_lib.evaluation.results import Row, ratio_setting, realistic_setting, searched_setting
from vgic_lib.files import read_bytes
from vgic_lib.models.base import LatentModel
from vgic_lib.models.store import SUFFIX, find_head, load_model
from vgic_lib.models.tunes import check_realism


def words(text: str) -> list[str]:
    """The words in a comma-separated list, each once."""
    return list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def numbers(text: str) -> list[float]:
    """The numbers in a comma-separated list, each once. Raises ParameterError."""
    try:
        return list(dict.fromkeys(map(float, words(text))))
    except ValueError as error:
        raise ParameterError(f"{text!r} is no list of numbers; write it like 15,43,71") from error


def whole_numbers(text: str) -> list[int]:
    """The whole numbers in a comma-separated list, each once. Raises ParameterError."""
    found = numbers(text)
    if any(number % 1 for number in found):
        raise ParameterError(f"{text!r} is no list of whole numbers; write it like 20,150")
    return list(map(int, found))


def models_at_hand(names: Sequence[str], run: str) -> list[LatentModel]:
    """The models of these names, but for those that the same run will train first.

    Raises:
        ModelError: there is none of a name.
        ParameterError: no names.
    """
    if not names:
        raise ParameterError("no model is named; give one that `vgic models` lists")
    training = os.path.abspath(paths.training_dir(run))
    later = {
        name
        for name in names
        if SUFFIX in name and os.path.abspath(name).startswith(training) and not Path(name).exists()
    }
    return [load_model(name) for name in names if name not in later]


class OperatingPoint(NamedTuple):
    """A setting of a latent model."""

    setting: NamedTuple  # as the model defines it
    label: str  # "b6": bits for each latent element; "q448": quality code
    quality: float  # that was asked for, 1 to 100; NaN where bits were


def operating_points(
    model: LatentModel, qualities: Sequence[float], bits: Sequence[float]
) -> list[OperatingPoint]:
    """The settings at which a model is measured: bit depths of a VAE-GAN, qualities of any other model.

    Raises:
        ParameterError: the model has no setting with one of the bit depths, or no such quality.
    """
    if not model.bit_depths:
        settings = [(model.setting(quality), float(quality)) for quality in qualities]
        return [OperatingPoint(setting, setting.label, quality) for setting, quality in settings]
    num_channels = model.setting(50).num_channels
    offered = {s.bits: s for s in model.settings if s.num_channels == num_channels}
    for depth in bits:
        if depth not in offered:
            depths = ", ".join(map(str, sorted(offered)))
            raise ParameterError(f"{model.name} has no setting with {depth:g} bits; choose from {depths}")
    return [OperatingPoint(offered[depth], offered[depth].label, float("nan")) for depth in bits]


def points_to_measure(
    model: LatentModel,
    ladder: tuple[str, str],
    searched: tuple[str, str],
    search_steps: int,
    ratios: str,
    ratio_steps: int,
    tune: str | None = None,
) -> list[Point]:
    """All points of our codec with a model that notebook 04 measures.

    Args:
        model: any.
        ladder: lists of qualities and of bit depths; a model uses one of them.
        searched: the same, to be compressed once more with `search_steps` of latent search.
        search_steps: see there.
        ratios: list of compression ratios.
        ratio_steps: steps of latent search for these.
        tune: what searches improve, a key of `search.objectives.TUNES`; None: what the model is for.

    Raises:
        ParameterError: one of these is impossible.
    """
    at, again = (operating_points(model, *map(numbers, lists)) for lists in (ladder, searched))
    return [
        *latent_points(model, at, again, search_steps, tune),
        *ratio_points(model, numbers(ratios), ratio_steps, tune),
    ]


def latent_points(
    model: LatentModel,
    at: Sequence[OperatingPoint],
    searched: Sequence[OperatingPoint],
    steps: int,
    tune: str | None = None,
) -> list[Point]:
    """Our codec at some operating points, and at those of `searched` with `steps` of latent search.

    `tune` is what the search improves, a key of `search.objectives.TUNES`; None: what the model is for.

    Raises:
        ParameterError: an impossible number of steps, or nothing to measure.
    """
    codec.check_options(search_steps=steps, tune=tune)
    if not at:
        raise ParameterError(f"{model.name} has nothing to be measured at; give qualities, or bits")
    return [_latent_point(model, point, 0, tune) for point in at] + [
        _latent_point(model, point, steps, tune) for point in searched if steps
    ]


def ratio_points(
    model: LatentModel, ratios: Sequence[float], steps: int, tune: str | None = None
) -> list[Point]:
    """Our codec at compression ratios: the best file no longer than the pixels as 24-bit RGB / the ratio.

    Where even the largest file of a picture is shorter, it is that one. Models whose settings are bit
    depths have no such points.

    Raises:
        ParameterError: an impossible ratio or number of steps.
    """
    codec.check_options(search_steps=steps)
    for ratio in ratios:
        if not 0 < ratio < float("inf"):
            raise ParameterError(f"{ratio:g} is no compression ratio; give one above 0, such as 6.12")
    if model.bit_depths:
        return []
    return [_ratio_point(model, ratio, steps, tune) for ratio in ratios]


def _latent_point(model: LatentModel, at: OperatingPoint, steps: int, tune: str | None) -> Point:
    tune = tune or model.tune

    def encode(image: Image.Image) -> bytes:
        return codec.compress(image, model=model, setting=at.setting, search_steps=steps, tune=tune)

    return Point(
        model.name, searched_setting(at.label, steps, tune), ".vgic", encode, codec.decompress,
        quality=at.quality, model_id=model.model_id.hex(), num_channels=at.setting.num_channels,
        bits=at.setting.bits, search_steps=steps, inspect=partial(_inspect, model),
    )  # fmt: skip


def _ratio_point(model: LatentModel, ratio: float, steps: int, tune: str | None) -> Point:
    tune = tune or model.tune

    def encode(image: Image.Image) -> bytes:
        target = int(3 * image.width * image.height / ratio)
        return codec.compress(image, model=model, target_bytes=target, search_steps=steps, tune=tune)

    return Point(
        model.name, ratio_setting(ratio, steps, tune), ".vgic", encode, codec.decompress,
        model_id=model.model_id.hex(), search_steps=steps, inspect=partial(_inspect, model),
    )  # fmt: skip


def heads_of(models: Iterable[LatentModel], realisms: Sequence[float]) -> dict[str, str]:
    """Ids of generative heads by those of their models, as rows have them; none without `realisms`.

    Raises:
        ParameterError: a realism is not in 0..1, or none of the models has a head.
    """
    heads, names = {}, []
    for realism in realisms:
        check_realism(realism)
    for model in models if realisms else ():
        names.append(model.name)
        try:
            heads[model.model_id.hex()] = find_head(model).model_id.hex()
        except ModelError:
            continue
    if names and not heads:
        raise ParameterError(
            f"realism needs a model with a generative head, and {', '.join(names)} has none; leave it empty"
        )
    return heads


def realistic_point(row: Row, folder: Path, head_id: str, realism: float) -> Point:
    """The file of a row of ours once more, as it is, to be decoded with a realism.

    Args:
        row: of a file of a model that has a generative head.
        folder: of the rows.
        head_id: of that head.
        realism: above 0, up to 1.
    """
    facts = LatentFacts(3 * row.width * row.height / row.nominal_cr, row.bits_estimated)
    return Point(
        row.codec, realistic_setting(row.setting, realism), ".vgic", lambda _: read_bytes(folder / row.file),
        partial(codec.decompress, realism=realism), row.quality, model_id=head_id,
        num_channels=row.num_channels, bits=row.bits, search_steps=row.search_steps, encode_s=row.encode_s,
        inspect=lambda _: facts,
    )  # fmt: skip


def _inspect(model: LatentModel, data: bytes) -> LatentFacts:
    model = writer_of(data, model)
    contents = read(container.unpack(data), model)
    with torch.no_grad():
        bits = model.quantise(contents.latents, contents.setting).bits
    return LatentFacts(sum(y.numel() for y in contents.latents), float(bits.sum()))


def ladder_points(names: Sequence[str]) -> list[Point]:
    """Every quality of the rate-distortion curves of some classical codecs. Raises ParameterError."""
    codecs = [classical_codec(name) for name in names]
    return [classical_point(codec, quality) for codec in codecs for quality in codec.qualities]


def classical_point(codec: ClassicalCodec, quality: float, target: Row | None = None) -> Point:
    """A classical codec at a quality; with `target`, the file of ours whose length it is to match."""

    def encode(image: Image.Image) -> bytes:
        return codec.compress(image, quality=quality)

    matched_to = f"{target.codec}/{target.setting}" if target else ""
    model_id = target.model_id if target else ""
    return Point(
        codec.name,
        f"q{quality:g}",
        codec.extension,
        encode,
        codec.decompress,
        quality,
        matched_to=matched_to,
        model_id=model_id,
    )
