# SPDX-License-Identifier: MIT
"""Weights on disk: float16 safetensors, found by name, by path, or by the id that files carry."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from vgic_lib import paths
from vgic_lib.environment import plain_arithmetic
from vgic_lib.errors import ModelError, ParameterError, StorageError
from vgic_lib.files import read_bytes, write_bytes
from vgic_lib.models.base import LatentModel, Setting
from vgic_lib.models.head import RealismHead
from vgic_lib.models.hyperprior import HyperpriorModel
from vgic_lib.models.lossless import FirstLosslessModel, LosslessModel, SecondLosslessModel
from vgic_lib.models.vaegan import VaeGan
from vgic_lib.networks.vaegan import Generator

MODELS: dict[str, type[LatentModel]] = {
    model.kind: model
    for model in (VaeGan, HyperpriorModel, LosslessModel, SecondLosslessModel, FirstLosslessModel)
}
SUFFIX = ".safetensors"
ID_BYTES = 4


class ModelCard(NamedTuple):
    """One line of the list of models."""

    name: str
    model_id: bytes
    path: Path
    settings: tuple[Setting, ...]
    parameters: int
    description: str


def as_stored(network: nn.Module) -> nn.Module:
    """Round the weights of `network`, in place, to what `save_model` keeps of them; returns it."""
    for name, value in network.state_dict().items():
        value.copy_(_stored(name, value))
    return network


def save_model(model: LatentModel | RealismHead, path: Path, description: str) -> bytes:
    """Write weights (float16) and tables (integers), and what it takes to rebuild the model; return its id.

    Raises:
        StorageError: the file cannot be written; an earlier one is then untouched.
    """
    tensors = {name: _stored(name, value).cpu().contiguous() for name, value in model.state_dict().items()}
    metadata = {"format": model.kind, "description": description} | model.construction()
    data = _canonical(save(tensors, metadata))
    write_bytes(path, data)
    return model_id_of(data)


def load_model(name: str) -> LatentModel:
    """Load a model for use on the CPU; repeated calls give the same object.

    Args:
        name: of a shipped file ("hyperprior"), of a VAE-GAN with a channel count ("vaegan-8"); or a path to
            a .safetensors file, with ":8" behind it to choose a channel count; or a path to one of the
            generators published in 2020 (.model), which come without encoder and without priors.

    Raises:
        ModelError: unknown name or channel count, missing or damaged file.
    """
    base, _, count = name.rpartition(":") if re.search(r":\d+$", name) else (name, "", "")
    if base.endswith(SUFFIX):
        return _load(Path(base), int(count) if count else None)
    if base.endswith(".model"):
        return _load_published(Path(base))
    base, _, count = name.rpartition("-") if re.search(r"-\d+$", name) else (name, "", "")
    path = paths.WEIGHTS / f"{base}{SUFFIX}"
    if not path.is_file():
        names = ", ".join(card.name for card in list_models()) or "none: train one with `vgic train`"
        raise ModelError(
            f"unknown model {name!r}; known models: {names}; or give the path of a {SUFFIX} file"
        )
    return _load(path, int(count) if count else None)


def load_same(name: str, model_id: bytes) -> LatentModel:
    """As `load_model`, if its id is the given one, which another process has found under this name.

    Raises:
        ModelError: unknown name, or other weights than those of the other process.
    """
    model = load_model(name)
    if model.model_id != model_id:
        raise ModelError(f"model {name} has other weights here, {model.model_id.hex()}, not {model_id.hex()}")
    return model


def find_model(model_id: bytes) -> LatentModel:
    """The model that a file names, among shipped weights and those of runs under outputs/.

    Raises:
        ModelError: it is not there.
    """
    for path in _weight_files():
        stamp = path.stat()
        if _file_id(path, stamp.st_mtime_ns, stamp.st_size) == model_id:
            return _load(path, None)
    raise ModelError(
        f"this file needs model {model_id.hex()}, which is not here; put its weights file into "
        f"vgic_lib/weights/, or, if it was shipped once, run tools/earlier_weights.py {model_id.hex()}"
    )


def find_head(model: LatentModel) -> RealismHead:
    """The generative head for pictures of a model, found as models are.

    Raises:
        ModelError: there is none.
    """
    for path in _weight_files():
        if _body(path) == model.model_id.hex():
            return _load_head(path)
    raise ModelError(f"model {model.name} has no generative head, so its realism is 0 only")


def list_models() -> list[ModelCard]:
    """All models at hand, a VAE-GAN once for each channel count; unreadable files are left out."""
    cards = []
    for path in _weight_files():
        try:
            model = _load(path, None)
        except ModelError:
            continue
        parameters = sum(p.numel() for p in model.parameters())
        description = _metadata(path)["description"]
        for count in model.variants or (0,):
            name = _typed(path, count)
            settings = tuple(s for s in model.settings if s.num_channels == count)
            cards.append(ModelCard(name, model.model_id, path, settings, parameters, description))
    return cards


def _typed(path: Path, count: int | None) -> str:
    """Name by which `load_model` knows a weights file."""
    shipped = path.parent == paths.WEIGHTS
    base = path.stem if shipped else str(path)
    return f"{base}{'-' if shipped else ':'}{count}" if count else base


def _weight_files() -> Iterator[Path]:
    yield from sorted(paths.WEIGHTS.glob(f"*{SUFFIX}"))
    yield from sorted(paths.outputs().glob(f"runs/*/training/*/*{SUFFIX}"))


def _stored(name: str, value: Tensor) -> Tensor:
    """Half precision for weights; gains of the latent need more, integers are kept."""
    return value.half() if value.is_floating_point() and "log_" not in name else value


def _canonical(data: bytes) -> bytes:
    """Sort the header of a safetensors file, whose metadata come in random order: same model, same id."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[end:]


def model_id_of(data: bytes) -> bytes:
    """Id of the bytes of a weights file."""
    return hashlib.sha256(data).digest()[:ID_BYTES]


@lru_cache(maxsize=64)
def _file_id(path: Path, modified_ns: int, size: int) -> bytes:
    """Id of a weights file; the last two arguments make a changed file a new one to the cache."""
    return model_id_of(read_bytes(path))


def _metadata(path: Path) -> Mapping[str, str]:
    with safe_open(path, "pt") as file:
        return file.metadata() or {}


def _body(path: Path) -> str:
    """Id, in hex, of the model whose head a file holds; empty if it holds none."""
    try:
        return _metadata(path).get("body", "")
    except (SafetensorError, OSError):
        return ""


def _load(path: Path, count: int | None) -> LatentModel:
    if not path.is_file():
        raise ModelError(f"no weights at {path}; check the path")
    if _body(path):
        raise ModelError(f"{path} holds a generative head, no model; name the model that it is for")
    stamp = path.stat()
    return _read(path, count, stamp.st_mtime_ns, stamp.st_size)


def _load_head(path: Path) -> RealismHead:
    stamp = path.stat()
    return _read(path, None, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=8)
@plain_arithmetic(gradients=False)
def _read(path: Path, count: int | None, modified_ns: int, size: int) -> LatentModel | RealismHead:
    """Read a weights file; the last two arguments make a changed file a new one to the cache."""
    try:
        data = read_bytes(path)
        metadata = _metadata(path)
        kinds = MODELS | {RealismHead.kind: RealismHead}
        if metadata.get("format") not in kinds:
            raise ModelError(
                f"{path} holds no VGIC model of a known format; get weights made by this version"
            )
        model = kinds[metadata["format"]].construct(metadata)
        with safe_open(path, "pt") as file:
            model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (
        SafetensorError,
        StorageError,
        RuntimeError,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
    ) as error:
        raise ModelError(f"weights {path} are damaged or of another version; get a fresh copy") from error
    if count is not None:
        try:
            model.choose(count)
        except ParameterError as error:
            raise ModelError(f"{path.stem} has {error}") from error
    model.name, model.model_id = f"{path.stem}-{count}" if count else path.stem, model_id_of(data)
    model.reload = load_same, (_typed(path.absolute(), count), model.model_id)
    return _freeze(model)


@plain_arithmetic(gradients=False)
def _load_published(path: Path) -> VaeGan:
    if not path.is_file():
        raise ModelError(f"no weights at {path}; check the path")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        channels = state["d_up_conv_1.0.weight"].shape[1]
        model = VaeGan([channels])
        generator = Generator(channels)
        generator.load_state_dict(state)
    except Exception as error:
        raise ModelError(f"{path} is not a generator of the 2020 project; get a fresh copy") from error
    model.encoder, model.generator, model.name = None, generator, path.stem
    return _freeze(model)


def _freeze(model: nn.Module) -> nn.Module:
    model.to(memory_format=torch.channels_last)  # convolutions are a third faster on a CPU
    return model.requires_grad_(False).eval()
