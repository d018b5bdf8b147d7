# SPDX-License-Identifier: MIT
"""What the desk shows: crops, maps, curves and numbers, as pictures and HTML. No widgets here."""

import base64
import io
from collections.abc import Sequence
from html import escape

import matplotlib
import numpy as np
from matplotlib.ticker import MaxNLocator
from PIL import Image

from vgic_lib.desk.work import Outcome
from vgic_lib.figures import ACCENT, CYCLE, Figure, style
from vgic_lib.images import to_array
from vgic_lib.search.latent_search import TracePoint

SHOWN_WIDTH = 720  # pixels of a whole picture on the page
ERROR_LIMIT = 24  # 8-bit levels: mean error of a pixel's channels that is shown brightest
COLOURS = "inferno"
WARNING = "texture is invented in part; not for measuring"  # of realism above 0
PLACEHOLDER = Image.new("RGB", (4, 3), "#9ca3af")
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels

CSS = f"""<style>
.vgic-desk {{ max-width: 1250px; }}
.vgic-desk .vgic-whole {{ position: relative; overflow: hidden; }}
.vgic-desk .vgic-whole .widget-html {{
  position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; pointer-events: none; }}
.vgic-desk .vgic-frame {{ position: absolute; box-sizing: border-box; border: 2px solid {ACCENT};
  outline: 1px solid white; }}
.vgic-desk .widget-image {{ margin: 0 0 6px; max-width: none; }}
.vgic-desk .vgic-pixels {{ image-rendering: pixelated; }}
.vgic-desk .widget-html-content {{ line-height: 1.45; font-size: 13px; white-space: normal; }}
.vgic-desk table {{ border-collapse: collapse; margin: 2px 0; }}
.vgic-desk th, .vgic-desk td {{ padding: 2px 14px 2px 0; text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; border: 0; }}
.vgic-desk th:first-child, .vgic-desk td:first-child {{ text-align: left; }}
.vgic-desk th {{ font-weight: 600; border-bottom: 1px solid #8888; }}
.vgic-desk a.vgic-download {{ display: inline-block; padding: 1px 12px; margin-right: 8px; color: white;
  background: #0f766e; border-radius: 3px; text-decoration: none; }}
.vgic-desk .vgic-note, .vgic-desk .vgic-error {{ padding: 4px 10px; border-left: 4px solid #0284c7;
  background: #e0f2fe; color: #0c4a6e; }}
.vgic-desk .vgic-error {{ border-color: {ACCENT}; background: #ffe4e6; color: #881337; }}
.vgic-desk .vgic-legend {{ display: flex; align-items: center; white-space: nowrap; }}
.vgic-desk .vgic-scale {{ flex: 0 1 90px; height: 9px; margin: 0 6px;
  background: linear-gradient(90deg, #000004, #420a68, #932667, #dd513a, #fca50a, #fcffa4); }}
</style>"""


def png(image: Image.Image, width: int | None = None) -> bytes:
    """A PNG file of a picture, RGB, reduced to `width` pixels if it is wider."""
    image = image.convert("RGB")
    if width is not None and image.width > width:
        size = width, max(1, round(image.height * width / image.width))
        image = image.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def zoom_box(size: tuple[int, int], across: float, down: float, width: int) -> Box:
    """Part of a picture of `size`, four to three where it fits; `across` and `down` in 0..1 move it."""
    width = min(width, size[0])
    height = min(max(1, width * 3 // 4), size[1])
    left, top = round(across * (size[0] - width)), round(down * (size[1] - height))
    return left, top, left + width, top + height


def frame(size: tuple[int, int], box: Box) -> str:
    """HTML of a frame around a part of a picture, laid over it."""
    left, right = (100 * box[edge] / size[0] for edge in (0, 2))
    top, bottom = (100 * box[edge] / size[1] for edge in (1, 3))
    place = f"left:{left:.2f}%;top:{top:.2f}%;width:{right - left:.2f}%;height:{bottom - top:.2f}%"
    return f'<div class="vgic-frame" style="{place}"></div>'


def error_picture(outcome: Outcome, original: Image.Image) -> tuple[Image.Image, str]:
    """Mean absolute error of each pixel's channels, bright from ERROR_LIMIT on; and its HTML caption."""
    error = np.abs(to_array(original).astype(np.float32) - to_array(outcome.image)).mean(2)
    scale = _scale(f"{ERROR_LIMIT} of 255 levels")
    return _coloured(error / ERROR_LIMIT), f"<b>error of {escape(outcome.title)}</b>{scale}"


def bits_picture(bits: np.ndarray, original: Image.Image) -> tuple[Image.Image, str]:
    """Bits of each latent position over the picture in gray; and its HTML caption.

    Args:
        bits: (h, w); the brightest colour stands for all but the highest half per cent.
        original: the positions cover it in equal squares, the last ones over its edge.
    """
    most = max(1.0, float(np.quantile(bits, 0.995)))
    stride = 2 ** round(np.log2(max(original.height / bits.shape[0], original.width / bits.shape[1], 1)))
    colours = to_array(_coloured(bits / most)).repeat(stride, 0).repeat(stride, 1)
    gray = to_array(original.convert("L"))
    padding = [(0, max(0, side - had)) for side, had in zip(gray.shape[:2], colours.shape[:2], strict=True)]
    colours = np.pad(colours, [*padding, (0, 0)], mode="edge")[: gray.shape[0], : gray.shape[1]]
    scale = _scale(f"{most:.0f} bits in {stride} × {stride} pixels")
    picture = Image.fromarray((0.7 * colours + 0.3 * gray).astype(np.uint8))
    return picture, f"<b>where the bits go</b>{scale}"


def grouped(number: float) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{number:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def caption(outcome: Outcome) -> str:
    """HTML above a reconstruction."""
    numbers = f"{grouped(len(outcome.data))} bytes, {outcome.quality.psnr_db:.2f} dB"
    return f"<b>{escape(outcome.title)}</b><br>{numbers}"


def table(original: Image.Image, outcomes: Sequence[Outcome]) -> str:
    """HTML table: the original as 24-bit RGB, then a line for each file."""
    pixels = original.width * original.height
    heads = ("", "bytes", "bpp", "ratio", "PSNR (dB)", "SSIM", "MS-SSIM", "encode (s)", "decode (s)")
    lines = [["original", grouped(3 * pixels), "24.000", "1.0", *[""] * 5]]
    for outcome in outcomes:
        size, quality = len(outcome.data), outcome.quality
        numbers = [f"{quality.psnr_db:.2f}", f"{quality.ssim:.4f}", f"{quality.ms_ssim:.4f}"]
        numbers = ["–" if number == "nan" else number for number in numbers]
        rates = [grouped(size), f"{8 * size / pixels:.3f}", f"{3 * pixels / size:.1f}"]
        seconds = [f"{s:.3f}" if s > 0.0095 else f"{s:.1g}" for s in (outcome.encode_s, outcome.decode_s)]
        lines.append([escape(outcome.title), *rates, *numbers, *seconds])
    head = "".join(f"<th>{name}</th>" for name in heads)
    rows = ("<tr>" + "".join(f"<td>{cell}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def downloads(stem: str, outcome: Outcome) -> str:
    """HTML links that save the file and the decoded picture; they hold both, so nothing is requested."""
    picture = io.BytesIO()
    outcome.image.save(picture, "PNG")
    files = {".vgic": ("application/octet-stream", outcome.data), ".png": ("image/png", picture.getvalue())}
    return "".join(
        f'<a class="vgic-download" download="{escape(stem, quote=True)}{suffix}" '
        f'href="data:{kind};base64,{base64.b64encode(data).decode()}">save {suffix}</a>'
        for suffix, (kind, data) in files.items()
    )


def message(text: str, kind: str = "note") -> str:
    """HTML of a message; `kind` is "note" or "error"."""
    return f'<div class="vgic-{kind}">{escape(text)}</div>' if text else ""


def search_figure(trace: Sequence[TracePoint], pixels: int) -> Figure:
    """Rate, distortion and objective of the best rounded latents, step by step, of a picture of `pixels`."""
    curves = {
        "rate, estimated (bpp)": [point.bits / pixels for point in trace],
        "PSNR (dB)": [point.psnr_db for point in trace],
        "objective (lower is better)": [point.objective for point in trace],
    }
    with style():
        figure = Figure(figsize=(10.5, 2.0), layout="constrained")
        figure.get_layout_engine().set(h_pad=0.1, w_pad=0.1)
        for ax, (title, values), colour in zip(figure.subplots(1, 3), curves.items(), CYCLE, strict=False):
            ax.plot([point.step for point in trace], values, color=colour)
            ax.set_title(title)
            ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            ax.yaxis.set_major_locator(MaxNLocator(4))
            ax.ticklabel_format(useOffset=False)
    return figure


def png_of(figure: Figure) -> bytes:
    """A PNG file of a figure."""
    return figure._repr_png_()[0]


def _scale(most: str) -> str:
    """HTML of the colour scale of a map, from 0 to `most`."""
    return f'<div class="vgic-legend">0<span class="vgic-scale"></span>{most}</div>'


def _coloured(values: np.ndarray) -> Image.Image:
    """Picture of values (H, W), 0 to 1, in COLOURS."""
    return Image.fromarray(matplotlib.colormaps[COLOURS](np.clip(values, 0, 1), bytes=True)[..., :3].copy())
