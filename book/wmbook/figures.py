"""Figures of the book that one hovers and turns. Each has alt text and a table of its numbers.

The functions give plain plotly figures, which also show in a notebook.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

REAL, DREAM = "#1f9e77", "#d9642c"
HUES = (
    "#4a80c4",
    "#a05bb5",
    "#b8860b",
    "#c2456b",
    "#3d9aa8",
    "#8c6d5a",
    "#6b7a99",
    "#7d6be0",
    "#9c9a2f",
    "#d4729f",
)  # not real's, not dream's
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "8px,3px")


SYMBOLS = ("circle", "square", "diamond", "triangle-up", "star", "hexagon", "cross", "x")


def show(
    figure: go.Figure, alt: str, header: Sequence[str], rows: Sequence[Sequence], title: str
) -> str:
    """HTML of a figure on a page, with its alt text and, folded, its numbers.

    Args:
        figure: drawn in the page's colors by ``static/book.js``.
        alt: what one would see.
        header, rows: the table of what is drawn.
        title: the caption.
    """
    spec = figure.to_plotly_json()
    text = json.dumps({"data": spec["data"], "layout": spec["layout"]}, default=_plain)
    text = text.replace("</", "<\\/")
    head = "".join(f'<th scope="col">{escape(str(cell))}</th>' for cell in header)
    body = "".join(
        f'<tr><th scope="row">{escape(str(row[0]))}</th>'
        + "".join(f"<td>{escape(str(cell))}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<figure class="wm-plotly"><div class="wm-plot" role="img" '
        f'aria-label="{escape(alt)}"></div>'
        f'<script type="application/json">{text}</script>'
        f"<figcaption>{escape(title)}</figcaption>"
        f'<details><summary>The numbers</summary><div class="wm-scroll"><table class="table">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></details></figure>"
    )


def _plain(value):
    return value.tolist() if hasattr(value, "tolist") else str(value)


def base(height: int = 520, **layout) -> go.Figure:
    """An empty figure in the book's style: transparent, a legend below, room for its labels."""
    figure = go.Figure()
    figure.layout.template = go.layout.Template()
    figure.update_layout(
        height=height,
        margin=dict(l=60, r=20, t=20, b=150),
        legend=dict(
            orientation="h", yref="container", y=0.02, yanchor="bottom", x=0, tracegroupgap=0
        ),
        hovermode="closest",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font=dict(family="inherit", size=14),
        **layout,
    )
    return figure


def horizon_curves(worlds: Sequence[tuple[str, Sequence]], folded: Sequence[str] = ()) -> go.Figure:
    """PSNR against horizon for several worlds, each with its own copy-last-frame baseline.

    Args:
        worlds: name, and the rows of its curve: frames ahead, and the estimates of the dream and of
            the copy (``value``, ``low`` and ``high``).
        folded: names that are shown only after a click on them in the legend.
    """
    ticks = [1, 2, 4, 8, 16, 32, 64]
    figure = base(
        xaxis=dict(title="frames ahead", type="log", tickvals=ticks, ticktext=ticks),
        yaxis=dict(title="PSNR (dB)"),
    )
    for (name, curve), hue, symbol in zip(worlds, HUES * 3, SYMBOLS * 3, strict=False):
        sparse = len(curve) < curve[-1][0]  # some horizons only: marked
        for column, label, dash, width in (
            (1, name, "solid", 2.5),
            (2, f"copy: {name}", "dot", 1.5),
        ):
            values = [row[column] for row in curve]
            figure.add_scatter(
                x=[row[0] for row in curve],
                y=[v["value"] for v in values],
                customdata=[[v["low"], v["high"]] for v in values],
                mode="lines+markers" if sparse and column == 1 else "lines",
                marker=dict(size=9, symbol=symbol),
                name=label,
                legendgroup=name,
                showlegend=column == 1,
                visible="legendonly" if name in folded else True,
                line=dict(color=hue, dash=dash, width=width),
                hovertemplate="%{fullData.name}<br>%{x} ahead: %{y:.1f} dB "
                "[%{customdata[0]:.1f}, %{customdata[1]:.1f}]<extra></extra>",
            )
    return figure


def scatter(points: Sequence[dict], xaxis: str, yaxis: str, log: bool = True) -> go.Figure:
    """Points: ``x``, ``y``, ``name``, ``hover``, also ``low``, ``high`` and ``open``."""
    figure = base(xaxis=dict(title=xaxis, type="log" if log else "linear"), yaxis=dict(title=yaxis))
    for point, hue, symbol in zip(points, HUES * 3, SYMBOLS * 3, strict=False):
        symbol += "-open" * bool(point.get("open"))
        error = None
        if point.get("low") is not None:
            error = dict(
                type="data",
                symmetric=False,
                array=[point["high"] - point["y"]],
                arrayminus=[point["y"] - point["low"]],
                thickness=1,
            )
        figure.add_scatter(
            x=[point["x"]],
            y=[point["y"]],
            error_y=error,
            mode="markers",
            name=point["name"],
            marker=dict(size=14, color=hue, symbol=symbol, line=dict(width=2, color=hue)),
            hovertemplate=f"{point['hover']}<extra></extra>",
        )
    return figure


def surface(
    grid: Sequence[float],
    energy: Sequence[Sequence[float]],
    true: Sequence[float],
    true_energy: float,
    lowest: Sequence[float],
) -> go.Figure:
    """Energy over two numbers of an action, with the true action and the lowest point marked.

    Args:
        grid: values along both axes.
        energy: rows follow the first axis.
        true, true_energy: what was really done, and its energy.
        lowest: of the grid.
    """
    figure = base(height=560)
    axis = {"showspikes": False}
    figure.add_surface(
        x=grid,
        y=grid,
        z=[list(column) for column in zip(*energy, strict=True)],  # plotly's rows follow y
        colorscale="Cividis",
        reversescale=True,
        colorbar=dict(title="energy", len=0.6),
        hovertemplate="x %{x:.2f}, y %{y:.2f}<br>energy %{z:.3f}<extra></extra>",
    )
    least = min(map(min, energy))
    marks = (
        (true, true_energy, REAL, "really done", "diamond"),
        (lowest, least, DREAM, "lowest", "x"),
    )
    for place, height, color, name, symbol in marks:
        figure.add_scatter3d(
            x=[place[0]],
            y=[place[1]],
            z=[height],
            mode="markers",
            name=name,
            marker=dict(size=7, color=color, symbol=symbol),
        )
    figure.update_layout(
        scene=dict(
            xaxis=dict(title="x", **axis),
            yaxis=dict(title="y", **axis),
            zaxis=dict(title="energy", **axis),
            camera=dict(eye=dict(x=1.5, y=-1.5, z=0.9)),
        ),
        margin=dict(l=0, r=0, t=0, b=60),
    )
    return figure
