"""Lays out the book's pages in a folder and lets Sphinx build the site from them.

    python book/make.py build/book

``wmlearn book`` does the same, and serves the site. No notebook is run: chapters show the outputs
that are stored in them, and tables and figures come from the cards.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

BOOK = Path(__file__).resolve().parent
sys.path[:0] = [str(BOOK), str(BOOK.parent)]


def build(out: Path, jobs: int = 2, fresh: bool = False) -> int:
    """Builds the site in ``out/site`` and returns Sphinx's exit code; a warning is an error.

    Args:
        out: a folder of the build's own; ``out/pages`` gets the pages, ``out/site`` the site.
        jobs: processes that read and write pages.
        fresh: whether to forget what an earlier build has read.
    """
    from sphinx.cmd.build import build_main
    from wmbook.stage import stage

    if fresh:
        shutil.rmtree(out, ignore_errors=True)
    stage(out / "pages")
    words = ["-b", "html", "-c", str(BOOK), "-d", str(out / "cache"), "-j", str(jobs)]
    words += ["-W", "--keep-going", "-q", str(out / "pages"), str(out / "site")]
    return build_main(words)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path, nargs="?", default=BOOK.parent / "build/book")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--fresh", action="store_true", help="forget what an earlier build has read"
    )
    args = parser.parse_args(argv)
    began = time.monotonic()
    code = build(args.out, args.jobs, args.fresh)
    if code == 0:
        print(f"{args.out / 'site' / 'index.html'} in {time.monotonic() - began:.0f} s")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
