# SPDX-License-Identifier: MIT
"""Files written once must decode for ever, to the same symbols; to change them is a new format version.

`pytest tests/codec/test_golden.py --regen-golden` writes them anew (with new weights, say).
"""

import json

import numpy as np
import pytest
import skimage
from helpers import PROJECT
from helpers.symbols import digest
from helpers.tiny_hyperprior import tiny_model
from PIL import Image

from vgic_lib import codec
from vgic_lib.bitstream import container
from vgic_lib.models import store
from vgic_lib.models.hyperprior import LARGEST_CODE, QualitySetting
from vgic_lib.models.store import load_model
from vgic_lib.models.vaegan import BitSetting

FOLDER = PROJECT / "tests" / "golden"
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
}
TOLERANCE = 2  # levels: pixels come from floating-point convolutions, symbols do not


def original(mode, size):
    image = Image.fromarray(skimage.data.astronaut()).crop((150, 50, 150 + size[0], 50 + size[1]))
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(size))
        return image
    return image.convert(mode)


@pytest.fixture(scope="module")
def tiny():
    return tiny_model()


@pytest.fixture(scope="module", autouse=True)
def installed(tiny):
    """The tiny hyperprior is found by its id, as shipped weights are."""
    find_model = store.find_model

    def find(model_id):
        return tiny if model_id == tiny.model_id else find_model(model_id)

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
        digests = {}
        for name, (mode, size, setting) in CASES.items():
            model = load_model("vaegan") if isinstance(setting, BitSetting) else tiny
            data, picture = codec.encode(original(mode, size), model=model, setting=setting)
            (FOLDER / f"{name}.vgic").write_bytes(data)
            picture.save(FOLDER / f"{name}.png")
            digests[name] = symbols_digest(data)
        (FOLDER / "symbols.json").write_text(json.dumps(digests, indent=1) + "\n")


@pytest.mark.parametrize("name", CASES)
def test_symbols_are_the_same_for_ever(name):
    expected = json.loads((FOLDER / "symbols.json").read_text())[name]
    assert symbols_digest((FOLDER / f"{name}.vgic").read_bytes()) == expected


@pytest.mark.parametrize("name", CASES)
def test_picture_is_the_same_to_within_rounding(name):
    picture = codec.decompress((FOLDER / f"{name}.vgic").read_bytes())
    expected = Image.open(FOLDER / f"{name}.png")
    assert (picture.mode, picture.size) == (expected.mode, expected.size) == CASES[name][:2]
    assert np.abs(np.subtract(picture, expected, dtype=float)).max() <= TOLERANCE
