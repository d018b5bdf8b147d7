# SPDX-License-Identifier: MIT
"""A model without networks, and a picture to measure it on."""

import pytest
from helpers.fakes import FakeModel, install
from PIL import Image
from skimage import data as photographs

from vgic_lib.evaluation import measure


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    fake = FakeModel("fake-3")
    install(monkeypatch, fake)
    return fake


@pytest.fixture(scope="module")
def picture() -> measure.Picture:
    return measure.make_picture("astronaut", "test", Image.fromarray(photographs.astronaut()[:130, 180:330]))
