# SPDX-License-Identifier: MIT
"""The desk: a photograph, its .vgic file and a classical codec's, side by side, with sliders.

What is computed is in `work`, what is shown in `view`, the widgets in `widgets`. The kernel's main thread
answers the page; a worker computes, and drops what a newer setting has made pointless.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import ipywidgets as widgets
from IPython.display import display
from torch import Tensor

from vgic_lib import codec
from vgic_lib.datasets import sources
from vgic_lib.desk import view, work
from vgic_lib.desk.widgets import WRAP, Controls, Panel
from vgic_lib.desk.work import Check, Outcome, Request, Superseded, Worker
from vgic_lib.errors import VgicError
from vgic_lib.evaluation.classical import CLASSICAL
from vgic_lib.images import to_image
from vgic_lib.models.store import list_models
from vgic_lib.models.tunes import check_realism
from vgic_lib.search.latent_search import TracePoint

SEARCH_STEPS = 100  # of a search that is started without saying how long
REDRAW_S = 1.0  # between drawings of the growing curve
WORKER = Worker()  # one for all desks of a kernel: a cell that runs again supersedes its earlier self


class Desk:
    """All of it; `widget` is what a notebook displays."""

    def __init__(
        self,
        *,
        photograph: str = "astronaut",
        model: str = "",
        quality: int = codec.DEFAULT_QUALITY,
        search_steps: int = 0,
        tune: str = codec.DEFAULT_TUNE,
        realism: float = 0.0,
        classical: str = "jpeg",
        megapixels: float = 1.0,
    ) -> None:
        """Set up; nothing is computed before `open` or `update`.

        Args:
            photograph: name of an embedded one; an unknown name takes the first.
            model: name, or path of a weights file; empty: that of the tune; one that is not there is a
                message on the page.
            quality: 1 to 100; 101 to 105 for errors of at most 4 to 0 levels.
            search_steps: of latent search, 0 for none.
            tune: what the picture is for, a key of TUNES: it chooses the model where none is named, and what
                the search improves; an unknown name takes the first.
            realism: 0 to 1, of a second picture of our file; 0 for none, as with a model that cannot have it.
            classical: a key of CLASSICAL; an unknown name takes the first.
            megapixels: larger pictures are reduced to this.

        Raises:
            ParameterError: `realism` is out of range.
        """
        check_realism(realism)
        self._megapixels = megapixels
        embedded = sorted(sources.embedded().glob("*.png"))
        self._pictures = {path.stem: work.open_picture(path, megapixels) for path in embedded}
        self.controls = Controls(
            list(self._pictures), [card.name for card in list_models()], photograph=photograph, model=model,
            quality=quality, search_steps=search_steps, classical=classical, tune=tune,
            realism=realism,
        )  # fmt: skip
        self.status, self.message, self.table, self.downloads = (widgets.HTML() for _ in range(4))
        self.curve = widgets.Image(layout={"width": "100%", "display": "none"})
        self.original, self.ours, self.realistic, self.beside = self.columns = [Panel() for _ in range(4)]
        self.realistic.widget.layout.display = "none"
        self.widget = self._page()
        self._request: Request | None = None  # of what is shown
        self._outcomes: dict[Panel, Outcome] = {}  # shown
        self._stop = threading.Event()
        self._trace: list[TracePoint] = []  # of the newest search
        self._drawn_s = 0.0  # when its curve was drawn
        self._connect()

    def open(self) -> None:
        """Display the desk in a notebook and wait for its first pictures."""
        display(self.widget)
        self.update()
        self.wait()

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait until what was asked last is on the page."""
        WORKER.wait(timeout_s)

    def update(self) -> None:
        """Compute what the controls ask for; whatever is being computed is dropped."""
        controls = self.controls
        name = controls.photograph.value
        image, note = self._pictures[name]
        steps, classical = controls.steps.value, controls.classical.value
        tune = controls.tune.value
        request = Request(image, controls.model_name(), *controls.rates(), steps, classical, tune)
        WORKER.submit(partial(self._work, request, name, note))

    def upload(self, name: str, data: bytes) -> None:
        """Show a picture of the user's own; a file that cannot be used is a message on the page."""
        try:
            picture = work.open_picture(name, self._megapixels, data)
        except VgicError as error:
            self.message.value = view.message(str(error), "error")
            return
        stem, photograph = Path(name).stem, self.controls.photograph
        again = photograph.value == stem
        self._pictures = {stem: picture} | {k: v for k, v in self._pictures.items() if k != stem}
        photograph.options = list(self._pictures)  # which chooses the first
        if again:  # the choice has not changed, but its picture has
            self.update()

    def _page(self) -> widgets.VBox:
        controls = self.controls
        files = widgets.HBox([self.downloads, self.status], layout=WRAP)
        zoom = widgets.HBox(controls.zooming, layout=WRAP)
        pictures = widgets.HBox([column.widget for column in self.columns])
        parts = [*controls.lines(), files, self.message, self.table, self.curve, zoom, pictures]
        return widgets.VBox([widgets.HTML(view.CSS), *parts]).add_class("vgic-desk")

    def _connect(self) -> None:
        controls = self.controls
        for control in controls.deciding:
            control.observe(lambda _: self.update(), "value")
        for control in controls.zooming:
            control.observe(lambda _: self._enlarge(), "value")
        controls.realism.observe(lambda _: self._change_realism(), "value")
        controls.upload.observe(self._take_upload, "value")
        controls.search.on_click(lambda _: self._start_search())
        controls.stop.on_click(lambda _: self._stop.set())

    def _enlarge(self) -> None:
        for column in self.columns:
            if column.image is not None:
                column.enlarge(self.controls.box(column.image))

    def _take_upload(self, change: dict) -> None:
        for file in change["new"]:
            self.controls.upload.value = ()
            self.upload(file["name"], bytes(file["content"]))

    def _start_search(self) -> None:
        if self.controls.steps.value:
            self.update()
        else:
            self.controls.steps.value = SEARCH_STEPS

    def _change_realism(self) -> None:
        """Draw the realistic picture anew; the file and what else is shown stay, or are still to come."""
        if not self.controls.realism.disabled:
            WORKER.submit(self._touch, touch=True)

    @contextmanager
    def _troubles_shown(self) -> Iterator[None]:
        """Turn errors into a message, whatever they are: the desk stays usable."""
        try:
            yield
        except Superseded:
            raise
        except Exception as error:
            text = str(error) if isinstance(error, VgicError) else f"{type(error).__name__}: {error}"
            last = "; the last result is still shown" if self.ours.image else ""
            self.message.value = view.message(text + last, "error")
            self.status.value = ""
        finally:
            self.controls.stop.disabled = True

    def _work(self, request: Request, name: str, note: str, check: Check) -> None:
        """Show what is asked for; runs in the worker's thread."""
        with self._troubles_shown():
            self._begin(request, note)
            show = partial(self._show_search, check)
            ours = work.compress(request, partial(self._report, request, check), show)
            check()
            self._show_ours(request, name, ours)
            self._show_realistic(check)
            self.status.value = f"encoding {CLASSICAL[request.classical].title} at equal bytes …"
            beside = work.compress_classical(request, len(ours.data), check)
            check()
            self._show_outcome(self.beside, beside)
            ended = f", search stopped at step {self._trace[-1].step}" if self._stop.is_set() else ""
            self.status.value = f"ready{ended}"

    def _touch(self, check: Check) -> None:
        """Show the realism that is asked for; runs in the worker's thread."""
        with self._troubles_shown():
            before = self.status.value
            self._show_realistic(check)
            self.status.value = before

    def _begin(self, request: Request, note: str) -> None:
        self._stop.clear()
        self._trace = []
        self.controls.stop.disabled = not request.search_steps
        self.message.value = view.message(note)
        self.curve.layout.display = None if request.search_steps else "none"
        self.status.value = f"compressing with {view.escape(request.model)} …"
        if self.original.image is not request.image:
            for column in self.columns:
                column.clear()
            self._outcomes = {}
            size = f"{request.image.width} × {request.image.height} pixels"
            self.original.show(request.image, f"<b>original</b><br>{size}", self.controls.box(request.image))
            self.table.value = self.downloads.value = ""

    def _report(self, request: Request, check: Check, point: TracePoint) -> None:
        """A step of the search is done."""
        check()
        if point.step == 0:  # a target may take several searches
            self._trace = []
        self._trace.append(point)
        if time.monotonic() - self._drawn_s > REDRAW_S:
            self._draw_search(request)
        if self._stop.is_set():
            raise StopIteration

    def _show_search(self, check: Check, x_hat: Tensor) -> None:
        """The search has found something better."""
        check()
        image = to_image(x_hat)
        self.ours.show(image, "<b>VGIC</b><br>searching …", self.controls.box(image))

    def _draw_search(self, request: Request) -> None:
        point, pixels = self._trace[-1], request.image.width * request.image.height
        self.curve.value = view.png_of(view.search_figure(self._trace, pixels))
        step = f"searching: step {point.step} of {request.search_steps}"
        size = f"about {view.grouped(point.bits / 8)} bytes"
        self.status.value = f"{step}, {point.psnr_db:.2f} dB, {size}"
        self._drawn_s = time.monotonic()

    def _show_ours(self, request: Request, name: str, ours: Outcome) -> None:
        if self._trace:
            self._draw_search(request)
        self.controls.stop.disabled = True
        self._request, self._outcomes = request, {}
        self._show_outcome(self.ours, ours)
        self.downloads.value = view.downloads(name, ours)
        bits = work.bits_map(ours.data, request.model)
        picture, caption = view.bits_picture(bits, request.image)
        self.original.show_map(picture, caption)
        self.controls.allow_realism(work.realism_trouble(request))

    def _show_realistic(self, check: Check) -> None:
        """Show our file as real as the slider asks, beside the faithful picture; nothing for realism 0."""
        request, faithful, realism = self._request, self._outcomes.get(self.ours), self.controls.realism.value
        self.realistic.widget.layout.display = None if faithful and realism else "none"
        if faithful and realism:
            self.status.value = f"decoding with realism {realism:g} …"
            realistic = work.realistic(request, faithful, realism)
            check()
            self._show_outcome(self.realistic, realistic)
        else:
            self.realistic.clear()
            self._outcomes.pop(self.realistic, None)
            self._show_numbers()

    def _show_outcome(self, column: Panel, outcome: Outcome) -> None:
        image = outcome.image.convert("RGB")
        column.show(image, view.caption(outcome), self.controls.box(image))
        column.show_map(*view.error_picture(outcome, self._request.image))
        self._outcomes[column] = outcome
        self._show_numbers()

    def _show_numbers(self) -> None:
        outcomes = [self._outcomes[column] for column in self.columns if column in self._outcomes]
        if outcomes:
            self.table.value = view.table(self._request.image, outcomes)
