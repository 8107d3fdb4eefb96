"""``wmlearn lab``: JupyterLab, opened on chapter 0, in the reader's own copies of the notebooks.

The copies lie in ``my-notebooks``, beside the course's; ``--fresh NAME`` starts one anew and keeps
what was there. Every further argument goes to JupyterLab, for example ``--no-browser``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from wmlearn.cli.copies import FOLDER, copy_notebooks

FIRST_CHAPTER = "notebooks/00_start_here.ipynb"
FIRST_COPY = "00_start_here.ipynb"


def repository() -> Path:
    """The folder that holds the package and ``notebooks/``.

    Raises:
        FileNotFoundError: the notebooks are not beside the package.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / FIRST_CHAPTER).is_file():
        raise FileNotFoundError(
            f"The notebooks are not beside the package ({root / FIRST_CHAPTER} is missing): get "
            'the whole repository and install it in place with pip install -e ".[course]".'
        )
    return root


def readers_folder(root: Path, asked: Path | None = None) -> Path:
    """Where the reader's copies are: as asked, else beside the course's, else in the home folder.

    The last is for a course that lies where the reader may not write.
    """
    if asked is not None:
        return asked.resolve()
    return root / FOLDER if os.access(root, os.W_OK) else Path.home() / f"wmlearn-{FOLDER}"


def command(argv: Sequence[str], root: Path, mine: Path | None = None) -> list[str]:
    """The command line that opens chapter 0 with this very Python; ``argv`` comes last and wins.

    Args:
        argv: for JupyterLab.
        root: the repository.
        mine: the reader's folder; JupyterLab shows the repository where that holds it.
    """
    mine = root / FOLDER if mine is None else mine
    top = root if mine.is_relative_to(root) else mine
    first = (mine / FIRST_COPY).relative_to(top).as_posix()
    return [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={top}",
        f"--LabApp.default_url=/lab/tree/{first}",
        *(["--allow-root"] if _is_root() else []),  # in a container one often is
        *argv,
    ]


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def main(argv: Sequence[str]) -> int:
    """Runs JupyterLab until it ends and returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="wmlearn lab",
        allow_abbrev=False,
        description="Open JupyterLab on chapter 0, in your own copies of the notebooks.",
        epilog="Every other argument goes to JupyterLab, for example --no-browser or --port 9999.",
    )
    parser.add_argument(
        "--fresh",
        nargs="*",
        metavar="NAME",
        help="start these notebooks anew, e.g. 00_start_here, or all; yours are kept in before/",
    )
    parser.add_argument(
        "--folder", type=Path, help=f"where your copies are; default: {FOLDER}, beside the course's"
    )
    args, for_jupyter = parser.parse_known_args(argv)
    root = repository()
    if find_spec("jupyterlab") is None:
        raise ModuleNotFoundError(
            'JupyterLab is not installed: run pip install -e ".[course]" in the repository.'
        )
    mine = readers_folder(root, args.folder)
    for sentence in copy_notebooks(root / "notebooks", mine, args.fresh):
        print(sentence)
    print(f"Your notebooks are in {mine}; the course's own stay as they are.", flush=True)
    process = subprocess.Popen(command(for_jupyter, root, mine), cwd=mine)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # JupyterLab got it too, and asks whether to stop
            continue
