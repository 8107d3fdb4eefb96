"""Films of the worlds, where a page cannot run one."""

from __future__ import annotations

import json
from html import escape

from wmbook.places import ROOT

FOLDER = ROOT / "assets/films"


def find(world: str) -> dict | None:
    """What is known of the film of a world (``title``, ``alt``, ``made_by``); None without one."""
    path = FOLDER / f"{world}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def html(world: str, root: str = "") -> str:
    """The film as HTML with controls; ``root`` leads from the page to the site's root."""
    film = find(world)
    if film is None:
        raise ValueError(f"There is no film of {world}: python tools/make_films.py {world}")
    return (
        f'<figure class="wm-film"><video controls loop muted playsinline preload="metadata" '
        f'width="{film["width"]}" height="{film["height"]}" '
        f'poster="{root}films/{world}.png" aria-label="{escape(film["alt"])}">'
        f'<source src="{root}films/{world}.mp4" type="video/mp4"></video>'
        f"<figcaption>{film['caption']}</figcaption></figure>"
    )


def note(text: str) -> str:
    return f'<p class="wm-note">{escape(text)}</p>'
