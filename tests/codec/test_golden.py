# SPDX-License-Identifier: MIT
"""Files written once must decode for ever, to the same symbols; to change them is a new format version.

`pytest tests/codec/test_golden.py --regen-golden` writes them anew (with new weights, say).
"""

import json

import numpy as np
import pytest
import skimage
from helpers import PROJECT
from helpers.pictures import of_photo_cd
from helpers.symbols import digest
from helpers.tiny_hyperprior import tiny_model
from helpers.tiny_lossless import tiny_lossless
from PIL import Image

from vgic_lib import codec
from vgic_lib.bitstream import container
from vgic_lib.bitstream.container import Layout
from vgic_lib.bitstream.jpeg_colours import rgb_of
from vgic_lib.images import to_image, to_tensor
from vgic_lib.models import store
from vgic_lib.models.hyperprior import FINEST_CODE, LARGEST_CODE, QualitySetting
from vgic_lib.models.lossless import FirstLosslessModel, MaxError, SecondLosslessModel, bound
from vgic_lib.models.store import load_model
from vgic_lib.models.vaegan import BitSetting

FOLDER = PROJECT / "tests" / "golden"
WAS_JPEG, OF_PHOTO_CD = "RGB of JPEG colours", "RGB of a Photo CD"
CASES = {
    "rgb-n2-b4": ("RGB", (90, 66), BitSetting(2, 4)),
    "rgb-n8-b6": ("RGB", (63, 50), BitSetting(8, 6)),
    "rgb-n28-b8": ("RGB", (1, 1), BitSetting(28, 8)),
    "gray-n4-b8": ("L", (40, 31), BitSetting(4, 8)),
    "rgba-n16-b4": ("RGBA", (33, 47), BitSetting(16, 4)),
    "tiny-rgb-q0": ("RGB", (200, 130), QualitySetting(0)),
    "tiny-rgb-q333": ("RGB", (65, 63), QualitySetting(333)),
    "tiny-gray-q448": ("L", (1, 1), QualitySetting(448)),
    "tiny-rgba-q896": ("RGBA", (47, 33), QualitySetting(LARGEST_CODE)),
    "tiny-rgb-q1280": ("RGB", (34, 50), QualitySetting(FINEST_CODE)),
    "hyperprior-rgb-q448": ("RGB", (90, 66), QualitySetting(448)),
    "hyperprior-eye-rgb-q448": ("RGB", (90, 66), QualitySetting(448)),
    "hyperprior-eye-gray-q100": ("L", (40, 31), QualitySetting(100)),
    "lossless-rgb-e0": ("RGB", (90, 66), bound(0)),
    "lossless-gray-e1": ("L", (40, 31), bound(1)),
    "tiny-exact-rgb-e0": ("RGB", (65, 63), bound(0)),
    "tiny-exact-rgb-e1": ("RGB", (200, 130), MaxError(1, 0, 1)),
    "tiny-exact-gray-e0": ("L", (77, 31), bound(0)),
    "tiny-exact-gray-e4": ("L", (1, 1), bound(4)),
    "tiny-exact-rgba-e0": ("RGBA", (47, 33), bound(0)),
    "tiny-exact-rgba-e64": ("RGBA", (1, 70), bound(64)),
    "tiny-own-rgb-e0": ("RGB", (200, 130), bound(0)),
    "tiny-own-rgb-e1": ("RGB", (130, 200), MaxError(1, 0, 1)),
    "tiny-own-gray-e2": ("L", (90, 80), bound(2)),
    "tiny-own-rgba-e0": ("RGBA", (47, 33), bound(0)),
    "tiny-own-jpeg-e0": (WAS_JPEG, (130, 90), bound(0)),
    "lossless-jpeg-e0": (WAS_JPEG, (96, 80), bound(0)),
    "tiny-scan-rgb-e0": ("RGB", (65, 63), bound(0)),
    "tiny-scan-e0": (OF_PHOTO_CD, (130, 90), bound(0)),
    "lossless-scan-e0": (OF_PHOTO_CD, (96, 80), bound(0)),
}
REALISTIC = "hyperprior-eye-rgb-q448"  # is also decoded with realism 1
SHIPPED = "hyperprior-eye", "hyperprior", "lossless"  # weights, by which names of files start; else vaegan
TOLERANCE = 2  # levels: pixels of lossy files come from floating-point convolutions, symbols do not


def original(mode, size):
    image = Image.fromarray(skimage.data.astronaut()).crop((150, 50, 150 + size[0], 50 + size[1]))
    if mode == WAS_JPEG:
        luma, cb, cr = image.convert("YCbCr").split()
        colours = to_tensor(Image.merge("RGB", [cr, luma, cb])) * 255
        return to_image(rgb_of(colours.round()) / 255)
    if mode == OF_PHOTO_CD:
        return Image.fromarray(of_photo_cd(1.2 * np.asarray(image))).transpose(Image.Transpose.ROTATE_180)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(size))
        return image
    return image.convert(mode)


@pytest.fixture(scope="module")
def tiny():
    """Models that follow from no training, by the start of the names of their files."""
    return {
        "tiny-exact": tiny_lossless(FirstLosslessModel),
        "tiny-own": tiny_lossless(SecondLosslessModel),
        "tiny-scan": tiny_lossless(),
        "tiny": tiny_model(),
    }


@pytest.fixture(scope="module", autouse=True)
def installed(tiny):
    """The tiny models are found by their ids, as shipped weights are."""
    find_model, ids = store.find_model, {model.model_id: model for model in tiny.values()}

    def find(model_id):
        return ids.get(model_id) or find_model(model_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "find_model", find)
        yield


def symbols_digest(data):
    parts = container.unpack(data)
    header = parts.header
    model = store.find_model(header.model_id.to_bytes(4))
    setting = model.from_code(header.setting)
    return digest(model.decode(parts.latents, setting, (header.height, header.width)))


@pytest.fixture(scope="module", autouse=True)
def regenerate(request, installed, tiny):
    if request.config.getoption("--regen-golden"):
        digests, models = {}, tiny | {name: load_model(name) for name in SHIPPED} | {"": load_model("vaegan")}
        for name, (mode, size, setting) in CASES.items():
            model = next(model for start, model in models.items() if name.startswith(start))
            data, picture = codec.encode(original(mode, size), model=model, setting=setting)
            (FOLDER / f"{name}.vgic").write_bytes(data)
            picture.save(FOLDER / f"{name}.png")
            digests[name] = symbols_digest(data)
        data = (FOLDER / f"{REALISTIC}.vgic").read_bytes()
        codec.decompress(data, realism=1).save(FOLDER / f"{REALISTIC}+r1.png")
        (FOLDER / "symbols.json").write_text(json.dumps(digests, indent=1) + "\n")


@pytest.mark.parametrize("name", CASES)
def test_symbols_are_the_same_for_ever(name):
    expected = json.loads((FOLDER / "symbols.json").read_text())[name]
    assert symbols_digest((FOLDER / f"{name}.vgic").read_bytes()) == expected


@pytest.mark.parametrize("name", CASES)
def test_picture_is_the_same_to_within_rounding(name):
    data = (FOLDER / f"{name}.vgic").read_bytes()
    picture, expected = codec.decompress(data), Image.open(FOLDER / f"{name}.png")
    mode, size, setting = CASES[name]
    assert (picture.mode, picture.size) == (expected.mode, expected.size)
    assert picture.size == size and picture.mode == mode.split()[0]
    exact = Layout.EXACT in container.read_header(data).layout
    assert levels_apart(picture, expected) <= (0 if exact else TOLERANCE)
    if exact:
        assert levels_apart(picture, original(mode, size)) <= setting.largest


def test_what_the_head_adds_is_the_same_to_within_rounding():
    data = (FOLDER / f"{REALISTIC}.vgic").read_bytes()
    expected = Image.open(FOLDER / f"{REALISTIC}+r1.png")
    assert levels_apart(codec.decompress(data, realism=1), expected) <= TOLERANCE
    assert levels_apart(codec.decompress(data), expected) > 3 * TOLERANCE


def levels_apart(one, other):
    return np.abs(np.subtract(one, other, dtype=float)).max()
