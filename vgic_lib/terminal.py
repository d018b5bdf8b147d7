# SPDX-License-Identifier: MIT
"""Standard streams, Ctrl-C, errors and warnings, as a command needs them."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from vgic_lib import files
from vgic_lib.errors import VgicError

GRACE_S = 0.5  # after Ctrl-C, for an orderly end


def mend_streams() -> None:
    """Let nothing that is printed fail: for want of a stream, or of a letter in its encoding."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def drop_output() -> None:
    """Forget what a closed or full standard output does not take, or Python complains at its end."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        return
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def leave(status: int) -> NoReturn:
    """End the process without the second that large libraries take for it."""
    drop_output()
    os._exit(status)


@contextmanager
def prompt_interrupt(say: Callable[[], int], grace_s: float = GRACE_S) -> Iterator[None]:
    """Let Ctrl-C end the process within a second, even in the middle of a long native call.

    Python raises KeyboardInterrupt only between its own instructions; if that takes longer than `grace_s`, a
    thread removes what is half-written and ends the process with the status that `say` returns.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    over = threading.Event()

    def watch() -> None:
        while (number := os.read(reader, 1)) and number[0] != signal.SIGINT:
            pass
        if number and not over.wait(grace_s):
            files.discard_unfinished()
            os._exit(say())
        os.close(reader)

    earlier = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(earlier)
        over.set()
        os.close(writer)


def one_line(error: Exception) -> str:
    """What an error tells a user."""
    text = " ".join(str(error).split())
    if isinstance(error, VgicError):
        return text
    if isinstance(error, OSError):
        where = error.filename or "the output"
        return f"cannot use {where}: {error.strerror}; check its name, permissions and the free space"
    if isinstance(error, MemoryError) or "failed to map segment" in text:  # the latter: of a library
        return "not enough memory; try a smaller picture"
    where = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    return f"unexpected {type(error).__name__}: {text}{where}; add --debug to see where it came from"


def show_warning(message: Warning | str, *_: object) -> None:
    """Print a warning; in the shape of `warnings.showwarning`."""
    print(f"vgic: warning: {' '.join(str(message).split())}", file=sys.stderr)


def complain(message: str, status: int) -> int:
    """Print an error; returns the exit status."""
    print(f"vgic: error: {message}", file=sys.stderr)
    return status
