"""How a figure of data flow is drawn: boxes, arrows and words, in the page's colors."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

_COLUMN, _ROW = 206, 74  # from middle to middle
_WIDTH, _HEIGHT, _LINE = 156, 34, 17  # of a box of one line, and of each further line
_LETTER = 8.0  # width of a letter, at most
_KINDS = {
    "real": ("var(--wm-real)", "1.8", ""),
    "dream": ("var(--wm-dream)", "1.8", ""),
    "net": ("var(--wm-text)", "1.8", ""),
    "data": ("var(--wm-quiet)", "1.2", ' stroke-dasharray="5 4"'),
}


@dataclass(frozen=True)
class Box:
    """A box of the figure.

    Attributes:
        x, y: its middle, in units of a column and a row.
        text: lines, parted by newlines.
        kind: ``real``, ``dream``, ``net`` (something that is trained) or ``data``.
        wide: width in units of the usual one.
    """

    x: float
    y: float
    text: str
    kind: str = "data"
    wide: float = 1.0

    @property
    def middle(self) -> tuple[float, float]:
        return 90 + _COLUMN * self.x, 40 + _ROW * self.y

    @property
    def half(self) -> tuple[float, float]:
        lines = self.text.split("\n")
        room = min(_LETTER * max(map(len, lines)) + 16, _COLUMN - 28)
        return max(_WIDTH * self.wide, room) / 2, (_HEIGHT + _LINE * (len(lines) - 1)) / 2


@dataclass(frozen=True)
class Flow:
    """A figure.

    Attributes:
        boxes: by a short name.
        arrows: from, to, and a word beside the arrow.
        alt: the figure in words.
        caption: what to look for.
    """

    boxes: dict[str, Box]
    arrows: tuple[tuple[str, str, str], ...]
    alt: str
    caption: str

    def html(self) -> str:
        right = max(box.middle[0] + box.half[0] for box in self.boxes.values()) + 12
        bottom = max(box.middle[1] + box.half[1] for box in self.boxes.values()) + 12
        left = min(box.middle[0] - box.half[0] for box in self.boxes.values()) - 12
        top = min(box.middle[1] - box.half[1] for box in self.boxes.values()) - 12
        parts = [self._arrow(*arrow) for arrow in self.arrows]
        parts += [self._box(box) for box in self.boxes.values()]
        size = f"{left:.0f} {top:.0f} {right - left:.0f} {bottom - top:.0f}"
        return (
            f'<figure class="wm-flow"><svg viewBox="{size}" role="img" '
            f'aria-label="{escape(self.alt)}" '
            f'style="min-width: {0.72 * (right - left):.0f}px; max-width: {right - left:.0f}px" '
            f'font-family="inherit" '
            f'font-size="13.5">'
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            'markerHeight="7" '
            'orient="auto-start-reverse"><path d="M0 0 8 4 0 8z" '
            'fill="var(--wm-quiet)"/></marker></defs>'
            f"{''.join(parts)}</svg><figcaption>{escape(self.caption)} Solid frames are networks, "
            f"dashed ones "
            "what flows between them; green is real, orange is dreamed.</figcaption></figure>"
        )

    def _box(self, box: Box) -> str:
        (x, y), (w, h) = box.middle, box.half
        stroke, width, dash = _KINDS[box.kind]
        lines = box.text.split("\n")
        first = y - _LINE * (len(lines) - 1) / 2 + 5
        text = "".join(
            f'<tspan x="{x:.0f}" y="{first + _LINE * i:.1f}">{escape(line)}</tspan>'
            for i, line in enumerate(lines)
        )
        weight = ' font-weight="600"' if box.kind == "net" else ""
        return (
            f'<rect x="{x - w:.0f}" y="{y - h:.0f}" width="{2 * w:.0f}" height="{2 * h:.0f}" '
            f'rx="7" '
            f'fill="var(--wm-soft)" stroke="{stroke}" stroke-width="{width}"{dash}/>'
            f'<text text-anchor="middle"{weight}>{text}</text>'
        )

    def _arrow(self, start: str, end: str, word: str) -> str:
        a, b = self.boxes[start], self.boxes[end]
        (ax, ay), (bx, by) = a.middle, b.middle
        if abs(bx - ax) - a.half[0] - b.half[0] > 4:  # from side to side
            side = 1 if bx > ax else -1
            p, q = (ax + side * a.half[0], ay), (bx - side * b.half[0], by)
            bend = (q[0] - p[0]) / 2
            points = (p, (p[0] + bend, p[1]), (q[0] - bend, q[1]), q)
            path = "M{} C{} {} {}".format(*(f"{x:.0f} {y:.0f}" for x, y in points))
        else:
            side = 1 if by > ay else -1
            p, q = (ax, ay + side * a.half[1]), (bx, by - side * b.half[1])
            path = f"M{p[0]:.0f} {p[1]:.0f}L{q[0]:.0f} {q[1]:.0f}"
        label = self._label(word, p, q)
        return (
            f'<path d="{path}" fill="none" stroke="var(--wm-quiet)" stroke-width="1.5" '
            f'marker-end="url(#tip)"/>{label}'
        )

    @staticmethod
    def _label(word: str, p: tuple[float, float], q: tuple[float, float]) -> str:
        """Words beside an arrow: right of one that goes up or down, over another, one a line."""
        if not word:
            return ""
        x, y = (p[0] + q[0]) / 2, (p[1] + q[1]) / 2
        if p[0] == q[0]:
            return f'<text x="{x + 8:.0f}" y="{y + 4:.0f}" font-size="12">{escape(word)}</text>'
        lines = word.split()
        spans = "".join(
            f'<tspan x="{x:.0f}" y="{y - 6 - 13 * (len(lines) - 1 - i):.0f}">{escape(line)}</tspan>'
            for i, line in enumerate(lines)
        )
        return f'<text text-anchor="middle" font-size="12">{spans}</text>'
