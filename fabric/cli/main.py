"""The command line has arguments in and text out, and is the only place that prints and exits.

Exit codes: 0 done, 1 the world said no, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NoReturn

import typer

import fabric
from fabric.cli import commands
from fabric.errors import BadInput, FabricError, refusal_in

app = typer.Typer(
    name="fabric",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _tell_version(asked: bool) -> None:
    if asked:
        print(f"fabric {fabric.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """A Kubernetes pod network, whole, on one Linux machine: real packets, real daemons, real kubectl."""


def main() -> NoReturn:
    """Run one command and exit with its code."""
    _open_standard_files()
    # Where it is ignored, Linux reaps children itself, and nobody learns how they ended.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    gc.disable()  # of what imports make, nothing is garbage
    commands.register(app, sys.argv[1:])
    gc.freeze()
    gc.enable()
    try:
        with _interruptible():
            app(prog_name="fabric")
    except BadInput as error:
        _fail(2, *(f"error: {problem}" for problem in error.problems))
    except FabricError as error:
        _fail(1, f"error: {error}")
    except KeyboardInterrupt:
        _fail(130, "interrupted")
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        if (refusal := refusal_in(error)) is None:
            raise
        _fail(1, f"error: {refusal}")
    sys.exit(0)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Make Ctrl-C a KeyboardInterrupt in the body; before and after it, it ends the process in silence."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_DFL:  # ignored, as in the background of a script
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _open_standard_files() -> None:
    """Open /dev/null where the caller closed 0, 1 or 2; else the next file to be opened would stand there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115


def _fail(code: int, *lines: str) -> NoReturn:
    for line in lines:
        print(line, file=sys.stderr)
    sys.exit(code)
