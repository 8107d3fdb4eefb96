"""The figures of the results: PSNR by horizon, and what error is left against the time spent."""

from __future__ import annotations

import json

from wmbook import cards, figures, films, results
from wmbook import rows as wmrows
from wmbook.cards import estimate
from wmbook.places import ROOT

_DASH = "–"
FIGURES = ROOT / "assets/figures"


def horizon_figure() -> str:
    """Curves of PSNR over the horizon for every world that draws frames."""
    worlds, rows = [(name, cards.curve(name)) for name in cards.evaluations()], []
    for name, curve in worlds:
        for steps, dream, copy, other in curve:
            if steps in (1, 2, 4, 8, 16, 32, 64):
                others = _DASH if other is None else estimate(other, "dB")
                rows.append((name, steps, estimate(dream, "dB"), estimate(copy, "dB"), others))
    says = "; ".join(
        f"{name}: {curve[-1][1]['value']:.1f} dB after {curve[-1][0]} frames, copying "
        f"{curve[-1][2]['value']:.1f}"
        for name, curve in worlds
    )
    header = ("World", "Frames ahead", "Dream", "Copy of the last frame", "Other actions")
    alt = f"PSNR falls with the horizon. {says}."
    title = "PSNR against horizon: solid the dream, dotted a copy of the last frame. "
    title += "Hover for the values; click a name to hide it, a pale one to show it."
    twins = [name for name, _ in worlds if films.find(name) is None]
    return figures.show(figures.horizon_curves(worlds, twins), alt, header, rows, title)


def _error_left(name: str) -> tuple[float, float | None, float | None, str] | None:
    """Error of the dream in units of a copy's, at most 8 steps ahead: value, bounds, unit."""
    rows = [row for row in cards.horizons(name) if row["horizon"] <= 8]
    if rows:
        gain = rows[-1]["psnr_gain"]
        left = {key: 10 ** (-bound / 10) for key, bound in gain.items() if key != "n"}
        return left["value"], left.get("high"), left.get("low"), "squared error of pixels"
    metrics = cards.card(name).get("metrics", {}) if name in cards.names() else {}
    if "l1_8" in metrics:
        return metrics["l1_8"][0] / metrics["l1_8_copy"][0], None, None, "L1 of features"
    for row in wmrows.of(name) if name in cards.names() else ():
        if row.get("part") == "fidelity" and row["others"]:
            own, copy = row["own"].value, row["others"][0][1].value
            if row["own"].unit == "dB":
                return 10 ** ((copy - own) / 10), None, None, "squared error of pixels"
            return own / copy, None, None, row["what"]
    return None


def comparison_figure() -> str:
    """Error left, in units of a copy's, against minutes of training."""
    points, rows = [], []
    everything = [*cards.names(), *(n for n in cards.evaluations() if n not in cards.names())]
    for name in everything:
        found, minutes = _error_left(name), cards.minutes(name)
        if found and minutes:
            (value, low, high, unit), device = found, cards.device(name)
            hover = f"{name}<br>{value:.2f} of a copy's {unit}<br>{minutes:g} minutes, {device}"
            points.append(
                dict(x=minutes, y=value, low=low, high=high, name=name, hover=hover)
                | dict(open=device != "CPU")
            )
            bounds = f" [{low:.2f}, {high:.2f}]" if low is not None else ""
            rows.append((name, f"{minutes:g}", device, f"{value:.2f}{bounds}", unit))
    figure = figures.scatter(points, "minutes of training", "error left (1 = as a copy)")
    for axis, ticks in (
        (figure.update_xaxes, [2, 5, 10, 20, 50, 100, 200]),
        (figure.update_yaxes, [0.2, 0.5, 1, 2, 5, 10]),
    ):
        axis(type="log", tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
    figure.add_hline(y=1, line=dict(dash="dot", width=1.5, color="#767676"))
    alt = "Error left eight frames ahead, in units of copying, against minutes of training. "
    alt += " ".join(f"{p['name']}: {p['y']:.2f} after {p['x']:g} minutes." for p in points)
    header = ("World", "Minutes of training", "On", "Error left, 8 frames ahead", "Error of")
    title = "Error left 8 frames ahead, in units of what copying leaves (dotted line). "
    title += "Filled: trained on two CPU cores; open: on a GPU."
    return figures.show(figure, alt, header, rows, title)


def fidelity_figure() -> str:
    """Utility against the error that is left, a point for each world of which both are known."""
    points, rows = [], []
    for name in cards.names():
        left, found = _error_left(name), results.utility_share(name)
        if left and found:
            share, what = found
            hover = f"{name}<br>{left[0]:.2f} of a copy's {left[3]}<br>{what}: {share:.2f}"
            points.append(dict(x=left[0], y=share, name=name, hover=hover))
            rows.append((name, f"{left[0]:.2f}", left[3], f"{share:.2f}", what))
    figure = figures.scatter(
        points, "error left, 8 frames ahead (1 = as a copy; less is better)",
        "utility (0 = chance, 1 = best)", log=False,
    )  # fmt: skip
    figure.update_yaxes(range=[min(0, *(p["y"] for p in points)) - 0.05, 1.05])
    alt = "Utility against the error left, a point for each world; they lie on no line. "
    alt += " ".join(f"{p['name']}: error {p['x']:.2f}, utility {p['y']:.2f}." for p in points)
    header = ("World", "Error left", "Error of", "Utility", "What is asked")
    title = "Worlds that err alike are of very different use. Hover to see what each was asked."
    return figures.show(figure, alt, header, rows, title)


def landscape_figure(system: str) -> str:
    """The energy over two numbers of an action as a surface; "" for a system without one."""
    path = FIGURES / f"{system}-landscape.json"
    if not path.is_file():
        return ""
    found = json.loads(path.read_text(encoding="utf-8"))
    grid, energy = found["grid"], found["energy"]
    figure = figures.surface(grid, energy, found["true"], found["true_energy"], found["lowest"])
    lowest = min(map(min, energy))
    alt = (
        "A bowl-shaped surface: the energy over the arm's motion along x and y. It is lowest at "
        f"{found['lowest'][0]:g}, {found['lowest'][1]:g}; what was really done is "
        f"{found['true'][0]:g}, {found['true'][1]:g}."
    )
    rows = [
        (
            "what was really done",
            *(f"{x:.2f}" for x in found["true"]),
            f"{found['true_energy']:.3f}",
        ),
        ("lowest of the grid", *(f"{x:.2f}" for x in found["lowest"]), f"{lowest:.3f}"),
    ]
    rows += [
        (f"grid, x = {grid[i]:.2f}", f"{grid[i]:.2f}", f"{grid[j]:.2f}", f"{energy[i][j]:.3f}")
        for i in range(0, len(grid), 6)
        for j in range(0, len(grid), 6)
    ]
    title = "Energy (L1 of features to the goal) over the action's x and y. Drag to turn it. "
    title += f"The diamond is what was really done. Made by {found['made_by']}."
    return figures.show(figure, alt, ("Point", "x", "y", "Energy"), rows, title)
