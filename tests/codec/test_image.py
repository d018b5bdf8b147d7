# SPDX-License-Identifier: MIT
"""The codec: a round trip for any picture, and no harm from any damaged file."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from helpers.fakes import FakeModel, install
from helpers.mutations import mutation
from helpers.tiny_hyperprior import tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vgic_lib import codec, paths
from vgic_lib.bitstream import container
from vgic_lib.errors import BitstreamError, ImageError, ModelError, ParameterError, VgicError
from vgic_lib.images import to_tensor
from vgic_lib.metrics import distortion
from vgic_lib.metrics.ssimulacra2 import ssimulacra2
from vgic_lib.models import store
from vgic_lib.models.base import LatentModel
from vgic_lib.models.tunes import DEFAULT_MODEL, TUNED_MODELS
from vgic_lib.models.vaegan import VaeGan

MODES = ("L", "LA", "RGB", "RGBA")
SIZES = [(1, 1), (1, 37), (37, 1), (5, 3), (14, 14), (63, 50)]  # width, height


@pytest.fixture(scope="module", params=["fake", "vaegan", "hyperprior"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LatentModel]:
    """The model that the store offers as the default: the stand-in, or an untrained one on disk."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "fake":
            install(patch, FakeModel())
        else:
            torch.manual_seed(0)
            weights = tmp_path_factory.mktemp("weights")
            patch.setattr(paths, "WEIGHTS", weights)
            patch.setenv("VGIC_HOME", str(weights))
            untrained = VaeGan([2, 8]) if request.param == "vaegan" else tiny_model()
            for name in {*TUNED_MODELS.values()}:
                store.save_model(untrained, weights / f"{name}.safetensors", "untrained")
        yield store.load_model(DEFAULT_MODEL)


only_fake = pytest.mark.parametrize("model", ["fake"], indirect=True)


def picture(mode: str, size: tuple[int, int], seed: int = 0) -> Image.Image:
    """A smooth gradient with some noise."""
    width, height = size
    channels = len(mode)
    ramp = np.linspace(0, 200, height)[:, None, None] + np.linspace(0, 40, width)[None, :, None]
    noise = np.random.default_rng(seed).integers(0, 15, (height, width, channels))
    pixels = (ramp + noise).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels, mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", SIZES)
def test_decoder_shows_what_the_encoder_saw(model, mode: str, size: tuple[int, int]) -> None:
    image = picture(mode, size)
    data, reconstruction = codec.encode(image)
    decoded = codec.decompress(data)
    assert (decoded.mode, decoded.size) == (mode, size)
    np.testing.assert_array_equal(decoded, reconstruction)
    if "A" in mode:
        np.testing.assert_array_equal(decoded.getchannel("A"), image.getchannel("A"))


@settings(max_examples=50, deadline=None)  # the first call of a model prepares its tables
@given(
    width=st.integers(1, 30),
    height=st.integers(1, 30),
    mode=st.sampled_from(MODES),
    quality=st.floats(1, 100),
)
def test_any_size_mode_and_quality(model, width: int, height: int, mode: str, quality: float) -> None:
    data, reconstruction = codec.encode(picture(mode, (width, height)), quality=quality)
    np.testing.assert_array_equal(codec.decompress(data), reconstruction)


@only_fake
def test_a_flat_picture_comes_back_as_it_was(model) -> None:
    """Colours keep their order and scale; gray stays gray."""
    for mode, colour in (("RGB", (200, 100, 0)), ("L", 77), ("RGBA", (1, 2, 3, 4)), ("LA", (9, 8))):
        image = Image.new(mode, (9, 7), colour)
        decoded = codec.decompress(codec.compress(image, quality=100))
        np.testing.assert_array_equal(decoded, image)


def test_orientation_is_applied(model) -> None:
    image = picture("RGB", (12, 5))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees to look at it
    image.info["exif"] = exif.tobytes()
    image.getexif()[0x0112] = 6
    decoded = codec.decompress(codec.compress(image))
    upright = picture("RGB", (12, 5)).transpose(Image.Transpose.ROTATE_270)
    np.testing.assert_array_equal(decoded, codec.encode(upright).reconstruction)


@only_fake
def test_higher_quality_is_larger_and_closer(model) -> None:
    image = picture("RGB", (64, 64))
    encoded = [codec.encode(image, quality=quality) for quality in (1, 50, 100)]
    errors = [np.abs(np.subtract(image, e.reconstruction, dtype=float)).mean() for e in encoded]
    assert len(encoded[0].data) < len(encoded[1].data) < len(encoded[2].data)
    assert errors[0] > errors[1] > errors[2]


def test_setting_replaces_quality(model) -> None:
    image = picture("RGB", (20, 20))
    assert codec.compress(image, setting=model.setting(1)) == codec.compress(image, quality=1)


def test_model_by_name_or_object(model) -> None:
    image = picture("RGB", (20, 20))
    assert (
        codec.compress(image, model=model.name) == codec.compress(image, model=model) == codec.compress(image)
    )


def test_compression_is_repeatable_and_leaves_the_picture_alone(model) -> None:
    image = picture("RGBA", (30, 20))
    before = image.tobytes()
    assert codec.compress(image) == codec.compress(image)
    assert image.tobytes() == before


def test_info_adds_up(model) -> None:
    data = codec.compress(picture("LA", (178, 218)), quality=50)
    facts = codec.info(data)
    family = store.find_model(model.model_id).name  # of all channel counts in the weights file
    assert (facts.width, facts.height, facts.mode, facts.model) == (178, 218, "LA", family)
    assert facts.model_id == model.model_id.hex()
    names = model.setting(50)._asdict().items()
    assert facts.setting == ", ".join(f"{name}={value}" for name, value in names)
    assert facts.file_bytes == len(data) == facts.latent_bytes + facts.alpha_bytes + facts.overhead_bytes
    assert facts.overhead_bytes <= 24 and facts.alpha_bytes > 0
    assert facts.bpp == pytest.approx(8 * len(data) / (178 * 218))
    assert facts.compression_ratio == pytest.approx(24 / facts.bpp)


def test_file_of_another_model(model) -> None:
    data = codec.compress(picture("RGB", (8, 8)), model=FakeModel("other"))
    with pytest.raises(ModelError):
        codec.decompress(data)
    facts = codec.info(data)
    assert (facts.model, facts.setting) == ("not installed", str(3 * 256 + 6))


@pytest.mark.parametrize("quality", [0, 101, -5, float("nan"), float("inf")])
def test_impossible_quality(model, quality: float) -> None:
    with pytest.raises(ParameterError):
        codec.compress(picture("RGB", (8, 8)), quality=quality)


def test_searched_latents_survive(model) -> None:
    data, reconstruction = codec.encode(picture("RGB", (30, 22)), search_steps=3)
    np.testing.assert_array_equal(codec.decompress(data), reconstruction)


@only_fake
def test_targets(model) -> None:
    """The search over settings is tested with `rate_control`; here, that whole files and pictures count."""
    image = picture("LA", (64, 64))
    encoded = {quality: codec.encode(image, quality=quality) for quality in (1, 50, 100)}
    sizes = [len(file.data) for file in encoded.values()]
    assert codec.compress(image, target_bytes=sizes[1]) == encoded[50].data
    x, x_hat = (np.asarray(one.convert("RGB")) for one in (image, encoded[50].reconstruction))
    assert codec.compress(image, target_psnr=distortion.psnr_db(x, x_hat)) == encoded[50].data
    with pytest.raises(ParameterError, match=str(sizes[0])):
        codec.compress(image, target_bytes=sizes[0] - 1)
    with pytest.raises(ParameterError, match="dB"):
        codec.compress(image, target_psnr=99)


@pytest.mark.parametrize("model", ["hyperprior"], indirect=True)
def test_targets_are_met_closely_where_quality_is_continuous(model) -> None:
    image = picture("RGB", (150, 100))
    sizes = [len(codec.compress(image, quality=quality)) for quality in (1, 50, 100)]
    assert sizes[0] < sizes[1] < sizes[2]
    target = round((sizes[0] + sizes[2]) / 2)
    assert 0.97 * target <= len(codec.compress(image, target_bytes=target)) <= target


@pytest.mark.parametrize("model", ["hyperprior"], indirect=True)
def test_a_target_in_ssimulacra2(model) -> None:
    image = picture("LA", (64, 48))
    files = [codec.encode(image, quality=quality) for quality in (1, 60, 100)]
    original, *decoded = (to_tensor(one) for one in (image, *(file.reconstruction for file in files)))
    low, middle, high = (ssimulacra2(original, one).item() for one in decoded)
    assert low < middle < high
    data = codec.compress(image, target_ssimulacra2=middle)
    assert ssimulacra2(original, to_tensor(codec.decompress(data))).item() >= middle - 1e-3
    assert len(files[0].data) < len(data) < 1.05 * len(files[1].data)
    with pytest.raises(ParameterError, match="best of this picture has") as refused:
        codec.compress(image, target_ssimulacra2=high + 0.5)
    best = float(str(refused.value).split("picture has ")[1].split(" points")[0])
    assert high - 0.01 < best < high + 0.5  # the best of the files tried, beyond quality 100 too
    with pytest.raises(ParameterError, match="at least 8 pixels"):
        codec.compress(picture("RGB", (7, 64)), target_ssimulacra2=50)


@pytest.mark.parametrize("model", ["hyperprior"], indirect=True)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_tune_is_what_a_search_is_for(model, mode: str) -> None:
    image = picture(mode, (40, 30))
    plain, searched = (
        [codec.compress(image, search_steps=steps, tune=tune) for tune in ("psnr", "eye")]
        for steps in (0, 12)
    )
    assert plain[0] == plain[1]
    assert codec.decompress(searched[1]).mode == mode
    assert searched[0] != searched[1]


@only_fake
def test_a_tune_chooses_the_model_where_none_is_named(model, monkeypatch) -> None:
    other = FakeModel("for the eye")
    monkeypatch.setitem(TUNED_MODELS, "eye", other.name)
    install(monkeypatch, model, other)
    image = picture("RGB", (20, 20))
    for tune, expected in (("psnr", model), ("eye", other)):
        data = codec.compress(image, tune=tune)
        assert data == codec.encode(image, tune=tune).data == codec.compress(image, model=expected)
        assert codec.info(data).model == expected.name
    assert codec.compress(image, model=model.name, tune="eye") == codec.compress(image)


@pytest.mark.parametrize(
    "options",
    [
        {"quality": 50, "target_bytes": 1000},
        {"target_bytes": 1000, "target_psnr": 30},
        {"quality": 50, "target_psnr": 30},
        {"target_psnr": 30, "target_ssimulacra2": 50},
        {"quality": 50, "target_ssimulacra2": 50},
        {"target_bytes": 0},
        {"tune": "ear"},
        {"tune": ""},
        {"target_bytes": 1000, "setting": (3, 4)},
    ],
)
def test_options_that_contradict_each_other(model, options: dict) -> None:
    with pytest.raises(ParameterError):
        codec.compress(picture("RGB", (8, 8)), **options)


def test_negative_search_steps(model) -> None:
    with pytest.raises(ParameterError):
        codec.compress(picture("RGB", (8, 8)), search_steps=-1)


def test_unknown_model(model) -> None:
    with pytest.raises(ModelError):
        codec.compress(picture("RGB", (8, 8)), model="no-such-model")


@only_fake
def test_side_beyond_the_container(model) -> None:
    with pytest.raises(ImageError, match="65535"):
        codec.compress(Image.new("L", (65536, 1)))


def test_wrong_number_of_sections(model) -> None:
    header, sections = container.unpack(codec.compress(picture("RGBA", (8, 8))))
    with pytest.raises(BitstreamError):
        codec.decompress(container.pack(header, sections[1:]))
    with pytest.raises(BitstreamError):
        codec.decompress(container.pack(header, [*sections, b""]))


def test_decoding_does_not_track_gradients(model) -> None:
    grad_enabled = torch.is_grad_enabled()
    codec.decompress(codec.compress(picture("RGB", (8, 8))))
    assert torch.is_grad_enabled() == grad_enabled


def fuzz(originals: list[bytes], count: int) -> int:
    """Decode altered files; returns how many of them decoded to a picture."""
    decoded = 0
    for number in range(count):
        data = mutation(originals, 0, number).data
        try:
            image = codec.decompress(data, max_pixels=2**12)
        except VgicError as error:
            assert "\n" not in str(error)
            continue
        assert image.mode in MODES and image.width * image.height <= 2**12
        decoded += 1
    return decoded


def test_many_damaged_files(model) -> None:
    """A thousand, fewer where a file takes longer."""
    count = 300 if isinstance(model, VaeGan) else 1000
    originals = [codec.compress(picture(mode, size)) for mode in MODES for size in ((1, 1), (23, 17))]
    assert 0 < fuzz(originals, count) < count / 2  # the checksum stops half, the inner checks many more


def test_a_forged_size_costs_nothing(model) -> None:
    """A tiny file that claims the largest picture is refused before any large allocation."""
    header, sections = container.unpack(codec.compress(picture("RGB", (8, 8))))
    forged = container.Header(header.model_id, header.setting, 65535, 1024)
    with pytest.raises(BitstreamError, match="too short"):
        codec.decompress(container.pack(forged, sections))


@only_fake
def test_model_at_hand_decodes_its_own_files_only(model) -> None:
    data = codec.compress(picture("RGB", (9, 7)), model=model)
    assert codec.decompress(data, model).tobytes() == codec.decompress(data).tobytes()
    other = FakeModel()
    other.model_id = b"none"
    with pytest.raises(ModelError, match="leave the model out"):
        codec.decompress(data, other)


@only_fake
def test_pictures_beyond_the_limit_are_refused_before_any_work(model, monkeypatch) -> None:
    data = codec.compress(picture("RGB", (20, 10)))
    assert codec.decompress(data, max_pixels=200).size == (20, 10)
    monkeypatch.setattr(type(model), "decode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ImageError, match=r"20 x 10 pixels, more than 199; raise the limit"):
        codec.decompress(data, max_pixels=199)


@only_fake
@pytest.mark.parametrize("mode", MODES)
def test_metadata_are_kept_where_they_are_given(model, mode: str) -> None:
    image = picture(mode, (14, 9))
    data = codec.compress(image, exif=b"II*\0", xmp=b"<x/>")
    assert codec.decompress(data).info == {"exif": b"Exif\0\0II*\0", "xmp": b"<x/>"}
    plain = codec.compress(image)
    assert codec.decompress(plain).info == {}
    assert codec.decompress(data).tobytes() == codec.decompress(plain).tobytes()
    told = codec.info(data)
    assert told.mode == mode and told.metadata_bytes > 0 and codec.info(plain).metadata_bytes == 0
    assert told.latent_bytes == codec.info(plain).latent_bytes
