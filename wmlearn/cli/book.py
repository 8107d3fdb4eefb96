"""Build the book as a website from the stored outputs of the notebooks.

Nothing is trained or downloaded. ``--open`` serves the site on this machine and opens it.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import subprocess
import sys
import time
import webbrowser
from importlib.util import find_spec
from pathlib import Path

from wmlearn.cli.lab import repository

_NEEDED = (
    "sphinx",
    "myst_nb",
    "sphinx_book_theme",
    "sphinx_design",
    "sphinxcontrib.bibtex",
    "plotly",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, help="folder of the build; default build/book")
    parser.add_argument("--open", action="store_true", help="serve the site and open it")
    parser.add_argument("--port", type=int, default=8123, help="port of the server; default 8123")
    parser.add_argument("--fresh", action="store_true", help="ignore the cache of earlier builds")


def run(args: argparse.Namespace) -> int:
    """Builds the site and, with ``--open``, serves it until Ctrl-C.

    Raises:
        ModuleNotFoundError: the extra ``book`` is not installed.
        FileNotFoundError: the repository is not beside the package.
    """
    root = repository()
    if missing := [name for name in _NEEDED if not _is_there(name)]:
        raise ModuleNotFoundError(
            f'The book needs {", ".join(missing)}: run pip install -e ".[book]" in the repository.'
        )
    out = (args.out or root / "build/book").resolve()
    began = time.monotonic()
    words = [sys.executable, str(root / "book/make.py"), str(out), *["--fresh"] * args.fresh]
    if code := subprocess.run(words, cwd=root).returncode:
        print("The book was not built; the warnings above say what is wrong.", file=sys.stderr)
        return code
    site = out / "site"
    pages = sum(1 for _ in site.rglob("*.html"))
    print(f"{pages} pages in {time.monotonic() - began:.0f} s: {site / 'index.html'}")
    if args.open:
        serve(site, args.port)
    return 0


def serve(site: Path, port: int) -> None:
    """Serves a folder on this machine until Ctrl-C, and opens it in the browser."""
    handler = functools.partial(_Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        address = f"http://127.0.0.1:{server.server_port}/"
        print(f"{address} (Ctrl-C to stop)")
        webbrowser.open(address)
        server.serve_forever()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing about each request."""


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # of a package around it
        return False
