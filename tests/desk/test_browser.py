# SPDX-License-Identifier: MIT
"""The desk as a person at JupyterLab meets it, in Debian's Chromium."""

import io
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import PROJECT, browser
from helpers.heads import install_head
from PIL import Image

pytestmark = pytest.mark.slow
VIEW = (1300, 2300)  # tall enough for the whole desk
SCREENSHOT_WIDTH = 860  # pixels


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a project folder that is thrown away."""
    home = tmp_path_factory.mktemp("desk")
    (home / "notebooks").mkdir()
    shutil.copy(PROJECT / "notebooks" / "explore.ipynb", home / "notebooks")
    with browser.running_lab(home) as lab:
        yield lab


class DeskPage:
    """The desk as one sees and touches it."""

    def __init__(self, notebook):
        self.notebook, self.page = notebook, notebook.page
        self.desk = self.page.locator(".vgic-desk")

    def text(self):
        return self.desk.inner_text()

    def failed(self):
        return self.desk.locator(".vgic-error").count()

    def ready(self):
        """Wait until everything that was asked for is shown."""
        time.sleep(0.5)
        browser.wait_for(lambda: self.failed() or re.search(r"^ *ready", self.text(), re.M), "the desk")
        assert not self.failed(), self.message()
        return self

    def message(self):
        return self.desk.locator(".vgic-error, .vgic-note").inner_text()

    def pictures(self):
        """Addresses of all pictures; they change with their content."""
        return self.desk.locator("img").evaluate_all("all => all.map(one => one.src)")

    def rows(self):
        """Cells of the table of numbers, by the name of the row."""
        lines = self.desk.locator("table tr").all_inner_texts()
        return {cells[0]: cells[1:] for cells in (line.split("\t") for line in lines)}

    def bytes(self, name="VGIC"):
        return int(re.sub(r"\D", "", self.rows()[name][0]))

    def slide(self, label, value):
        """Type a value into the readout of a slider."""
        slider = self.desk.locator(".widget-slider", has_text=label)
        slider.locator(".widget-readout").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(str(value))
        self.page.keyboard.press("Enter")

    def choose(self, label, option):
        self.desk.locator(".widget-dropdown", has_text=label).locator("select").select_option(label=option)

    def press(self, label):
        self.desk.get_by_role("button", name=label).click()

    def upload(self, name, data):
        with self.page.expect_file_chooser() as chooser:
            self.press("your own")
        chooser.value.set_files({"name": name, "mimeType": "image/png", "buffer": data})

    def download(self, label):
        with self.page.expect_download() as saved:
            self.desk.get_by_text(label, exact=True).click()
        return saved.value.suggested_filename, Path(saved.value.path()).read_bytes()

    def type_model(self, name):
        field = self.desk.locator("input[list]")
        field.fill(name)
        field.press("Enter")


@pytest.fixture(scope="module")
def desk(chromium, lab):
    """The desk after "run all cells"; each test leaves it ready."""
    notebook = browser.Notebook(lab, chromium, "explore.ipynb", VIEW)
    outputs = [out for cell in notebook.run_all().cells for out in cell.get("outputs", [])]
    assert [out.output_type for out in outputs] == ["display_data"]
    yield DeskPage(notebook).ready()
    notebook.check()
    notebook.close()


def png(pixels, **how):
    buffer = io.BytesIO()
    Image.fromarray(pixels, **how).save(buffer, "PNG")
    return buffer.getvalue()


def photograph(width=210, height=170):
    """A picture that nobody has seen: smooth colours and some texture."""
    down, right = np.mgrid[:height, :width]
    noise = np.random.default_rng(5).normal(0, 6, (height, width))
    waves = [128 + 90 * np.sin(down / (20 + 9 * k)) * np.cos(right / (17 + 6 * k)) + noise for k in range(3)]
    return np.stack(waves, 2).clip(0, 255).astype(np.uint8)


def test_sliders_change_pictures_and_numbers(desk):
    assert set(desk.rows()) == {"", "original", "VGIC", "JPEG"}
    before, size = desk.pictures(), desk.bytes()
    desk.slide("quality", 15)
    desk.ready()
    assert desk.bytes() < size
    after = desk.pictures()
    changed = [new != old for new, old in zip(after, before, strict=True)]
    assert sum(changed) >= 7  # both reconstructions with their parts and maps, and the map of bits
    desk.slide("zoom", 60)
    browser.wait_for(
        lambda: sum(a != b for a, b in zip(desk.pictures(), after, strict=True)) == 3, "the zoom"
    )


def test_codec_beside_has_equal_bytes(desk):
    desk.slide("quality", 40)  # within reach of WebP, whose quality 0 takes more than ours of quality 15
    desk.ready()
    desk.choose("beside it", "WebP")
    desk.ready()
    assert abs(desk.bytes("WebP") - desk.bytes()) < 0.1 * desk.bytes()


def test_target_is_met_or_refused_with_a_message(desk):
    desk.press("target bytes")
    desk.ready()
    desk.slide("bytes", 15_000)
    desk.ready()
    browser.wait_for(lambda: 0.96 * 15_000 < desk.bytes() <= 15_000, "a file of 15000 bytes")
    desk.slide("bytes", 330)
    browser.wait_for(lambda: "raise the target" in desk.text(), "the refusal")
    desk.press("quality")
    desk.ready()
    assert "raise the target" not in desk.text()


def test_search_grows_a_curve_and_stops(desk):
    desk.press("search")
    browser.wait_for(lambda: re.search(r"searching: step \d", desk.text()), "the search")
    curve = desk.desk.locator("> img")
    first = curve.get_attribute("src")
    browser.wait_for(lambda: curve.get_attribute("src") != first, "a longer curve")
    desk.press("stop")
    desk.ready()
    assert re.search(r"search stopped at step [1-9]", desk.text())


def test_new_setting_supersedes_a_search(desk):
    desk.slide("search steps", 500)
    browser.wait_for(lambda: "of 500" in desk.text(), "a long search")
    start = time.monotonic()
    desk.slide("search steps", 0)
    desk.ready()
    assert "of 500" not in desk.text() and time.monotonic() - start < 60


def test_realism_shows_both_pictures(desk, lab):
    """The shipped model is used first and last, whether it has a head or not."""
    install_head(lab.folder.parent)
    before, size = desk.rows(), desk.bytes()
    desk.type_model(str(lab.folder.parent / "outputs/runs/tiny/training/tiny/tiny.safetensors"))
    browser.wait_for(lambda: desk.rows() != before, "the other model")
    desk.ready()
    assert "texture is invented in part; not for measuring" in desk.text()
    pictures, numbers = desk.pictures(), desk.rows()
    desk.slide("realism", 0.5)
    browser.wait_for(lambda: "VGIC, realism 0.5" in desk.rows(), "the realistic picture")
    desk.ready()
    changed = [new != old for new, old in zip(desk.pictures(), pictures, strict=True)]
    assert sum(changed) == 3  # whole, part and map
    assert {name: desk.rows()[name] for name in numbers} == numbers
    assert desk.desk.get_by_text("error of VGIC, realism 0.5").is_visible()
    desk.slide("realism", 0)
    browser.wait_for(lambda: desk.rows() == numbers, "the end of realism")
    desk.type_model("")
    browser.wait_for(lambda: desk.bytes() == size, "the model of the tune")
    desk.ready()


def test_screenshot(desk, request):
    """For README: pytest tests/desk/test_browser.py --screenshot docs/desk.png; nothing is kept otherwise."""
    desk.choose("picture", "chelsea")
    desk.ready()
    path = request.config.getoption("--screenshot")
    if path:
        desk.choose("beside it", "AVIF")
        desk.choose("tune", "eye")
        desk.slide("quality", 25)
        desk.slide("zoom", 150)
        desk.slide("search steps", 60)
        desk.ready()
        desk.slide("realism", 0.7)
        browser.wait_for(lambda: "VGIC, realism 0.7" in desk.rows(), "the realistic picture")
        desk.ready()
    desk.desk.locator("table").click()
    shot = Image.open(io.BytesIO(desk.desk.screenshot())).convert("RGB")
    assert shot.height > 900 and len(shot.getcolors(2**24)) > 1000
    if path:
        shot.thumbnail((SCREENSHOT_WIDTH, shot.height))
        shot.quantize(256).save(path, optimize=True)
        desk.slide("search steps", 0)
        desk.slide("realism", 0)
        desk.choose("tune", "psnr")
        desk.ready()


def test_upload_download_and_command_line(desk, lab, tmp_path):
    pixels = photograph()
    desk.upload("my own <photo>.png", png(pixels))
    browser.wait_for(lambda: "210 × 170 pixels" in desk.text(), "the photograph")
    desk.ready()
    name, data = desk.download("save .vgic")
    assert name.startswith("my own") and name.endswith(".vgic") and len(data) == desk.bytes()
    (tmp_path / "photo.vgic").write_bytes(data)
    files = [str(tmp_path / name) for name in ("photo.vgic", "photo.png")]
    home = os.environ | {"VGIC_HOME": str(lab.folder.parent)}
    command = [sys.executable, "-m", "vgic_lib", "decompress", *files]
    subprocess.run(command, cwd=PROJECT, env=home, check=True)
    decoded = np.asarray(Image.open(tmp_path / "photo.png")).astype(int)
    shown = np.asarray(Image.open(io.BytesIO(desk.download("save .png")[1]))).astype(int)
    assert np.abs(decoded - shown).max() <= 1  # two processes, floating-point synthesis
    assert np.abs(decoded - pixels).mean() < 20


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("letter.png", b"Dear Sir or Madam", "not a picture"),
        ("deep.png", png(np.full((40, 40), 40_000, np.uint16)), "more than 8 bits per channel"),
        ("cut.png", png(photograph())[:5000], "truncated or damaged"),
        ("vast.png", png(np.zeros((9000, 9000), np.uint8)), "million pixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_upload_is_a_message_and_the_desk_goes_on(desk, name, data, message):
    before = desk.rows()
    desk.upload(name, data)
    browser.wait_for(lambda: message in desk.text(), "the message")
    assert desk.rows() == before
    quality = desk.desk.locator(".widget-slider", has_text="quality").locator(".widget-readout").inner_text()
    desk.slide("quality", 30 if quality != "30" else 35)
    desk.ready()
    assert message not in desk.text() and desk.rows() != before


def test_large_and_transparent_uploads_are_explained(desk):
    desk.upload("large.png", png(np.dstack([photograph(1500, 1300), np.full((1300, 1500), 99, np.uint8)])))
    browser.wait_for(lambda: "reduced from 1500 × 1300" in desk.text(), "the note")
    assert "transparency is kept" in desk.message()
    desk.ready()


def test_missing_model_is_a_message_and_the_desk_goes_on(desk):
    model = desk.desk.locator("input[list]").input_value()
    desk.type_model("nobody")
    browser.wait_for(lambda: "unknown model 'nobody'" in desk.text(), "the message")
    desk.type_model(model)
    desk.ready()
    assert "unknown model" not in desk.text()
