"""The ``wmlearn`` command. Each subcommand lives beside the code that it runs and is imported
only when it is asked for, so that ``wmlearn --help`` answers at once.

A module becomes a subcommand by a line in ``COMMANDS`` and either
``add_arguments(parser)`` with ``run(args) -> int | None``, or ``main(argv) -> int | None``.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import wmlearn
from wmlearn.spelling import Parser

COMMANDS = {
    "lab": ("open JupyterLab on chapter 0", "wmlearn.cli.lab"),
    "record": ("record episodes of an environment, or a video", "wmlearn.data.record"),
    "fit": ("train a world model", "wmlearn.train.command"),
    "evaluate": ("evaluate a world model beside copying the last frame", "wmlearn.evaluation"),
    "teach": ("hand out exercises and grade them", "wmlearn.grading.__main__"),
    "convert": ("make a checkpoint of weights that authors published", "wmlearn.cli.convert"),
    "book": ("build the book as a website", "wmlearn.cli.book"),
    "list": ("list available environments, systems and checkpoints", "wmlearn.cli.inventory"),
}

_PACKAGE = Path(wmlearn.__file__).parent
_INTERRUPTED = 130  # what a shell reports after Ctrl-C


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``wmlearn COMMAND ...`` and returns the exit code: 0, 2 for a user's error, 130.

    Args:
        argv: the words after ``wmlearn``; those of this process by default.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = _top_parser()
    if not argv:
        parser.print_help()
        return 0
    command = parser.parse_args(argv[:1]).command
    if command != "lab":  # whose other words are JupyterLab's
        argv = [_underscored(word) for word in argv]
    if os.getcwd() not in sys.path:  # one's own modules, as with `python -m wmlearn`
        sys.path.append(os.getcwd())
    try:
        return _run(command, import_module(COMMANDS[command][1]), argv[1:]) or 0
    except KeyboardInterrupt as error:
        print(f"\n{str(error).capitalize() or 'Stopped'}.", file=sys.stderr)
        return _INTERRUPTED
    except Exception as error:
        if os.environ.get("WMLEARN_TRACEBACK") or not _is_for_the_user(error):
            raise
        print(f"wmlearn {command}: {_sentence(error)}", file=sys.stderr)
        return 2


def _underscored(word: str) -> str:
    """``--max-steps=3`` is understood as ``--max_steps=3``, which is how options are called."""
    name, equals, value = word.partition("=")
    if not name.startswith("--"):
        return word
    return "--" + name[2:].replace("-", "_") + equals + value


def _run(command: str, module: ModuleType, argv: list[str]) -> int | None:
    if not hasattr(module, "add_arguments"):
        return module.main(argv)
    parser = Parser(
        prog=f"wmlearn {command}",
        description=_first_paragraph(module),
    )
    module.add_arguments(parser)
    return module.run(parser.parse_args(argv))


def _top_parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (text, _) in COMMANDS.items()]
    parser = Parser(
        prog="wmlearn",
        usage="wmlearn COMMAND [options]    (wmlearn COMMAND --help explains one)",
        description="World models: record an environment, learn it, play the dream, evaluate it.",
        epilog="\n".join(["commands:", *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"wmlearn {wmlearn.__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    return parser


def _is_for_the_user(error: Exception) -> bool:
    """Our own sentences and the operating system's; anything else is a bug and keeps its trace."""
    if isinstance(error, OSError | ModuleNotFoundError):
        return True
    raised_in = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    return isinstance(error, ValueError | LookupError | ImportError) and (
        raised_in.is_relative_to(_PACKAGE)
    )


def _sentence(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        if not error.name.startswith("wmlearn"):
            return f'this needs `{error.name}`: install it with pip install -e ".[course]".'
    # str(KeyError("text")) has quotes around the text
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)


def _first_paragraph(module: ModuleType) -> str:
    return " ".join((module.__doc__ or "").split("\n\n")[0].split()).replace("``", "")
