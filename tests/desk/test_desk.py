# SPDX-License-Identifier: MIT
"""The desk without a browser: what it computes, what it shows, and which work it drops."""

import io
import re
import threading
import time
from dataclasses import replace

import nbformat
import numpy as np
import pytest
import torch
from helpers import PROJECT
from helpers.heads import install_head
from helpers.tiny_hyperprior import tiny_model
from PIL import Image

from vgic_lib import codec
from vgic_lib.desk import Desk, view, work
from vgic_lib.desk.work import Request, Superseded, Worker
from vgic_lib.errors import ImageError, ParameterError
from vgic_lib.images import to_array, to_tensor
from vgic_lib.metrics import distortion
from vgic_lib.models.store import load_model, save_model
from vgic_lib.models.tunes import TUNED_MODELS
from vgic_lib.search.latent_search import TracePoint
from vgic_lib.workbook.notebook_runner import execute

PATIENCE_S = 120


def picture(width=96, height=80, mode="RGB"):
    down, right = np.mgrid[:height, :width]
    bands = [128 + 100 * np.sin(down / (5 + k)) * np.cos(right / (9 + k)) for k in range(len(mode))]
    return Image.fromarray(np.stack(bands, 2).astype(np.uint8)[..., : len(mode)].squeeze(), mode)


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Path of a small model's weights."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_model(tiny_model(), path, "small")
    return str(path)


@pytest.fixture
def asked(weights):
    return Request(picture(), weights, 60, None, 0, "jpeg")


@pytest.fixture
def desk(home, weights):
    desk = Desk(photograph="chelsea", model=weights, quality=40)
    desk.update()
    desk.wait(PATIENCE_S)
    assert desk.status.value == "ready", desk.message.value
    return desk


@pytest.fixture
def with_head(home):
    """Path of a small model that has a generative head."""
    install_head(home)
    return str(home / "outputs/runs/tiny/training/tiny/tiny.safetensors")


def rows(desk):
    """First cells of the table's rows."""
    return re.findall(r"<tr><td>([^<]*)", desk.table.value)


def settle(desk):
    desk.wait(PATIENCE_S)
    assert desk.status.value.startswith("ready"), desk.message.value


class TestWork:
    def test_outcome_is_what_the_file_decodes_to(self, asked):
        ours = work.compress(asked)
        assert ours.data == codec.compress(asked.image, model=load_model(asked.model), quality=60)
        assert ours.quality.psnr_db == distortion.psnr_db(to_array(asked.image), to_array(ours.image))
        assert ours.encode_s > 0 and ours.decode_s > 0

    def test_tune(self, asked):
        ours = work.compress(replace(asked, search_steps=10, tune="eye"))
        options = {"quality": 60, "search_steps": 10, "tune": "eye"}
        assert ours.data == codec.compress(asked.image, model=load_model(asked.model), **options)

    def test_target_bytes(self, asked):
        size = len(work.compress(asked).data)
        found = work.compress(replace(asked, quality=None, target_bytes=size))
        assert 0.9 * size < len(found.data) <= size
        with pytest.raises(ParameterError, match="raise the target"):
            work.compress(replace(asked, quality=None, target_bytes=20))

    def test_classical_file_is_the_nearest(self, asked):
        beside = work.compress_classical(asked, 1500)
        assert Image.open(io.BytesIO(beside.data)).format == "JPEG"
        assert abs(len(beside.data) - 1500) < 150 and beside.title == "JPEG"

    def test_classical_encoding_can_be_dropped(self, asked):
        def check():
            raise Superseded

        with pytest.raises(Superseded):
            work.compress_classical(asked, 1500, check)

    def test_search_is_watched_and_stops(self, asked):
        points, pictures = [], []

        def report(point):
            points.append(point)
            if point.step == 3:
                raise StopIteration

        found = work.compress(replace(asked, search_steps=50), report, pictures.append)
        assert [point.step for point in points] == [0, 1, 2, 3]
        assert pictures[0].shape == (1, 3, 80, 96) and found.image.size == (96, 80)

    def test_last_picture_of_a_search_is_that_of_the_file(self, asked):
        pictures, asked = [], replace(asked, model="vaegan-4", search_steps=20)
        found = work.compress(asked, show=pictures.append)
        assert len(pictures) > 1
        assert (to_tensor(found.image) - pictures[-1]).abs().max() < 1.5 / 255

    @pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
    @pytest.mark.parametrize("model", ["", "vaegan-4"])
    def test_bits_map_adds_up_to_the_estimate_of_the_file(self, asked, mode, model):
        asked = replace(asked, image=picture(99, 70, mode), model=model or asked.model)
        data = work.compress(asked).data
        bits = work.bits_map(data, asked.model)
        info = codec.info(data) if not model else None
        stride = 4 if model else 16
        assert bits.shape == pytest.approx((70 / stride, 99 / stride), abs=1)
        latent_bytes = len(data) - 40 if info is None else info.latent_bytes
        if mode != "RGBA":
            assert bits.sum() / 8 == pytest.approx(latent_bytes, rel=0.05, abs=24)

    def test_bits_lie_where_the_detail_is(self, asked):
        pixels = np.full((64, 128, 3), 128, np.uint8)
        pixels[:, 64:] = np.random.default_rng(1).integers(0, 255, (64, 64, 3))
        asked = replace(asked, image=Image.fromarray(pixels), model="vaegan-4")
        bits = work.bits_map(work.compress(asked).data, asked.model)
        assert bits[:, 20:].mean() > 1.5 * bits[:, :12].mean()

    @pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
    def test_realistic_picture_is_that_of_the_file(self, asked, with_head, mode):
        asked = replace(asked, image=picture(mode=mode), model=with_head)
        ours = work.compress(asked)
        realistic = work.realistic(asked, ours, 0.5)
        assert realistic.image == codec.decompress(ours.data, load_model(with_head), realism=0.5)
        assert realistic.data == ours.data and "realism 0.5" in realistic.title
        assert realistic.quality.psnr_db == distortion.psnr_db(
            to_array(asked.image), to_array(realistic.image)
        )

    def test_realism_of_a_model_without_head(self, asked, with_head):
        assert "no generative head" in work.realism_trouble(asked)
        assert work.realism_trouble(replace(asked, model=with_head)) == ""

    def test_large_picture_is_reduced_and_alpha_explained(self):
        image, note = work.open_picture("a.png", 0.01, png(picture(400, 100, "RGBA")))
        assert image.size == (200, 50) and "reduced from 400 × 100" in note and "transparency" in note
        image, note = work.open_picture("a.png", 1, png(picture()))
        assert image.size == (96, 80) and note == ""

    def test_bad_file_is_named(self):
        with pytest.raises(ImageError, match="letter.txt is not a picture"):
            work.open_picture("letter.txt", 1, b"Dear")


class TestWorker:
    def test_newer_job_supersedes(self):
        worker, begun, release, done = Worker(), threading.Event(), threading.Event(), []

        def long(check):
            begun.set()
            release.wait(10)
            check()
            done.append("long")

        worker.submit(long)
        begun.wait(10)
        worker.submit(lambda check: done.append("dropped"))
        worker.submit(lambda check: done.append("newest"))
        release.set()
        worker.wait(10)
        assert done == ["newest"]

    def test_touch_waits_for_the_job_and_supersedes_only_touches(self):
        worker, release, done = Worker(), threading.Event(), []

        def long(check):
            release.wait(10)
            check()
            done.append("job")

        worker.submit(long)
        for name in ("dropped", "touch"):
            worker.submit(lambda check, name=name: done.append(name), touch=True)
        release.set()
        worker.wait(10)
        assert done == ["job", "touch"]

    def test_job_supersedes_a_touch_that_waits(self):
        worker, release, done = Worker(), threading.Event(), []
        worker.submit(lambda check: release.wait(10))
        worker.submit(lambda check: done.append("dropped"), touch=True)
        worker.submit(lambda check: done.append("job"))
        release.set()
        worker.wait(10)
        assert done == ["job"]


class TestView:
    def test_zoom_stays_inside(self):
        assert view.zoom_box((100, 60), 1, 1, 40) == (60, 30, 100, 60)
        assert view.zoom_box((10, 5), 0.5, 0.5, 400) == (0, 0, 10, 5)

    def test_error_picture_is_dark_where_pictures_agree(self, asked):
        pixels = to_array(asked.image).copy()
        pixels[:, 50:] ^= 64
        outcome = work.Outcome("x<y", b"", Image.fromarray(pixels), None, 0, 0)
        shown, caption = view.error_picture(outcome, asked.image)
        brightness = to_array(shown).mean(2)
        assert brightness[:, :50].max() < 5 < 200 < brightness[:, 50:].min() and "x&lt;y" in caption

    @pytest.mark.parametrize("size", [(96, 80), (97, 81), (1, 1), (17, 300)])
    def test_bits_picture_covers_the_picture(self, size):
        bits = np.arange(-(-size[1] // 16) * -(-size[0] // 16), dtype=np.float32)
        bits = bits.reshape(-(-size[1] // 16), -1)
        shown, caption = view.bits_picture(bits, Image.new("RGB", size))
        assert shown.size == size and "bits in" in caption

    def test_table_of_a_tiny_picture_has_dashes_for_undefined_metrics(self, asked):
        outcome = work.compress(replace(asked, image=picture(3, 2)))
        table = view.table(picture(3, 2), [outcome])
        assert "nan" not in table and table.count("–") == 2

    def test_downloads_hold_both_files(self, asked):
        outcome = work.compress(asked)
        html = view.downloads('a"b', outcome)
        assert html.count("data:") == 2 and 'download="a&quot;b.vgic"' in html and "http" not in html

    def test_search_figure_has_three_curves(self):
        figure = view.search_figure([TracePoint(k, k, 30 + k, 900 - k, 5 - k) for k in range(4)], 100)
        titles = [ax.get_title(loc="left") for ax in figure.axes]
        assert len(titles) == 3 and "PSNR (dB)" in titles
        assert Image.open(io.BytesIO(view.png_of(figure))).getpixel((0, 0))[:3] == (255, 255, 255)


@pytest.mark.slow
def test_explore_runs_under_papermill(home, weights):
    """Without a browser the cell waits, and the executed copy holds what the desk shows."""
    copy = home / "explore.ipynb"
    (home / "notebooks").mkdir()
    execute(PROJECT / "notebooks" / "explore.ipynb", copy, {"model": weights, "photograph": "chelsea"})
    book = nbformat.read(copy, as_version=4)
    assert [out.output_type for cell in book.cells for out in cell.get("outputs", [])] == ["display_data"]
    (widgets,) = book.metadata.widgets.values()
    values = [widget["state"].get("value") for widget in widgets["state"].values()]
    assert "ready" in values and any("MS-SSIM" in str(value) for value in values)


class TestDesk:
    def test_shows_files_of_equal_length(self, desk):
        shown = [column.image and column.image.size for column in desk.columns]
        assert shown == [(451, 300), (451, 300), None, (451, 300)]
        assert rows(desk) == ["original", "VGIC", "JPEG"]
        assert (
            "chelsea.vgic" in desk.downloads.value and "where the bits go" in desk.original.map_caption.value
        )

    def test_slider_changes_what_is_shown(self, desk):
        before = desk.ours.whole.value, desk.ours.zoomed.value, desk.ours.map.value, desk.table.value
        desk.controls.quality.value = 90
        settle(desk)
        after = desk.ours.whole.value, desk.ours.zoomed.value, desk.ours.map.value, desk.table.value
        assert all(new != old for new, old in zip(after, before, strict=True))

    def test_zoom_is_the_same_part_of_each(self, desk):
        desk.controls.across.value, desk.controls.zoom.value = 0.2, 64
        box = desk.controls.box(desk.original.image)
        columns = [column for column in desk.columns if column.image]
        for column in columns:
            shown = np.asarray(Image.open(io.BytesIO(column.zoomed.value)))
            assert np.array_equal(shown, np.asarray(column.image.crop(box)))
        assert len({column.frame.value for column in columns}) == 1

    def test_search_draws_its_curve_and_stops_with_the_best(self, desk):
        desk.controls.steps.value = 500
        while desk.curve.value == b"":
            desk.wait(0.1)
        desk.controls.stop.click()
        settle(desk)
        assert "search stopped at step" in desk.status.value and desk.controls.stop.disabled

    def test_new_setting_supersedes_a_search(self, desk):
        desk.controls.steps.value = 500
        while "searching" not in desk.status.value:
            desk.wait(0.1)
        desk.controls.steps.value = 0
        settle(desk)
        assert desk.curve.layout.display == "none" and desk.status.value == "ready"

    def test_errors_are_messages_and_the_desk_goes_on(self, desk):
        before = desk.table.value
        desk.controls.model.value = "nobody"
        desk.wait(PATIENCE_S)
        assert "unknown model" in desk.message.value and desk.table.value == before
        desk.upload("letter.txt", b"Dear")
        assert "letter.txt is not a picture" in desk.message.value

    def test_unexpected_error_is_a_message_too(self, desk, monkeypatch):
        monkeypatch.setattr(work, "compress", lambda *_: torch.zeros(2).view(3))
        desk.update()
        desk.wait(PATIENCE_S)
        assert "RuntimeError" in desk.message.value

    def test_upload_is_chosen_and_replaced_by_one_of_the_same_name(self, desk):
        for side in (64, 80):
            desk.upload("mine.png", png(picture(side, 64)))
            settle(desk)
            assert desk.controls.photograph.value == "mine" and desk.ours.image.size == (side, 64)
        assert desk.controls.photograph.options.count("mine") == 1
        desk.controls.photograph.value = "coffee"
        settle(desk)
        assert desk.ours.image.size == (600, 400)

    def test_missing_model_at_first_leaves_a_usable_desk(self, home, weights):
        desk = Desk(model="nobody")
        desk.open()
        assert "unknown model" in desk.message.value and desk.ours.image is None
        desk.controls.model.value = weights
        settle(desk)


class TestRealism:
    @pytest.fixture
    def desk(self, home, with_head):
        desk = Desk(photograph="chelsea", model=with_head, quality=40, realism=0.5)
        desk.update()
        settle(desk)
        return desk

    def test_both_pictures_are_shown(self, desk):
        assert rows(desk) == ["original", "VGIC", "VGIC, realism 0.5", "JPEG"]
        assert desk.realistic.widget.layout.display is None and not desk.controls.realism.disabled
        assert desk.controls.realism_note.value == view.WARNING
        assert "<b>VGIC, realism 0.5</b>" in desk.realistic.caption.value
        assert "error of VGIC, realism 0.5" in desk.realistic.map_caption.value
        assert desk.ours.image != desk.realistic.image and desk.ours.map.value != desk.realistic.map.value

    def test_slider_draws_anew_what_it_changes_and_compresses_nothing(self, desk, monkeypatch):
        for name in ("compress", "compress_classical", "bits_map"):
            monkeypatch.delattr(work, name)
        before = desk.ours.whole.value, desk.beside.whole.value, desk.downloads.value
        half = desk.realistic.image
        desk.controls.realism.value = 1
        settle(desk)
        assert rows(desk) == ["original", "VGIC", "VGIC, realism 1", "JPEG"]
        assert desk.realistic.image.size == half.size and desk.realistic.image != half
        desk.controls.realism.value = 0
        settle(desk)
        assert rows(desk) == ["original", "VGIC", "JPEG"]
        assert desk.realistic.image is None and desk.realistic.widget.layout.display == "none"
        assert before == (desk.ours.whole.value, desk.beside.whole.value, desk.downloads.value)

    def test_slider_leaves_a_search_alone(self, desk):
        desk.controls.steps.value = 500
        while "searching" not in desk.status.value:
            time.sleep(0.1)
        desk.controls.realism.value = 0.25
        time.sleep(0.3)
        assert "searching" in desk.status.value
        desk.controls.stop.click()
        settle(desk)
        assert "search stopped at step" in desk.status.value
        assert rows(desk) == ["original", "VGIC", "VGIC, realism 0.25", "JPEG"]

    def test_model_without_head_says_so(self, desk, weights):
        desk.controls.model.value = weights
        settle(desk)
        assert desk.controls.realism.disabled and desk.controls.realism.value == 0
        assert "has no generative head" in desk.controls.realism_note.value
        assert rows(desk) == ["original", "VGIC", "JPEG"]

    def test_failing_head_is_a_message_and_the_desk_goes_on(self, desk, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(work, "realistic", lambda *_: torch.zeros(2).view(3))
            desk.controls.realism.value = 1
            desk.wait(PATIENCE_S)
        assert "RuntimeError" in desk.message.value and desk.ours.image is not None
        desk.update()
        settle(desk)
        assert rows(desk) == ["original", "VGIC", "VGIC, realism 1", "JPEG"] and desk.message.value == ""

    def test_out_of_range_is_refused(self, home):
        with pytest.raises(ParameterError, match="realism 2 is not in 0..1"):
            Desk(realism=2)


def test_tune_chooses_the_model_unless_one_is_named(home, weights, monkeypatch):
    monkeypatch.setitem(TUNED_MODELS, "eye", weights)
    monkeypatch.setattr(Desk, "update", lambda _: None)  # nothing is to be computed
    controls = Desk().controls
    assert controls.model.value == "" and controls.model_name() == TUNED_MODELS["psnr"]
    controls.tune.value = "eye"
    assert controls.model_name() == weights == controls.model.placeholder
    controls.model.value = " vaegan-4 "
    assert controls.model_name() == "vaegan-4"
