"""What the book adds to Sphinx: parts that come from installed packages, and pictures as files."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from importlib.resources import files
from pathlib import Path

from sphinx.application import Sphinx

from wmbook import films, places

_DATA = re.compile(r'src="data:image/(png|gif|webp|jpeg|svg\+xml);base64,([A-Za-z0-9+/=]+)"')


def setup(app: Sphinx) -> dict:
    app.connect("builder-inited", _parts)
    app.connect("html-page-context", _pictures)
    app.connect("autodoc-process-docstring", _plain_docstring)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _parts(app: Sphinx) -> None:
    """Films, drawings and plotly's installed script: pages load them from the site itself."""
    drawings = Path(app.outdir) / "figures"
    drawings.mkdir(parents=True, exist_ok=True)
    for path in (places.ROOT / "assets/figures").glob("chapter-*.svg"):
        shutil.copy2(path, drawings / path.name)
    shutil.copytree(films.FOLDER, Path(app.outdir) / "films", dirs_exist_ok=True)
    static = Path(app.outdir) / "_static"
    static.mkdir(parents=True, exist_ok=True)
    with files("plotly.package_data").joinpath("plotly.min.js").open("rb") as source:
        with open(static / "plotly.min.js", "wb") as target:
            shutil.copyfileobj(source, target)


def _pictures(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Pictures that stand inside a page as text become files, each once, loaded when in view."""
    if "body" not in context:
        return
    folder = Path(app.outdir) / "_images"

    def move(found: re.Match) -> str:
        kind = {"svg+xml": "svg", "jpeg": "jpg"}.get(found[1], found[1])
        data = base64.b64decode(found[2])
        path = folder / f"{hashlib.sha256(data).hexdigest()[:16]}.{kind}"
        if not path.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        root = context["content_root"] if "content_root" in context else ""
        return f'loading="lazy" src="{root}_images/{path.name}"'

    context["body"] = _DATA.sub(move, context["body"])


def _plain_docstring(app, what, name, obj, options, lines: list[str]) -> None:
    """Docstrings are written to be read as they are: bars are absolute values, indented is code."""
    if what == "module" and obj.__doc__:  # Sphinx takes the indentation of commands for the text's
        raw = obj.__doc__.splitlines()
        if all(line.startswith("    ") for line in raw[1:] if line.strip()):
            lines[1:] = ["    " + line if line.strip() else line for line in lines[1:]]
    out: list[str] = []
    before = ""  # the last line that is not empty
    for line in lines:
        starts = line.startswith("    ") and (not out or not out[-1].strip())
        if starts and before and before[0] not in " .:-*" and not before.endswith("::"):
            out += [".. code-block:: text", ""]
        if line.strip():
            before = line
        parts = re.split(r"(``.*?``)", line) if not line.startswith("    ") else [line]
        out.append("".join(p if p.startswith("``") else p.replace("|", "\\|") for p in parts))
    lines[:] = out
