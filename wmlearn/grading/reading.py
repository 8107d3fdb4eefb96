"""Reading what a stranger wrote: text is data, and no text takes longer than its length deserves.

Every pass here is linear in the size of the file. Whatever a notebook holds (half a surrogate
pair, CRLF, a byte order mark, control characters), what comes out can be written as UTF-8.
"""

from __future__ import annotations

import re
from pathlib import Path

from wmlearn.grading.releasing import parse_notebook

MOST_BYTES = 20 * 2**20
MOST_CELLS = 2000
_SEARCHED = 200_000  # characters of a cell that are searched for unusual words
_WORDS = {  # words that have no business in an answer: a person should look
    r"\b_?(getframe|f_back|f_globals|f_locals|current_frames)\b": "looks into the frames of Python",
    r"\bgc\.|get_objects|get_referrers": "searches the memory of the process",
    r"\bctypes\b": "reaches into memory with ctypes",
    r"\b(subprocess|fork|popen|system)\s*+\(|\bsubprocess\b": "starts processes",
    r"\b(socket|urllib|requests|http\.client)\b": "uses the network",
    r"\b(_exit|SIGKILL)\b": "ends the process",
    r"\b(rmtree|unlink|rmdir)\b|\bos\.remove\b": "deletes files",
    r"\b(pickle|marshal)\b": "unpickles",
    r"\bwmlearn\.(teach\.\w|chapters|grading)": "reaches for the checks",
    r"\bsys\.modules\b|__code__|\bbuiltins\b": "reaches into Python itself",
    r"\bsetattr\(\s*+torch": "overwrites parts of torch",
    r"\bwmlearn\.(systems|agents|nn)\b": "uses the library's own version",
}
_UNUSUAL = {re.compile(pattern): why for pattern, why in _WORDS.items()}
_ASSIGNED = re.compile(r"(?<![\w.])[\w.]++[ \t]*+=(?!=)")
"""A dotted name before "=". Possessive, and only from a name's first letter: linear."""
_TORCH = "overwrites parts of torch"
_MARKUP = re.compile(
    r"<(?=[A-Za-z/!?])|&(?=[#A-Za-z])|(javascript|vbscript|data)(?=[\\\s]*+:)", re.I
)
"""What begins a tag or an entity, and the name of a scheme that runs or shows what is in a link."""
_SURROGATES = re.compile("[\ud800-\udfff]")


def read_submission(path: str | Path) -> dict:
    """A submitted notebook, forgiving where that is harmless.

    Raises:
        ValueError: if it is no notebook, a link, larger than 20 MB or of more than 2,000 cells;
            one sentence for the log.
    """
    path = Path(path)
    try:
        if path.is_symlink() or not path.is_file():
            raise ValueError(f"{path} is a link or no file: it was not opened.")
        with open(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be opened ({error.strerror}).") from None
    if len(content) > MOST_BYTES:
        raise ValueError(f"{path} is larger than 20 MB: ask for it again without its outputs.")
    return parse_submission(content, str(path))


def parse_submission(content: bytes, name: str) -> dict:
    """The same, of the file's bytes."""
    notebook = parse_notebook(content, name)
    if len(notebook["cells"]) > MOST_CELLS:
        raise ValueError(f"{name} has more than {MOST_CELLS:,} cells: it was not read.")
    for cell in notebook["cells"]:
        cell["source"] = clean(cell["source"])
        cell["cell_type"] = clean(cell["cell_type"])
    return notebook


def clean(text: str) -> str:
    """The text with Python's line ends, and "\N{REPLACEMENT CHARACTER}" for half a surrogate pair.

    NUL, which no source can hold, goes too.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    return _SURROGATES.sub("\ufffd", text)


def harmless(text: str) -> str:
    """A student's Markdown without HTML and without links that run something.

    What was HTML is shown as text; formulas and Markdown's own marks stay what they are.
    """
    return _MARKUP.sub(lambda match: match[0] + "\u200b", text)  # a space without a width


def unusual(text: str) -> list[str]:
    """What in a cell's code a person should look at, in words."""
    part = text[:_SEARCHED]
    found = [why for pattern, why in _UNUSUAL.items() if pattern.search(part)]
    if any(match[0].startswith("torch.") for match in _ASSIGNED.finditer(part)):
        found.append(_TORCH)
    if len(text) > _SEARCHED:
        found.append(
            f"is {len(text):,} characters long; only the first {_SEARCHED:,} were searched"
        )
    return list(dict.fromkeys(found))
