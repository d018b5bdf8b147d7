# SPDX-License-Identifier: MIT
"""Runs the workbook: the notebooks of a profile in order, resumable, each finished step skipped by key.

A step's key is a hash of all that its result depends on: the notebook, its parameters, this
library with its weights, and the keys of the notebooks before it. A step whose key stands in the
manifest as done, and whose files are all still there, is skipped; a killed run therefore goes on
where it stopped.
"""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vgic_lib import environment, paths
from vgic_lib.errors import VgicError
from vgic_lib.workbook import manifest as manifests
from vgic_lib.workbook.manifest import Manifest, StepRecord
from vgic_lib.workbook.notebook_runner import execute
from vgic_lib.workbook.profiles import Profile, Step, load_profile, make_plan
from vgic_lib.workbook.report import write_report

OWN = ("manifest.json", "report.html")  # written by the runner itself


def run(
    profile: str,
    parameters: Mapping[str, Any] | None = None,
    run: str | None = None,
    only: Sequence[str] = (),
) -> Manifest:
    """Run the notebooks of a profile; go on where an earlier, interrupted run stopped.

    Executed copies, manifest.json and report.html land in ``paths.run_dir(run)``.

    Args:
        profile: name of a file in notebooks/profiles/, without its ending.
        parameters: replace those of the profile, in every notebook that has them.
        run: name of the run; the profile's name if left out.
        only: numbers ("03") or names of the notebooks to run; none means all.

    Raises:
        ParameterError: an unknown profile, notebook or parameter; nothing has run then.
        VgicError: a notebook failed.
    """
    chosen, overrides, name = load_profile(profile), dict(parameters or {}), run or profile
    plan = make_plan(chosen, overrides, name, only)
    before = manifests.read_manifest(name)
    todo = [step for step in plan if step.chosen and not _is_done(step, before)]
    _say(f"run {name}: profile {profile}, {len(todo)} of {len(plan)} notebooks to run")
    if not todo and before is not None and _report_path(name).exists():
        manifest = before
    else:
        manifest = _run_steps(_start_manifest(chosen, overrides, name, plan, before), plan, todo)
    _say(f"report: {_relative(_report_path(name))}")
    _show_table(name)
    return manifest


def _run_steps(manifest: Manifest, plan: tuple[Step, ...], todo: list[Step]) -> Manifest:
    """Execute the notebooks of `todo`; the report is written in any case, also after a failure."""
    manifests.write_manifest(manifest, manifests.manifest_path(manifest.run))
    _report_path(manifest.run).unlink(missing_ok=True)  # a kill must not leave the report of another run
    try:
        for number, step in enumerate(plan, 1):
            if step in todo:
                manifest = _run_step(manifest, step, f"[{number}/{len(plan)}]")
    except VgicError:
        with suppress(VgicError):  # the failure itself is what the user has to hear of
            _publish(manifests.read_manifest(manifest.run) or manifest)
        raise
    _publish(manifest)
    return manifest


def _is_done(step: Step, manifest: Manifest | None) -> bool:
    record = {record.name: record for record in manifest.steps}.get(step.name) if manifest else None
    if (
        record is None
        or record.status != "done"
        or record.key != step.key
        or step.parameters.get("overwrite")
    ):
        return False
    return all((paths.root() / name).exists() for name in record.files)


def _start_manifest(
    profile: Profile, overrides: dict[str, Any], run: str, plan: tuple[Step, ...], before: Manifest | None
) -> Manifest:
    """Manifest of this run, with what an earlier one did under the same keys."""
    known = {(record.name, record.key): record for record in (before.steps if before else ())}
    records = [
        known.get((step.name, step.key)) or StepRecord(step.name, step.key, step.parameters) for step in plan
    ]
    seeds = {step.name: step.parameters["seed"] for step in plan if "seed" in step.parameters}
    return Manifest(
        run,
        profile.name,
        profile.description,
        overrides,
        environment.describe_environment(),
        seeds,
        tuple(records),
    )


def _run_step(manifest: Manifest, step: Step, label: str) -> Manifest:
    """Execute one notebook, with the manifest written before and after it."""
    copy = paths.run_dir(manifest.run) / "notebooks" / f"{step.name}.ipynb"
    earlier = manifest.step(step.name)
    resumed = earlier.status in ("running", "failed", "interrupted")
    record = StepRecord(
        step.name, step.key, step.parameters, "running", earlier.started if resumed else _now()
    )
    _record(manifest, record)
    _say(f"{label} {step.name}: {'resumed' if resumed else 'started'}")
    start = time.monotonic()
    status, error = "interrupted", ""
    try:
        execute(step.notebook, copy, step.parameters)
        status = "done"
    except VgicError as failure:
        status, error = "failed", str(failure)
        raise
    finally:
        time_s = round(time.monotonic() - start, 3)
        written = _written_since(manifest.run, record.started)
        record = dataclasses.replace(
            record, status=status, ended=_now(), time_s=time_s, files=written, error=error
        )
        manifest = _record(manifest, record)
        _say(f"{label} {step.name}: {status} after {time_s:.0f} s")
    return manifest


def _record(manifest: Manifest, record: StepRecord) -> Manifest:
    manifest = manifest.with_step(record)
    manifests.write_manifest(manifest, manifests.manifest_path(manifest.run))
    return manifest


def _written_since(run: str, started: str) -> tuple[str, ...]:
    since = datetime.fromisoformat(started).timestamp()
    found = [path for folder in (paths.run_dir(run), paths.results_dir(run)) for path in folder.rglob("*")]
    new = [
        path for path in found if path.is_file() and path.name not in OWN and path.stat().st_mtime >= since
    ]
    return tuple(sorted(path.relative_to(paths.root()).as_posix() for path in new))


def _publish(manifest: Manifest) -> None:
    """Write the report, and the manifest beside the tables and figures, which may be tracked."""
    write_report(manifest, paths.run_dir(manifest.run) / "notebooks", _report_path(manifest.run))
    if paths.results_dir(manifest.run).exists():
        steps = tuple(dataclasses.replace(step, files=()) for step in manifest.steps)
        manifests.write_manifest(
            dataclasses.replace(manifest, steps=steps), paths.results_dir(manifest.run) / "manifest.json"
        )


def _show_table(run: str) -> None:
    table = paths.results_dir(run) / "tables" / "results.md"
    if table.exists():
        text = table.read_text(encoding="utf-8").rstrip()
        _say(f"\n{text}\n\ntables and figures: {_relative(paths.results_dir(run))}")


def _report_path(run: str) -> Path:
    return paths.run_dir(run) / "report.html"


def _relative(path: Path) -> str:
    return path.relative_to(paths.root()).as_posix()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _say(text: str) -> None:
    print(text, flush=True)
