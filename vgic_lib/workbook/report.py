# SPDX-License-Identifier: MIT
"""The report of a run: one HTML file, readable offline, with every executed notebook in it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vgic_lib import files
from vgic_lib.workbook.manifest import Manifest

# The exporter's default is to fetch scripts from elsewhere; a report must open without a network.
REMOTE = (
    "require_js_url", "mathjax_url", "mermaid_js_url", "mermaid_layout_elk_js_url", "jquery_url",
    "jupyter_widgets_base_url", "widget_renderer_url",
)  # fmt: skip


def write_report(manifest: Manifest, notebooks: Path, path: Path) -> None:
    """Write the report to `path`, from the executed copies in the folder `notebooks`.

    Raises:
        StorageError: the report cannot be written.
    """
    import nbformat
    from nbconvert import HTMLExporter

    book = nbformat.v4.new_notebook()
    book.metadata.title = f"VGIC run {manifest.run}"
    book.cells = list(_cells(manifest, notebooks))
    exporter = HTMLExporter(embed_images=True)
    for name in REMOTE:
        if exporter.has_trait(name):
            exporter.set_trait(name, "")
    body, _ = exporter.from_notebook_node(book)
    files.write_text(path, body)


def _cells(manifest: Manifest, folder: Path) -> Iterator[Any]:
    """Cells of the report: a summary, then those of each executed notebook."""
    import nbformat

    yield nbformat.v4.new_markdown_cell(_summary(manifest))
    for step in manifest.steps:
        yield nbformat.v4.new_markdown_cell(f'<a id="{step.name}"></a>\n\n---')
        copy = folder / f"{step.name}.ipynb"
        if step.status in ("done", "failed") and copy.exists():
            for cell in nbformat.read(copy, as_version=4).cells:
                cell.id = f"{step.name[:2]}-{cell.id}"  # unique in the report too
                if "parameters" not in cell.metadata.get("tags", []):
                    yield cell
        else:
            yield nbformat.v4.new_markdown_cell(
                f"# {step.name}\n\n{step.status}: it has not run under these parameters."
            )


def _summary(manifest: Manifest) -> str:
    environment = manifest.environment
    lines = [
        f"# VGIC run {manifest.run}", "", manifest.description, "",
        f"- profile: {manifest.profile}", f"- commit: {environment.commit or 'unknown'}",
        f"- device: {environment.device}",
        "- versions: " + ", ".join(f"{name} {version}" for name, version in environment.versions.items()),
        "", "| notebook | status | started (UTC) | seconds | parameters |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for step in manifest.steps:
        settings = ", ".join(f"{name}={value!r}" for name, value in step.parameters.items()).replace(
            "|", "\\|"
        )
        cells = (
            f"[{step.name}](#{step.name})",
            step.status,
            step.started[:19],
            f"{step.time_s:.0f}",
            settings,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
