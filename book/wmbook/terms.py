"""Links from a chapter's words to the glossary, at the first use of each term."""

from __future__ import annotations

import re
from functools import cache

from wmbook.places import ROOT

_AMBIGUOUS = {"real", "return", "energy", "expert"}  # words of everyday sentences, too
_KEEP = re.compile(  # where no link may go: code, formulas, links, HTML, headings, tables
    r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]+\$|!?\[[^\]]*\]\([^)]*\)"
    r"|<[^>]+>|^#+ [^\n]*$|^\|[^\n]*$|\{\w+\}`[^`]*`",
    re.DOTALL | re.MULTILINE,
)


@cache
def terms() -> tuple[str, ...]:
    """The glossary's terms, the longest first."""
    text = (ROOT / "book/glossary.md").read_text(encoding="utf-8").partition("```{glossary}")[2]
    found = re.findall(r"^([^\s`].*)\n  \S", text, flags=re.MULTILINE)
    return tuple(sorted(found, key=len, reverse=True))


@cache
def _pattern(term: str) -> re.Pattern:
    exact = any(letter.isupper() for letter in term[1:])  # PSNR, not psnr
    words = r"[\s-]+".join(map(re.escape, re.split(r"[ -]", term)))
    return re.compile(rf"(?<![\w/-]){words}s?(?![\w/-])", 0 if exact else re.IGNORECASE)


def link(text: str, used: set[str]) -> str:
    """``text`` with each term that is not in ``used`` linked once; adds those that it links."""
    for term in terms():
        if term in used or term in _AMBIGUOUS:
            continue
        kept = [m.span() for m in _KEEP.finditer(text)]
        for found in _pattern(term).finditer(text):
            if not any(start < found.end() and found.start() < end for start, end in kept):
                words = " ".join(found[0].split())
                text = f"{text[: found.start()]}{{term}}`{words} <{term}>`{text[found.end() :]}"
                used.add(term)
                break
    return text
