# SPDX-License-Identifier: MIT
"""Files to files, both ways: one picture, or all pictures below a folder.

Names in a folder depend on the file alone, never on its neighbours: a.png becomes a.png.vgic, and that
becomes a.png.png, so pictures of one stem never meet (`folders` has the rest of the rule).

Files that are already there are skipped if the same content made them with the same settings. The fraction
of a second in their date of modification tells: it is a digest of both. No list is kept beside the files; one
that was changed, copied without its date, or lies on a disk that keeps whole seconds only is not recognised,
and is then never replaced without `force`.
"""

import hashlib
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, redirect_stdout
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from vgic_lib import codec
from vgic_lib.bitstream import container
from vgic_lib.cluster import Place, each
from vgic_lib.codec import reading
from vgic_lib.codec.exact import exact_model, notes, writer_of
from vgic_lib.codec.folders import new_names
from vgic_lib.codec.memory import check_memory, is_out_of_memory
from vgic_lib.codec.saving import FORMATS, picture_bytes
from vgic_lib.errors import DataError, ImageError, ParameterError, StorageError, VgicError
from vgic_lib.files import atomic_path, files_below, is_special, read_bytes
from vgic_lib.images import endings, read_with_metadata
from vgic_lib.models.base import LatentModel
from vgic_lib.models.tunes import check_realism
from vgic_lib.progress import counted

ENDING = ".vgic"
STREAM = "-"  # standard input or output


class Made(NamedTuple):
    """Content of a new file."""

    data: bytes
    text: str  # what it is, for people to read
    note: str = ""  # what they may not expect


class Conversion(NamedTuple):
    """A way to turn one kind of file into another."""

    convert: Callable[[str, bytes, str], Made]  # name and content of a file, ending of the new one
    settings: str  # what else decides the new content
    endings: frozenset[str]  # of the files in a folder that are converted
    new_endings: tuple[str, ...]  # that new files may have; the first is that of files in a folder
    new_name: Callable[[str], str]  # of a file in a folder
    label: str  # what is being done


class Summary(NamedTuple):
    """What became of a file or folder."""

    target: str  # what was written
    text: str  # what was done, for people to read
    errors: tuple[str, ...] = ()  # one for each file of the folder that could not be converted
    count: int = 1  # files


def compression(
    model: LatentModel,
    quality: float | None = None,
    search_steps: int = 0,
    target_bytes: int | None = None,
    target_psnr: float | None = None,
    target_ssimulacra2: float | None = None,
    tune: str | None = None,
    keep_metadata: bool = False,
    max_error: int | None = None,
) -> Conversion:
    """Pictures to .vgic files; what can go wrong is in `codec.compress`, `images.read_image` and `memory`.

    Raises:
        ParameterError: options that contradict each other, an unknown tune, or a quality out of range.
    """
    targets = {
        "target_bytes": target_bytes, "target_psnr": target_psnr, "target_ssimulacra2": target_ssimulacra2
    }  # fmt: skip
    codec.check_options(quality, search_steps, **targets, tune=tune, max_error=max_error)
    options = {name: target for name, target in targets.items() if target is not None}
    by_quality = not options and max_error is None
    if max_error is not None:
        model = exact_model(model)
        options["max_error"] = max_error
    options |= {"search_steps": search_steps, "tune": tune or model.tune}
    if by_quality:
        options["quality"] = codec.DEFAULT_QUALITY if quality is None else quality
        model.setting(options["quality"])
    steps = search_steps + 1 if by_quality else None  # else: unknown before the end

    def convert(name: str, content: bytes, ending: str) -> Made:
        image, found = read_with_metadata(name, content)
        check_memory(*image.size, model, "search" if search_steps else "compress")
        with counted("latent search", steps) if search_steps else nullcontext() as report:
            kept = found._asdict() if keep_metadata else {}
            data = codec.compress(image, model=model, report=report, **kept, **options)
        pixels = image.width * image.height
        text = f"{len(data)} bytes, {8 * len(data) / pixels:.3f} bpp, {3 * pixels / len(data):.1f} : 1"
        remarks = notes(data, writer_of(data, model), target_bytes)
        if found.facts and not keep_metadata:
            remarks.append(f"without its {' and '.join(found.facts)} (--keep-metadata)")
        return Made(data, text, ", ".join(remarks))

    settings = f"{model.model_id.hex()} {options}{' with metadata' if keep_metadata else ''}"
    kinds = endings() - {ENDING}
    return Conversion(convert, settings, kinds, (ENDING,), lambda name: name + ENDING, "compress")


def decompression(max_pixels: int = container.MAX_PIXELS, realism: float = 0.0) -> Conversion:
    """Files of .vgic to pictures; what can go wrong is in `codec.decompress` and `memory`."""
    check_realism(realism)
    settings = f"realism {realism:g}" if realism else ""

    def convert(name: str, content: bytes, ending: str) -> Made:
        parts = container.unpack(content)
        reading.check_pixels(parts.header, max_pixels)
        model = reading.model_of(parts.header)
        check_memory(parts.header.width, parts.header.height, model, "decompress")
        image = reading.decode(parts, model, realism)
        return Made(picture_bytes(image, ending), f"{image.width} x {image.height} {image.mode}")

    def new_name(name: str) -> str:
        return f"{Path(name).stem}.png"

    return Conversion(convert, settings, frozenset({ENDING}), tuple(FORMATS), new_name, "decompress")


def run(
    conversion: Conversion,
    source: str | Path,
    target: str | Path,
    force: bool = False,
    at: Place | None = None,
) -> Summary:
    """Convert the file `source`, or all files below the folder `source` that are of its kind.

    In a folder, files that cannot be converted are left out and reported.

    Args:
        conversion: what to do.
        source: file or folder; STREAM for standard input.
        target: file, or folder, which exists or ends in a slash; STREAM for standard output, which then gets
            the data alone: all that is printed meanwhile goes to standard error.
        force: replace existing files.
        at: where files of a folder are converted; None is this process.

    Raises:
        VgicError: a single file cannot be converted, or a folder holds none, or there are no workers for it.
    """
    source, target = str(source), str(target)
    if not source or not target:
        raise ParameterError("a name is empty; name a file or folder")
    if source != STREAM and os.path.isdir(source):
        return _run_folder(conversion, Path(source), target, force, at)
    if at:
        raise ParameterError(f"{source} is not a folder; leave --cluster out, which is for folders")
    target = _target(conversion, source, target)
    if target != STREAM:
        made = _run_one(conversion, source, Path(target), force)
    else:
        made = _run_to_output(conversion, source, force)
    return Summary(target, ", ".join(filter(None, (made.text, made.note))))


def read_input(source: str) -> bytes:
    """Content of the file `source`, or of standard input if that is STREAM.

    Raises:
        ParameterError: the name is empty.
        StorageError: the file cannot be read.
    """
    if not source:
        raise ParameterError("a name is empty; name a file or folder")
    if source != STREAM:
        return read_bytes(source)
    if sys.stdin is None:
        raise StorageError("standard input is closed; name a file")
    return sys.stdin.buffer.read()


def _run_folder(conversion: Conversion, source: Path, target: str, force: bool, at: Place | None) -> Summary:
    if target == STREAM or (os.path.exists(target) and not os.path.isdir(target)):
        raise ParameterError(f"{source} is a folder, but {target} is not a folder; choose another output")
    names, unreadable = files_below(source, conversion.endings)
    if not names and not unreadable:
        raise DataError(f"{source} holds no file to convert; check the folder's name")
    renamed = new_names(names, conversion.new_name)
    folders = (source.absolute(), Path(target).absolute()) if at else (source, Path(target))
    work, reads = partial(_note, conversion, *folders, force), [source / name for name in names[:1]]
    with closing(each(work, list(renamed.items()), conversion.label, at, reads, folders[1])) as done:
        found = dict(zip(renamed, (result for _, result in sorted(done, key=itemgetter(0))), strict=True))
    errors = [f"{source / folder} {reason}" for folder, reason in unreadable.items()]
    for name, error in found.items():
        if isinstance(error, VgicError):
            errors.append(_naming(str(folders[0] / name), error))
    notes = Counter(note for note in found.values() if isinstance(note, str))
    told = "".join(f", {count} {note}" for note, count in notes.items() if note)
    return Summary(target, f"{notes.total()} of {len(names)} files done{told}", tuple(errors), len(names))


def _note(conversion: Conversion, source: Path, target: Path, force: bool, names: tuple[Path, Path]) -> str:
    """Convert a file of a folder; returns what people may not expect of the new one."""
    name, new_name = names
    return _run_one(conversion, str(source / name), target / new_name, force).note


def _run_one(conversion: Conversion, source: str, target: Path, force: bool) -> Made:
    """Convert one file, unless that is done already; the result of a skipped one has no data."""
    with _named(source, conversion.label):
        taken = os.path.lexists(target)
        if taken and os.path.exists(source) and os.path.exists(target) and os.path.samefile(source, target):
            raise ParameterError(f"{target} is the input itself; choose another output")
        content = read_input(source)
        stamp_ns = _stamp_ns(conversion, content, target.suffix)
        if taken and not force:
            if os.path.isfile(target) and target.stat().st_mtime_ns % 10**9 == stamp_ns:
                return Made(b"", "", "done before")
            raise StorageError(
                f"{target} exists, and not from this input with these settings; "
                "add --force to replace it, or choose another name"
            )
        made = conversion.convert(source, content, target.suffix)
        _write(target, made.data, stamp_ns)
        return made


def _run_to_output(conversion: Conversion, source: str, force: bool) -> Made:
    """Convert one file to standard output."""
    if sys.__stdout__ is None:
        raise StorageError("standard output is closed; name a file")
    if sys.stdout.isatty() and not force:
        raise ParameterError("standard output is a terminal; name a file, or add --force")
    output = sys.stdout.buffer
    with redirect_stdout(sys.stderr), _named(source, conversion.label):
        made = conversion.convert(source, read_input(source), conversion.new_endings[0])
    output.write(made.data)
    output.flush()
    return made


def _target(conversion: Conversion, source: str, target: str) -> str:
    """Name of the new file, where `target` may be a folder. Raises ParameterError."""
    if os.path.isdir(target) or target.endswith(("/", os.sep)):
        if source == STREAM:
            raise ParameterError(f"standard input has no name, so {target} must name a file, not a folder")
        (new_name,) = new_names([Path(Path(source).name)], conversion.new_name).values()
        return str(target / new_name)
    known = Path(target).suffix.lower() in conversion.new_endings
    if not known and target != STREAM and not is_special(target):
        endings = ", ".join(conversion.new_endings)
        raise ParameterError(f"{target} must end in {endings}, or in / for a folder; choose another name")
    return target


def _write(target: Path, data: bytes, stamp_ns: int) -> None:
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)
        if temporary.is_file():
            modified_ns = time.time_ns() // 10**9 * 10**9 + stamp_ns
            os.utime(temporary, ns=(modified_ns, modified_ns))


def _stamp_ns(conversion: Conversion, content: bytes, ending: str) -> int:
    """Fraction of a second that marks what is made from `content`, in steps that all common disks keep."""
    digest = hashlib.sha256(f"{conversion.label} {conversion.settings} {ending} ".encode() + content).digest()
    return int.from_bytes(digest[:8]) % 10**7 * 100


@contextmanager
def _named(source: str, label: str) -> Iterator[None]:
    """Let every error name the file that it came from."""
    name = "standard input" if source == STREAM else source
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            advice = "close other programs, run fewer threads or make the picture smaller"
            raise ImageError(f"{name}: not enough memory to {label} it; {advice}") from error
        if not isinstance(error, VgicError):
            error.add_note(f"while working on {name}")
        elif name not in str(error):
            raise type(error)(_naming(name, error)) from error
        raise


def _naming(name: str, error: VgicError) -> str:
    """What an error says, with the name of the file that it is about."""
    return str(error) if name in str(error) else f"{name}: {error}"
