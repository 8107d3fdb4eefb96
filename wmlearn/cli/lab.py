"""``wmlearn lab``: JupyterLab, opened on chapter 0.

Every further argument goes to JupyterLab, for example ``--no-browser`` or ``--port 9999``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

FIRST_CHAPTER = "notebooks/00_start_here.ipynb"


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


def command(argv: Sequence[str], root: Path) -> list[str]:
    """The command line that opens chapter 0 with this very Python; ``argv`` comes last and wins."""
    return [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={root}",
        f"--LabApp.default_url=/lab/tree/{FIRST_CHAPTER}",
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
        description="Open JupyterLab on chapter 0.",
        epilog="Every other argument goes to JupyterLab, for example --no-browser or --port 9999.",
    )
    _, for_jupyter = parser.parse_known_args(argv)
    root = repository()
    if find_spec("jupyterlab") is None:
        raise ModuleNotFoundError(
            'JupyterLab is not installed: run pip install -e ".[course]" in the repository.'
        )
    process = subprocess.Popen(command(for_jupyter, root), cwd=root)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # JupyterLab got it too, and asks whether to stop
            continue
