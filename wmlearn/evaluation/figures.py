"""The EvaluationCard in pictures: quality over the horizon, and all of a card at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

from matplotlib.figure import Figure as MplFigure

from wmlearn.evaluation.card import EvaluationCard, Section
from wmlearn.metrics import Estimate
from wmlearn.viz import DREAM, NEUTRAL, REAL, Figure, Interactive, Line, lines, listed, style
from wmlearn.viz.interactive import draw_lines


def horizon_curve(card: EvaluationCard, *, alt: str | None = None) -> Interactive:
    """The score over the horizon: dream, dream under other actions, baseline.

    Bands are the card's 95% intervals; all three see the same clips.

    Raises:
        ValueError: the card has no curve, as time plays no part in this system.
    """
    if card.fidelity is None or card.fidelity.curve is None:
        raise ValueError(f"The card of {card.name} has no curve over the horizon.")
    words = {"xlabel": "horizon (steps ahead)", "ylabel": _label(card), "title": _seen(card)}
    return lines(_horizon_lines(card), **words, alt=alt or _fidelity_alt(card))


def card_figure(card: EvaluationCard, *, alt: str | None = None) -> Figure:
    """The EvaluationCard as a picture: fidelity, the probe, returns where they were measured."""
    probe = card.controllability and card.controllability.probe
    curve = card.fidelity and card.fidelity.curve
    sections = [s for s in card.sections if _drawable(s)]
    panels = [
        *(["horizon"] if curve else ["fidelity"] if card.fidelity else []),
        *(["probe"] if probe else []),
        *(["utility"] if card.utility else []),
        *(f"section {s.name}" for s in sections),
    ]
    if not panels:
        raise ValueError(f"The card of {card.name} holds no figure that could be drawn.")
    with style():
        figure = MplFigure(figsize=(5 + 3 * (len(panels) - 1), 3.2), layout="constrained")
        widths = [1.7 if panel == "horizon" else 1 for panel in panels]
        axes = figure.subplots(1, len(panels), width_ratios=widths, squeeze=False)[0]
        words = _fidelity_alt(card) if card.fidelity else ""
        if curve:
            _draw_horizon(axes[0], card)
        elif card.fidelity:
            _draw_fidelity(axes[0], card)
        for section in sections:
            words += _draw_section(axes[panels.index(f"section {section.name}")], section)
        if probe:
            bars = {
                "real": (probe.real, REAL),
                "dream": (probe.dream, DREAM),
                "dream, other actions": (probe.dream_other, DREAM),
            }
            axis = axes[panels.index("probe")]
            _draw_bars(axis, bars, probe.majority.value, "majority class")
            axis.set(title="which action was it?", ylabel="probe accuracy", ylim=(0, 1))
            words += (
                f" A probe names the action in {probe.real.value:.0%} of real and "
                f"{probe.dream.value:.0%} of dreamed transitions."
            )
        if card.utility:
            utility = card.utility
            baselines = {"random": NEUTRAL, "scripted expert": REAL}
            bars = {
                row.name: (row.value, baselines.get(row.name, DREAM)) for row in utility.returns
            }
            axis = axes[panels.index("utility")]
            _draw_bars(axis, bars)
            axis.set(title=f"return in real {utility.environment}")
            returns = [f"{row.name} {row.value.value:.0f}" for row in utility.returns]
            words += f" Mean return in the real environment: {listed(returns)}."
    return Figure(figure, alt or f"{card.name} on {card.environment}. {words}")


def _draw_horizon(axes: Any, card: EvaluationCard) -> None:
    curves = _horizon_lines(card)
    draw_lines(axes, curves, range(1, len(card.fidelity.curve.score) + 1))
    axes.set(xlabel="horizon (steps ahead)", ylabel=_label(card))
    axes.set_title(_seen(card), fontsize=9)


def _horizon_lines(card: EvaluationCard) -> dict[str, Line]:
    curve = card.fidelity.curve
    found = {"dream": (curve.score, DREAM, "solid")}
    if curve.other_actions is not None:
        found["dream, other actions"] = (curve.other_actions, DREAM, "dot")
    found[card.fidelity.baseline] = (curve.baseline, NEUTRAL, "dash")
    return {name: _line(*parts) for name, parts in found.items()}


def _line(estimates: Sequence[Estimate], color: str, dash: str) -> Line:
    value, low, high = ([getattr(e, part) for e in estimates] for part in ("value", "low", "high"))
    if None in low:
        low = high = None
    return Line(value, low, high, color, dash)


def _seen(card: EvaluationCard) -> str:
    seeds = f"{len(card.seeds)} seed{'s' if len(card.seeds) > 1 else ''}"
    return f"{card.fidelity.curve.clips} held-out clips, {seeds}"


def _label(card: EvaluationCard) -> str:
    fidelity = card.fidelity
    return f"{fidelity.measure} (dB)" if fidelity.unit == "dB" else fidelity.unit


def _fidelity_alt(card: EvaluationCard) -> str:
    fidelity = card.fidelity
    digits, unit = (1, " dB") if fidelity.unit == "dB" else (3, "")
    parts = [
        f"{row.score.value:.{digits}f}{unit}"
        f"{f' at horizon {row.horizon}' if row.horizon else ''} ({fidelity.baseline} "
        f"{row.baseline.value:.{digits}f})"
        for row in fidelity.at
    ]
    name = "PSNR" if fidelity.unit == "dB" else fidelity.unit
    what = "dream" if fidelity.curve else "prediction"
    return f"{name} of the {what}: {listed(parts)}."


def _draw_fidelity(axes: Any, card: EvaluationCard) -> None:
    """Bars where time plays no part."""
    row, fidelity = card.fidelity.at[0], card.fidelity
    bars = {"prediction": (row.score, DREAM), fidelity.baseline: (row.baseline, NEUTRAL)}
    _draw_bars(axes, bars)
    axes.set(title=f"{row.clips} held-out clips", ylabel=_label(card))


def _drawable(section: Section) -> bool:
    """Sections of shares are drawn; others stand in the table only."""
    return section.unit == "%" and any(row.values and row.values[0] for row in section.rows)


def _draw_section(axes: Any, section: Section) -> str:
    """Bars of a section's first column; returns the words of its alt text."""
    rows = [row for row in section.rows if row.values and row.values[0] is not None]
    colors = [NEUTRAL if row.name.startswith("  ") else DREAM for row in rows]
    places = range(len(rows))[::-1]
    for place, row, color in zip(places, rows, colors, strict=True):
        value = row.values[0]
        axes.barh(place, value.value, 0.6, color=(color, 0.35), edgecolor=color, linewidth=1.5)
        if value.low is not None:
            axes.hlines(place, value.low, value.high, color=color, linewidth=4)
    axes.set_yticks(list(places), [fill(row.name.strip(), 26) for row in rows], fontsize=8)
    axes.set(xlim=(0, 1), title=fill(section.title, 34))
    axes.grid(False, axis="y")
    shares = [f"{row.name.strip()} {row.values[0].value:.0%}" for row in rows]
    return f" {section.title} {listed(shares)}."


def _draw_bars(
    axes: Any, bars: Mapping[str, tuple[Any, str]], level: float | None = None, name: str = ""
) -> None:
    for place, (estimate, color) in enumerate(bars.values()):
        axes.bar(place, estimate.value, 0.6, color=(color, 0.35), edgecolor=color, linewidth=1.5)
        if estimate.low is not None:
            axes.vlines(place, estimate.low, estimate.high, color=color, linewidth=4)
    axes.set_xticks(range(len(bars)), [fill(bar, 13) for bar in bars], fontsize=9)
    axes.grid(False, axis="x")
    axes.axhline(0, color=NEUTRAL, linewidth=0.8)
    if level is not None:
        axes.axhline(level, color=NEUTRAL, linestyle="--", label=name)
        axes.legend(fontsize=9)
