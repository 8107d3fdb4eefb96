"""Figures to turn and to point at, by plotly, in the course's style and without a network.

A notebook stores such a figure as plotly's JSON, which JupyterLab draws with the extension that
plotly brings along; where nothing draws it, a still picture with alt text stands in. Below it the
same data stand as words and as a table, which opens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure as MplFigure

from wmlearn.viz.figures import Figure
from wmlearn.viz.style import DREAM, NEUTRAL, listed, style

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.axes import Axes

_MIME = "application/vnd.plotly.v1+json"
_CLEAR = "rgba(0,0,0,0)"
_DIGITS = 4  # significant ones of what is stored
_STILL_BYTES = 16_000  # of the picture that stands in


@dataclass(frozen=True)
class Line:
    """One curve, with a band where ``low`` and ``high`` are given.

    Attributes:
        values: one for each place on the horizontal axis.
        low, high: of an interval around each value.
        color: e.g. ``viz.REAL``.
        dash: "solid", "dash" or "dot".
    """

    values: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    color: str = DREAM
    dash: str = "solid"


@dataclass(frozen=True)
class Point:
    """A marked place of a surface: where, on the two axes, and in which color."""

    x: float
    y: float
    color: str = DREAM


class Interactive:
    """A plotly figure with alt text, its data as a table and a still picture of it.

    Attributes:
        figure: the ``plotly.graph_objects.Figure``, to change before it is shown.
        alt: what the figure shows, in words.
        header, rows: the table.
        still: the same as a picture, for pages that draw no plotly.
    """

    def __init__(
        self,
        figure: go.Figure,
        alt: str,
        header: Sequence[str],
        rows: Sequence[Sequence[object]],
        still: Figure,
    ) -> None:
        self.figure, self.alt, self.still = figure, alt, still
        self.header, self.rows = list(header), [list(row) for row in rows]

    def table(self) -> str:
        """Words and numbers, behind a line that opens them: HTML."""
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in self.header)
        body = "".join(
            f'<tr><th scope="row">{escape(str(first))}</th>'
            + "".join(f"<td>{escape(str(value))}</td>" for value in rest)
            + "</tr>"
            for first, *rest in self.rows
        )
        return (
            f"<details><summary>The figure in words and numbers</summary><p>{escape(self.alt)}</p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></details>"
        )

    def save(self, path: str | Path) -> Path:
        """Writes the figure: .html to turn, of its own and 5 MB, or the still picture."""
        path = Path(path)
        if path.suffix != ".html":
            return self.still.save(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.figure.write_html(path, include_plotlyjs=True)
        return path

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        drawn = self.figure.to_plotly_json()
        config = {"displaylogo": False, "responsive": True}
        return {
            _MIME: {"data": drawn["data"], "layout": drawn["layout"], "config": config},
            "text/html": self.still.html(_STILL_BYTES),
            "text/plain": self.alt,
        }

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, display

        display(self._repr_mimebundle_(), raw=True)
        display(HTML(self.table()))

    def __repr__(self) -> str:
        return self.alt


def lines(
    curves: Mapping[str, Line],
    x: Sequence[float] | None = None,
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    alt: str | None = None,
) -> Interactive:
    """Named curves with their intervals; pointing at a place reads them all there.

    Args:
        curves: name -> :class:`Line`, all of one length.
        x: of the values; default 1, 2, 3, ...
    """
    import plotly.graph_objects as go

    lengths = {len(line.values) for line in curves.values()}
    if len(lengths) != 1 or (x is not None and {len(x)} != lengths):
        raise ValueError(f"All curves must have one length, that of x; got {sorted(lengths)}.")
    places = list(range(1, lengths.pop() + 1)) if x is None else [_short(value) for value in x]
    figure = go.Figure(layout=_layout(xlabel, ylabel, title))
    for name, line in curves.items():
        if line.low is not None:
            edges = [*map(_short, line.high), *map(_short, reversed(line.low))]
            figure.add_scatter(
                x=[*places, *reversed(places)], y=edges, fill="toself", line={"width": 0},
                fillcolor=_with_alpha(line.color, 0.18), hoverinfo="skip", showlegend=False,
                legendgroup=name, mode="lines",
            )  # fmt: skip
        few = "lines+markers" if len(places) < 3 else "lines"
        figure.add_scatter(
            x=places, y=[_short(v) for v in line.values], name=name, mode=few, legendgroup=name,
            line={"color": line.color, "dash": line.dash, "width": 2},
        )  # fmt: skip
    with style():
        still = MplFigure(figsize=(6, 3))
        axes = still.subplots()
        draw_lines(axes, curves, places)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        axes.set_title(title, fontsize=9)
    if alt is None:
        ends = [
            f"{name} from {line.values[0]:.3g} to {line.values[-1]:.3g}"
            for name, line in curves.items()
        ]
        alt = f"{ylabel} over {xlabel}: {listed(ends)}."
    rows = [
        [place, *(_with_interval(line, i) for line in curves.values())]
        for i, place in enumerate(places)
    ]
    return Interactive(figure, alt, [xlabel, *curves], rows, Figure(still, alt))


def draw_lines(axes: Axes, curves: Mapping[str, Line], x: Sequence[float]) -> None:
    """The same curves on axes of matplotlib."""
    dashes = {"solid": "-", "dash": "--", "dot": ":"}
    for name, line in curves.items():
        marker = "o" if len(line.values) == 1 else None
        dash = dashes[line.dash]
        axes.plot(x, line.values, dash, color=line.color, label=name, marker=marker)
        if line.low is not None:
            axes.fill_between(x, line.low, line.high, color=line.color, alpha=0.15, linewidth=0)
    axes.legend()


def surface(
    heights: Sequence[Sequence[float]],
    x: Sequence[float],
    y: Sequence[float],
    *,
    xlabel: str,
    ylabel: str,
    zlabel: str,
    points: Mapping[str, Point] | None = None,
    alt: str,
) -> Interactive:
    """A landscape over two axes, to turn with the mouse; marked places lie on it.

    Args:
        heights: ``[len(x)][len(y)]``.
        points: name -> a place, marked by a pin that stands on the nearest grid point.
    """
    import plotly.graph_objects as go

    x, y = ([_short(value) for value in axis] for axis in (x, y))
    heights = [[_short(value) for value in row] for row in heights]
    if len(heights) != len(x) or {len(row) for row in heights} != {len(y)}:
        raise ValueError(f"heights must be [{len(x)}][{len(y)}], one for each pair of x and y.")
    points = dict(points or {})
    turned = [list(column) for column in zip(*heights, strict=True)]  # plotly's z is [y][x]
    hover = f"{xlabel} %{{x}}, {ylabel} %{{y}}: %{{z}}<extra></extra>"
    figure = go.Figure(
        go.Surface(
            x=x, y=y, z=turned, colorscale="Viridis", showscale=False, hovertemplate=hover,
            contours={"z": {"show": True, "color": NEUTRAL, "width": 1}},
        )
    )  # fmt: skip
    flat = [height for row in heights for height in row]
    pin = 0.15 * (max(flat) - min(flat))
    for name, point in points.items():
        foot = heights[_nearest(x, point.x)][_nearest(y, point.y)]
        figure.add_scatter3d(
            x=[point.x] * 2, y=[point.y] * 2, z=[foot, _short(foot + pin)], name=name,
            mode="lines+markers", line={"color": point.color, "width": 5},
            marker={"color": point.color, "size": [0, 7]}, hoverinfo="name",
        )  # fmt: skip
    axes = {"xaxis": {"title": {"text": xlabel}}, "yaxis": {"title": {"text": ylabel}}}
    figure.update_layout(
        template=template(), scene=axes | {"zaxis": {"title": {"text": zlabel}}}, height=420,
        margin={"l": 0, "r": 0, "t": 8, "b": 0}, legend={"orientation": "h"},
        scene_camera={"eye": {"x": 1.2, "y": -1.2, "z": 1.3}},
    )  # fmt: skip
    with style():
        still = MplFigure(figsize=(3.6, 3))
        plane = still.subplots()
        seen = plane.contourf(x, y, turned, levels=20, cmap="viridis")
        still.colorbar(seen, label=zlabel)
        for name, point in points.items():
            plane.plot(point.x, point.y, "o", color=point.color, mec="white", label=name)
        plane.set(xlabel=xlabel, ylabel=ylabel)
        plane.grid(False)
    rows = [[a, *row] for a, row in zip(x, heights, strict=True)]
    rows += [
        [name, f"at {xlabel} {point.x:.2f}, {ylabel} {point.y:.2f}"]
        for name, point in points.items()
    ]
    header = [f"{zlabel}; {xlabel} down, {ylabel} across", *map(str, y)]
    return Interactive(figure, alt, header, rows, Figure(still, alt))


def template() -> go.layout.Template:
    """The course's plotly template: transparent, gray text, the dream's hue first."""
    import plotly.graph_objects as go

    faint = _with_alpha(NEUTRAL, 0.25)
    flat = {"gridcolor": faint, "linecolor": NEUTRAL, "zeroline": False, "ticks": "outside"}
    flat |= {"tickcolor": NEUTRAL, "showline": True}
    deep = {"gridcolor": _with_alpha(NEUTRAL, 0.5), "linecolor": NEUTRAL, "zeroline": False}
    deep |= {"showbackground": False}
    layout = {
        "paper_bgcolor": _CLEAR,
        "plot_bgcolor": _CLEAR,
        "font": {"color": NEUTRAL, "size": 12},
        "colorway": [DREAM, NEUTRAL],
        "modebar": {"bgcolor": _CLEAR, "color": NEUTRAL, "activecolor": DREAM},
        "hoverlabel": {
            "namelength": -1,
            "bgcolor": "#2b2b2b",
            "bordercolor": NEUTRAL,
            "font": {"color": "#ffffff"},
        },
        "xaxis": flat,
        "yaxis": flat,
        "scene": {"xaxis": deep, "yaxis": deep, "zaxis": deep},
    }
    return go.layout.Template(layout=layout)


def _layout(xlabel: str, ylabel: str, title: str) -> dict[str, Any]:
    return {
        "template": template(),
        "xaxis": {"title": {"text": xlabel}},
        "yaxis": {"title": {"text": ylabel}},
        "title": {"text": title, "font": {"size": 13}, "x": 0.02},
        "hovermode": "x unified",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 1, "xanchor": "right"},
        "height": 340,
        "margin": {"l": 56, "r": 12, "t": 60, "b": 48},
    }


def _short(value: float) -> float:
    return float(f"{float(value):.{_DIGITS}g}")


def _nearest(axis: Sequence[float], value: float) -> int:
    return min(range(len(axis)), key=lambda i: abs(axis[i] - value))


def _with_alpha(color: str, alpha: float) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"


def _with_interval(line: Line, index: int) -> str:
    value = f"{_short(line.values[index]):g}"
    if line.low is None:
        return value
    return f"{value} [{_short(line.low[index]):g}, {_short(line.high[index]):g}]"
