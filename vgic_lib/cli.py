# SPDX-License-Identifier: MIT
"""The `vgic` command: reads the command line, calls the library, prints one line for each error.

Exit status: 0 done, 1 an error, 2 a wrong command line, 130 interrupted. What is slow to import is
imported by the command that needs it.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NoReturn

from vgic_lib import __version__, cluster, files, terminal
from vgic_lib.errors import BitstreamError, ModelError, PictureWarning, VgicError
from vgic_lib.formats.limits import MAX_PIXELS
from vgic_lib.models import tunes
from vgic_lib.models.tunes import USUAL_REALISM

if TYPE_CHECKING:
    from vgic_lib.codec.conversion import Conversion
    from vgic_lib.models.store import ModelCard

_SKIPPED = "interrupted; run the same command again: finished files are skipped"
NAME_WIDTH = 32  # letters of the column of names in the list of models
_REPEATED = (
    "Files that are already there are skipped if the same content made them with the same settings; "
    "others are replaced with --force only."
)


class _Parser(argparse.ArgumentParser):
    """Prints a wrong command line's error as one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"vgic: error: {message}; see '{self.prog} --help'\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments` (those of the process if None); returns the exit status."""
    terminal.mend_streams()
    options = build_parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="PIL")  # its remarks on odd metadata
            warnings.simplefilter("always", PictureWarning)
            warnings.showwarning = terminal.show_warning
            options.command(options)
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        status = terminal.complain(str(stop) or options.again, 130)
        if arguments is None and options.command in (_compress, _decompress):
            terminal.leave(status)
        return status
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        terminal.drop_output()
        return 1
    except Exception as error:
        if "debug" in options:
            raise
        terminal.drop_output()
        return terminal.complain(terminal.one_line(error), 1)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    debug = argparse.ArgumentParser(add_help=False)
    hidden = {"action": "store_true", "default": argparse.SUPPRESS}
    debug.add_argument("--debug", **hidden, help="show where an error came from")
    parser = _Parser(prog="vgic", description="Variational generative image compression.", parents=[debug])
    parser.add_argument("--version", action="version", version=f"vgic {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, command: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        child = commands.add_parser(name, help=text, description=text, parents=[debug])
        child.set_defaults(command=command, again="interrupted; run the same command again to go on")
        return child

    compress = add("compress", _compress, "compress a photograph, or a folder of them, to .vgic")
    compress.epilog = f"In a folder, a.png becomes a.png.vgic. {_REPEATED}"
    _add_paths(compress)
    _add_compress_options(compress)
    decompress = add("decompress", _decompress, "turn a .vgic file, or a folder of them, into pictures")
    decompress.epilog = f"In a folder, a.png.vgic becomes a.png.png, and a.vgic a.png. {_REPEATED}"
    _add_paths(decompress)
    _add_decompress_options(decompress)
    info = add("info", _info, "show what is in a .vgic file, or what a model is")
    subject = info.add_mutually_exclusive_group(required=True)
    subject.add_argument("input", metavar="FILE", nargs="?", help=".vgic file; - for standard input")
    subject.add_argument("--model", metavar="NAME", help="name or weights file of a model")
    add("models", _models, "list the models that are installed")
    _add_train_options(add("train", _train, "train a model; an interrupted run goes on"))
    _add_run_options(add("run", _run, "run the notebooks; finished ones are skipped"))
    return parser


def _add_paths(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="IN", help="file or folder; - for standard input")
    parser.add_argument(
        "output", metavar="OUT", help="file, or folder (exists, or ends in /); - for standard output"
    )
    parser.add_argument("--force", action="store_true", help="replace existing files")
    _add_cluster_options(parser, "convert the files of a folder")


def _add_cluster_options(parser: argparse.ArgumentParser, what: str) -> None:
    text = f"{what} on several processes: local, or the address of a Dask scheduler"
    parser.add_argument("--cluster", metavar="WHERE", help=text)
    parser.add_argument("--workers", type=int, metavar="N", help="with --cluster: at least so many")


def _add_compress_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="NAME", help="name or weights file; 'vgic models' lists them")
    rate = parser.add_mutually_exclusive_group()
    rate.add_argument("--quality", type=float, metavar="Q", help="1 to 100 (default: 50)")
    rate.add_argument("--target-bytes", type=int, metavar="B", help="largest size of a file, in bytes")
    rate.add_argument("--target-psnr", type=float, metavar="P", help="smallest PSNR of a picture, in dB")
    rate.add_argument("--target-ssimulacra2", type=float, metavar="S", help="smallest score; 70 is good")
    rate.add_argument("--max-error", type=int, metavar="E", help="largest error of any value, 0 to 64 levels")
    exactly = {"dest": "max_error", "action": "store_const", "const": 0}
    rate.add_argument("--lossless", **exactly, help="exact pixels, as --max-error 0")
    known = f"{' or '.join(tunes.TUNED_MODELS)} (default: {tunes.DEFAULT_TUNE})"
    steps = {"type": int, "default": 0, "metavar": "N"}
    parser.add_argument("--search-steps", **steps, help="steps of latent search (default: 0)")
    parser.add_argument("--tune", metavar="T", help=f"what pictures are to be near in: {known}")
    parser.add_argument("--keep-metadata", action="store_true", help="keep EXIF and XMP in the file")


def _add_decompress_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--realism", type=float, nargs="?", const=USUAL_REALISM, default=0.0, metavar="R",
        help=f"0 (default) to 1; alone {USUAL_REALISM:g}: texture that is invented in part, not to measure",
    )  # fmt: skip
    limit = {"type": int, "default": MAX_PIXELS, "metavar": "N"}
    parser.add_argument("--max-pixels", **limit, help="refuse larger ones (default: 67 million)")


def _add_train_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="vaegan", help="vaegan (default), hyperprior, head or lossless")
    parser.add_argument("--preset", metavar="NAME", help="settings to start from (default: by model, device)")
    parser.add_argument(
        "--num-channels", metavar="N", help="latent channels, such as 8, or 2,4,8 with --nested"
    )
    parser.add_argument("--nested", action="store_true", help="one network for all channel counts")
    parser.add_argument("--config", metavar="FILE", help="YAML file of settings")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="one setting; may be repeated"
    )
    parser.add_argument("--dataset", default="embedded", help="photographs to train on (default: embedded)")
    parser.add_argument("--folder", default="", help="where they are, with --dataset folder")
    parser.add_argument(
        "--validation-folder", metavar="DIR", help="photographs to validate on; all others train"
    )
    parser.add_argument("--run", "--run-name", required=True, metavar="NAME", help="name of the run")


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", required=True, metavar="NAME", help="smoke, default or paper")
    parser.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
        help="a notebook parameter; may be repeated",
    )  # fmt: skip
    parser.add_argument("--run", metavar="NAME", help="name of the run (default: the profile's)")
    parser.add_argument("--only", nargs="+", default=[], metavar="NUMBER", help="only these notebooks")
    parser.add_argument(
        "--sweep", action="append", default=[], metavar="NAME=VALUE,VALUE",
        help="a run for each value of a notebook parameter, each combination if repeated, and one table",
    )  # fmt: skip
    _add_cluster_options(parser, "do the runs of a sweep, or else measure files,")


def _compress(options: argparse.Namespace) -> None:
    options.again = f"{_SKIPPED}, the one at work starts again" + " with its search" * bool(
        options.search_steps
    )
    with _prompt_interrupt(options):
        from vgic_lib.codec import conversion
        from vgic_lib.models import store

        model = store.load_model(options.model or tunes.default_model(options.tune or tunes.DEFAULT_TUNE))
        targets = options.target_bytes, options.target_psnr, options.target_ssimulacra2
        rate = options.quality, options.search_steps, *targets, options.tune
        _convert(options, conversion.compression(model, *rate, options.keep_metadata, options.max_error))


def _decompress(options: argparse.Namespace) -> None:
    options.again = _SKIPPED
    with _prompt_interrupt(options):
        from vgic_lib.codec import conversion

        _convert(options, conversion.decompression(options.max_pixels, options.realism))


def _prompt_interrupt(options: argparse.Namespace) -> AbstractContextManager[None]:
    grace_s = cluster.CLOSE_S if options.cluster else terminal.GRACE_S  # workers take a moment to end
    return terminal.prompt_interrupt(lambda: terminal.complain(options.again, 130), grace_s)


def _convert(options: argparse.Namespace, chosen: "Conversion") -> None:
    from vgic_lib.codec import conversion

    at = cluster.place(options.cluster, options.workers)
    summary = conversion.run(chosen, options.input, options.output, options.force, at)
    data_alone = summary.target == conversion.STREAM or files.is_special(summary.target)
    print(
        f"{options.input} -> {summary.target}: {summary.text}", file=sys.stderr if data_alone else sys.stdout
    )
    _list_errors(summary.errors, summary.count, "files")


def _list_errors(errors: Sequence[str], count: int, things: str) -> None:
    for error in errors:
        terminal.complain(error, 1)
    if errors:
        raise VgicError(f"{len(errors)} of {count} {things} failed; they are listed above")


def _info(options: argparse.Namespace) -> None:
    from dataclasses import asdict

    if options.model is not None:
        from vgic_lib.models import complexity, store

        facts = complexity.describe(store.load_model(options.model))
    else:
        from vgic_lib import codec
        from vgic_lib.codec.conversion import read_input

        try:
            facts = codec.info(read_input(options.input))
        except BitstreamError as error:
            raise BitstreamError(f"{options.input}: {error}") from error
    for name, value in asdict(facts).items():
        print(f"{name.replace('_', ' '):<18} {f'{value:.4g}' if isinstance(value, float) else value}")


def _models(options: argparse.Namespace) -> None:
    from vgic_lib.models import store

    cards = store.list_models()
    if not cards:
        raise ModelError("no model is installed; train one with 'vgic train'")
    weights: dict[bytes, list[store.ModelCard]] = {}
    for card in cards:
        same = weights.setdefault(card.model_id, [])
        if not same or same[0].path == card.path:  # a copy elsewhere is the same model
            same.append(card)
    for same in weights.values():
        card = same[0]
        facts = f"{card.model_id.hex()}  {card.parameters:>9,} parameters  {card.description}"
        print(f"{_model_names(same):<{NAME_WIDTH}}  {facts}")


def _model_names(cards: Sequence["ModelCard"]) -> str:
    """Names that `--model` takes, the first whole, of the others what differs; paths are relative."""
    from vgic_lib import paths

    first, *others = (card.name.removeprefix(f"{paths.root()}{os.sep}") for card in cards)
    ends = (name[max(name.rfind("-"), name.rfind(":")) :] for name in others)
    return ", ".join([first, *ends])


def _train(options: argparse.Namespace) -> None:
    from vgic_lib.datasets.photographs import prepare, with_validation
    from vgic_lib.training import processes, settings
    from vgic_lib.training.run import train_model

    base = settings.starting_point(options.model, options.preset, options.nested)
    values = {"model": options.model} | settings.read_settings(options.config, options.set)
    if options.num_channels:
        values["num_channels"] = options.num_channels
    config = settings.load_config(type(base), values, base)
    with processes.joined():
        with processes.first_alone():
            photographs = prepare(options.dataset, folder=options.folder).photographs
        if options.validation_folder:
            photographs = with_validation(photographs, options.validation_folder)
        weights = train_model(config, options.run, photographs)
        if processes.is_first():
            print(f"weights: {weights}")


def _run(options: argparse.Namespace) -> None:
    from vgic_lib.workbook import pipeline, sweep

    given, at = dict(options.parameter), cluster.place(options.cluster, options.workers)
    if options.sweep:
        axes = [
            (name, values.split(",")) for name, _, values in (word.partition("=") for word in options.sweep)
        ]
        swept = sweep.sweep(options.profile, axes, given, options.run, options.only, at)
        _list_errors(swept.errors, swept.count, "runs")
        return
    if at:
        given |= {"cluster": at.where, "workers": at.workers or 0}
    pipeline.run(options.profile, given, options.run, options.only)
