"""Links of the repository's Markdown, turned into links of the book."""

from __future__ import annotations

import os
import re
from pathlib import PurePosixPath

from wmbook.places import ROOT, address, place

_CODE = re.compile(
    r"(^ {0,3}(`{3,}|~{3,}).*?^ {0,3}\2[ \t]*$|(`+)(?!`).+?(?<!`)\3(?!`))", re.M | re.S
)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^)\s]+)((?:\s+\"[^\"]*\")?)\)")


def rewrite(text: str, source: str, target: str) -> str:
    """Markdown of the repository's file ``source`` as it stands in the book's file ``target``.

    A link to a file that is a page of the book goes there; to another file of the repository, to
    the repository's address where that is known, and else only its words are left. Code is kept.
    """
    code = _Kept(text)
    return code.restore(_LINK.sub(lambda found: _link(found, source, target), code.text))


def _link(found: re.Match, source: str, target: str) -> str:
    picture, words, link, title = found.groups()
    path, hash_, anchor = link.partition("#")
    if not path or "://" in link or link.startswith("mailto:"):
        return found[0]
    path = os.path.normpath(PurePosixPath(source).parent / path).replace(os.sep, "/")
    page = place(path)
    if page is None and not (ROOT / path).exists():
        return found[0]  # Sphinx says that it is missing
    if page is None and not address():
        return words
    if page is None:
        return f"[{words}]({address()}/blob/main/{path}{hash_}{anchor})"
    relative = os.path.relpath(page, PurePosixPath(target).parent).replace(os.sep, "/")
    return f"{picture}[{words}]({relative}{hash_}{anchor}{title})"


class _Kept:
    """Text with its fenced and inline code replaced by marks."""

    def __init__(self, text: str) -> None:
        self.kept: list[str] = []
        self.text = _CODE.sub(self._keep, text)

    def _keep(self, found: re.Match) -> str:
        self.kept.append(found[0])
        return f"\x00{len(self.kept) - 1}\x00"

    def restore(self, text: str) -> str:
        return re.sub(r"\x00(\d+)\x00", lambda mark: self.kept[int(mark[1])], text)
