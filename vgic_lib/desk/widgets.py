# SPDX-License-Identifier: MIT
"""The desk's widgets: its controls, and the column of one picture. What they start is in `desk`."""

from collections.abc import Sequence

import ipywidgets as widgets
from PIL import Image

from vgic_lib.desk import view
from vgic_lib.desk.work import LOSSLESS_QUALITY
from vgic_lib.evaluation.classical import CLASSICAL
from vgic_lib.models.tunes import default_model
from vgic_lib.search.objectives import TUNES

_RANGE = f"1 to 100; beyond, no value is off by more than 4 levels, 3, ... 0: {LOSSLESS_QUALITY} is lossless"
WRAP = {"flex_flow": "row wrap", "align_items": "center"}


class Controls:
    """What a person can choose."""

    def __init__(
        self,
        photographs: Sequence[str],
        models: Sequence[str],
        *,
        photograph: str,
        model: str,
        quality: int,
        search_steps: int,
        classical: str,
        tune: str,
        realism: float,
    ) -> None:
        """Begin with given values; an unknown name of a photograph, codec or tune takes the first."""
        codecs = {codec.title: name for name, codec in CLASSICAL.items()}
        self.photograph = _dropdown(photographs, photograph, "picture")
        self.upload = widgets.FileUpload(
            accept="image/*", description="your own", layout={"width": "130px", "margin": "2px 12px"}
        )
        self.model = widgets.Combobox(
            value=model, options=models, description="model", tooltip="empty: the model of the tune",
            continuous_update=False, **_narrow(220),
        )  # fmt: skip
        self.classical = _dropdown(list(codecs.items()), classical, "beside it")
        self.rate = widgets.ToggleButtons(
            options=["quality", "target bytes"], tooltips=[_RANGE, "largest size of the file"],
            style={"button_width": "105px"},
        )  # fmt: skip
        self.quality = widgets.IntSlider(
            quality, 1, LOSSLESS_QUALITY, description="quality", description_tooltip=_RANGE, **_slow()
        )
        self.target = widgets.FloatLogSlider(
            20_000, min=2.5, max=6.5, step=0.01, readout_format=",.0f", description="bytes", **_slow()
        )
        self.steps = widgets.IntSlider(search_steps, 0, 500, 10, description="search steps", **_slow())
        self.tune = _dropdown(list(TUNES), tune, "tune", 160)
        self.search = _button("search", "play", "run latent search live")
        self.stop = _button("stop", "stop", "keep the best yet")
        self.stop.disabled = True
        self.realism = widgets.FloatSlider(
            realism, min=0, max=1, step=0.05, description="realism", disabled=True, **_slow()
        )  # until the model is known
        self.realism_note = widgets.HTML()
        self.zoom = widgets.IntSlider(120, 16, 400, description="zoom", **_narrow(290))
        self.across, self.down = (
            widgets.FloatSlider(0.5, min=0, max=1, step=0.01, description=text, readout=False, **_narrow(250))
            for text in ("across", "down")
        )
        self.rate.observe(self._choose_rate, "value")
        self._choose_rate()
        self.tune.observe(self._name_model, "value")
        self._name_model()

    @property
    def deciding(self) -> tuple[widgets.ValueWidget, ...]:
        """Those that change the files."""
        return (
            self.photograph, self.model, self.classical, self.rate, self.quality, self.target, self.steps,
            self.tune,
        )  # fmt: skip

    @property
    def zooming(self) -> tuple[widgets.ValueWidget, ...]:
        """Those that choose the enlarged part."""
        return self.zoom, self.across, self.down

    def lines(self) -> list[widgets.HBox]:
        """Everything but the zoom, line by line."""
        rows = (
            (self.photograph, self.upload, self.model, self.classical),
            (self.rate, self.quality, self.target),
            (self.steps, self.tune, self.search, self.stop),
            (self.realism, self.realism_note),
        )
        return [widgets.HBox(row, layout=WRAP) for row in rows]

    def model_name(self) -> str:
        """Name, or path of a weights file: as typed, else that of the tune."""
        return self.model.value.strip() or default_model(self.tune.value)

    def allow_realism(self, trouble: str = "") -> None:
        """Let realism be chosen, with a warning; or say what is in the way of it, and set it to 0."""
        self.realism.disabled = bool(trouble)
        self.realism_note.value = view.escape(trouble or view.WARNING)
        if trouble:
            self.realism.value = 0

    def rates(self) -> tuple[float | None, int | None]:
        """Quality and target bytes; the one that is not asked for is None."""
        by_quality = self.rate.value == "quality"
        return (self.quality.value, None) if by_quality else (None, round(self.target.value))

    def box(self, image: Image.Image) -> view.Box:
        """The part of a picture that is enlarged."""
        return view.zoom_box(image.size, self.across.value, self.down.value, self.zoom.value)

    def _name_model(self, _: object = None) -> None:
        self.model.placeholder = default_model(self.tune.value)

    def _choose_rate(self, _: object = None) -> None:
        by_quality = self.rate.value == "quality"
        self.quality.layout.display = None if by_quality else "none"
        self.target.layout.display = "none" if by_quality else None


class Panel:
    """A picture with its caption, its enlarged part and a map below."""

    def __init__(self) -> None:
        self.caption, self.frame, self.map_caption = (widgets.HTML() for _ in range(3))
        self.whole, self.zoomed, self.map = (widgets.Image(layout={"width": "100%"}) for _ in range(3))
        self.zoomed.add_class("vgic-pixels")
        self.image: Image.Image | None = None
        whole = widgets.Box([self.whole, self.frame]).add_class("vgic-whole")
        self.widget = widgets.VBox(
            [self.caption, whole, self.zoomed, self.map_caption, self.map],
            layout={"flex": "1 1 0", "min_width": "0", "margin": "0 8px 0 0", "overflow": "hidden"},
        )
        self.clear()

    def clear(self) -> None:
        """Show that nothing is there yet."""
        self.show(None, "…<br>&nbsp;")
        self.show_map(None, "<br>&nbsp;")

    def show(self, image: Image.Image | None, caption: str, box: view.Box | None = None) -> None:
        """Show a picture whole, and the part in `box` enlarged; None for one that is not there yet."""
        self.image, self.caption.value = image, caption
        self.whole.value = view.png(image or view.PLACEHOLDER, view.SHOWN_WIDTH)
        self.enlarge(box)

    def enlarge(self, box: view.Box | None) -> None:
        """Show another part enlarged."""
        image = self.image
        if image is None or box is None:
            self.frame.value, self.zoomed.value = "", view.png(view.PLACEHOLDER)
        else:
            self.frame.value, self.zoomed.value = (
                view.frame(image.size, box),
                view.png(image.crop(box)),
            )

    def show_map(self, image: Image.Image | None, caption: str) -> None:
        """Show a map; None for one that is not there yet."""
        self.map_caption.value = caption
        self.map.value = view.png(image or view.PLACEHOLDER, view.SHOWN_WIDTH)


def _dropdown(options: Sequence, value: str, description: str, width: int = 230) -> widgets.Dropdown:
    """One of `options`, names or pairs of title and name; the first where `value` is none of them."""
    names = [option if isinstance(option, str) else option[1] for option in options]
    chosen = value if value in names else names[0]
    return widgets.Dropdown(options=options, value=chosen, description=description, **_narrow(width))


def _button(description: str, icon: str, tooltip: str) -> widgets.Button:
    return widgets.Button(description=description, icon=icon, tooltip=tooltip, layout={"width": "120px"})


def _slow() -> dict:
    """Options of a slider that acts when it is let go."""
    return {"continuous_update": False, "layout": {"width": "420px"}, "style": {"description_width": "90px"}}


def _narrow(width: int) -> dict:
    """Layout of a narrow widget with a short description."""
    return {"layout": {"width": f"{width}px"}, "style": {"description_width": "75px"}}
