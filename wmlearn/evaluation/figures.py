"""The EvaluationCard in pictures: quality over the horizon, and all of a card at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

from matplotlib.figure import Figure as MplFigure

from wmlearn.evaluation.card import EvaluationCard
from wmlearn.metrics import Estimate
from wmlearn.viz import DREAM, NEUTRAL, REAL, Figure, Interactive, Line, lines, listed, style
from wmlearn.viz.interactive import draw_lines


def horizon_curve(card: EvaluationCard, *, alt: str | None = None) -> Interactive:
    """PSNR over the horizon: dream, dream under other actions, copy of the last frame.

    Bands are the card's 95% intervals; all three see the same clips.
    """
    words = {"xlabel": "horizon (steps ahead)", "ylabel": "PSNR (dB)", "title": _seen(card)}
    return lines(_horizon_lines(card), **words, alt=alt or _horizon_alt(card))


def card_figure(card: EvaluationCard, *, alt: str | None = None) -> Figure:
    """The EvaluationCard as a picture: PSNR over the horizon, the probe, returns where measured."""
    probe = card.controllability and card.controllability.probe
    panels = ["horizon", *(["probe"] if probe else []), *(["utility"] if card.utility else [])]
    with style():
        figure = MplFigure(figsize=(5 + 3 * (len(panels) - 1), 3.2), layout="constrained")
        widths = [1.7 if panel == "horizon" else 1 for panel in panels]
        axes = figure.subplots(1, len(panels), width_ratios=widths, squeeze=False)[0]
        _draw_horizon(axes[0], card)
        words = _horizon_alt(card)
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
    draw_lines(axes, curves, range(1, len(card.fidelity.curve.dream) + 1))
    axes.set(xlabel="horizon (steps ahead)", ylabel="PSNR (dB)")
    axes.set_title(_seen(card), fontsize=9)


def _horizon_lines(card: EvaluationCard) -> dict[str, Line]:
    curve = card.fidelity.curve
    found = {"dream": (curve.dream, DREAM, "solid")}
    if curve.other_actions is not None:
        found["dream, other actions"] = (curve.other_actions, DREAM, "dot")
    found["copy last frame"] = (curve.copy, NEUTRAL, "dash")
    return {name: _line(*parts) for name, parts in found.items()}


def _line(estimates: Sequence[Estimate], color: str, dash: str) -> Line:
    value, low, high = ([getattr(e, part) for e in estimates] for part in ("value", "low", "high"))
    if None in low:
        low = high = None
    return Line(value, low, high, color, dash)


def _seen(card: EvaluationCard) -> str:
    seeds = f"{len(card.seeds)} seed{'s' if len(card.seeds) > 1 else ''}"
    return f"{card.fidelity.curve.clips} held-out clips, {seeds}"


def _horizon_alt(card: EvaluationCard) -> str:
    parts = [
        f"{row.psnr.value:.1f} dB at horizon {row.horizon} (copy last frame "
        f"{row.psnr_copy.value:.1f})"
        for row in card.fidelity.at
    ]
    return f"PSNR of the dream: {listed(parts)}."


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
