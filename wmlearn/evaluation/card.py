"""The EvaluationCard: what a system can do, on one page, with uncertainty and baselines.

Every system has the same parts: fidelity (with its unit), controllability, utility and cost. What
only one kind of system can be asked is a named :class:`Section`, which that system's judge adds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wmlearn.evaluation import formats
from wmlearn.evaluation.cost import Cost
from wmlearn.files import write_whole
from wmlearn.metrics import Estimate


@dataclass(frozen=True)
class Measure:
    """A further measure of fidelity, beside the same for the baseline.

    Attributes:
        name: for people, e.g. "SSIM".
        score: of the world.
        baseline: of the fidelity's baseline.
        reference: of other real frames, the best attainable value; ``None`` where it is known.
    """

    name: str
    score: Estimate
    baseline: Estimate
    reference: Estimate | None = None


@dataclass(frozen=True)
class FidelityAt:
    """Prediction against truth at one horizon, beside a baseline on the same clips.

    Attributes:
        horizon: h, steps after the last context frame; 0 for a system that fills in hidden parts.
        clips: number of clips; ``episodes``: number of held-out episodes they come from.
        too_short: held-out episodes without room for this horizon, left out.
        score, baseline: in the fidelity's unit, mean over clips.
        gain: their paired difference; above 0 the world is better than the baseline.
        more: other measures.
    """

    horizon: int
    clips: int
    episodes: int
    too_short: int
    score: Estimate
    baseline: Estimate
    gain: Estimate
    more: tuple[Measure, ...] = ()

    def measure(self, name: str) -> Measure:
        """One of ``more`` by name; ``KeyError`` if it was not measured."""
        for measure in self.more:
            if measure.name == name:
                return measure
        raise KeyError(f"{name} was not measured at horizon {self.horizon}.")


@dataclass(frozen=True)
class Curve:
    """The score at every step up to the longest horizon, the same ``clips`` at every step.

    Entry k is step k + 1. ``other_actions`` is ``None`` for data without actions.
    """

    clips: int
    score: tuple[Estimate, ...]
    baseline: tuple[Estimate, ...]
    other_actions: tuple[Estimate, ...] | None


@dataclass(frozen=True)
class Fidelity:
    """How close predictions are to the truth.

    Attributes:
        measure: e.g. "PSNR".
        unit: "dB"; or "L1" of features, which compares only with the same encoder's.
        higher_is_better: true for PSNR, false for a distance.
        baseline: what stands beside it, e.g. "copy last frame".
        at: a row for each horizon.
        curve: ``None`` where time plays no part.
    """

    measure: str
    unit: str
    higher_is_better: bool
    baseline: str
    at: tuple[FidelityAt, ...]
    curve: Curve | None


@dataclass(frozen=True)
class ControlAt:
    """The score under other actions at one horizon, in the fidelity's unit.

    Other actions are another clip's; in a world with latent actions they are random codes, and the
    true ones those that it infers from the clip. ``delta``: the score lost; above 0, the
    world responds to actions.
    """

    horizon: int
    clips: int
    other: Estimate
    delta: Estimate


@dataclass(frozen=True)
class Probe:
    """Accuracy (0..1) of an inverse-dynamics net that was trained on real transitions only.

    Attributes:
        training_steps: of the probe.
        transitions: real held-out transitions, the first 16 or fewer of each clip of the longest
            horizon; dreams have this many for each seed.
        real, dream, dream_other: on real frames, on dreams under the true actions, on dreams
            under another clip's actions.
        majority: of always naming the action that is most frequent in the training episodes.
    """

    training_steps: int
    transitions: int
    real: Estimate
    dream: Estimate
    dream_other: Estimate
    majority: Estimate


@dataclass(frozen=True)
class Controllability:
    """Does the world do what the actions say?

    Attributes:
        actions: the actions of the dream, and those of the comparison: ("true", "other") or, where
            actions are latent, ("inferred", "random").
    """

    at: tuple[ControlAt, ...]
    probe: Probe | None
    actions: tuple[str, ...] = ("true", "other")


@dataclass(frozen=True)
class PolicyReturn:
    """Mean undiscounted return of a policy in the real environment."""

    name: str
    value: Estimate


@dataclass(frozen=True)
class Utility:
    """Returns in the real environment: policies from the dream, beside random and expert.

    Attributes:
        episodes: for each policy.
        rank_correlation: Spearman's, between the policies' values in the dream and in reality;
            ``ranked`` says of how many policies.
    """

    environment: str
    episodes: int
    returns: tuple[PolicyReturn, ...]
    rank_correlation: Estimate | None = None
    ranked: int | None = None


@dataclass(frozen=True)
class Row:
    """A line of a section.

    Attributes:
        name: what is measured; unique in its section.
        values: one for each column; a section without columns has one.
        text: what is said instead of values, or after the first one.
    """

    name: str
    values: tuple[Estimate | None, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class Section:
    """What only one kind of system can be asked; its judge adds it to the card.

    Attributes:
        name: to ask for it: ``card.section(name)``.
        title: of its table.
        rows: its lines.
        columns: headers, where a row has several values.
        unit: of all values; "%" shows shares as percentages.
        digits: behind the point.
        note: a sentence below.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    columns: tuple[str, ...] = ()
    unit: str = ""
    digits: int = 2
    note: str = ""

    def row(self, name: str) -> Row:
        """The row of this name; ``KeyError`` if there is none."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"The section {self.name} has no row {name!r}.")

    def value(self, name: str, column: str | None = None) -> Estimate | None:
        """The value of a row, the first one or that of ``column``."""
        return self.row(name).values[0 if column is None else self.columns.index(column)]


@dataclass(frozen=True)
class EvaluationCard:
    """The judgment on one system; the same for every one.

    A part that is ``None`` was not measured. Intervals are 95%, bootstrapped over episodes.

    Attributes:
        name: of the world or the checkpoint.
        environment: that the data comes from.
        policy: that played the held-out episodes.
        held_out: number of held-out episodes.
        context_frames: real frames that it saw before it had to predict.
        seeds: of the world's noise and of the shuffles; clip values are means over them.
        left_out: horizons that no held-out episode is long enough for.
        sections: of the system's own judge.
    """

    name: str
    environment: str
    policy: str
    held_out: int
    context_frames: int
    seeds: tuple[int, ...]
    left_out: tuple[int, ...]
    fidelity: Fidelity | None
    controllability: Controllability | None = None
    utility: Utility | None = None
    cost: Cost | None = None
    sections: tuple[Section, ...] = ()

    def section(self, name: str) -> Section:
        """A judge's section by name; ``KeyError`` if this card has none of that name."""
        for section in self.sections:
            if section.name == name:
                return section
        known = ", ".join(section.name for section in self.sections) or "none"
        raise KeyError(f"This card has no section {name!r}; it has: {known}.")

    def to_json(self) -> str:
        """JSON text, two spaces of indentation, no NaN or infinity."""
        return formats.to_json(self)

    @classmethod
    def from_json(cls, text: str) -> EvaluationCard:
        """Reads :meth:`to_json`'s text, also of version 1; ``ValueError`` for anything else."""
        return formats.from_json(cls, text)

    def save(self, path: str | Path) -> Path:
        """Writes the card as JSON; the file appears whole or not at all."""
        return write_whole(path, self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> EvaluationCard:
        path = Path(path)
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            raise ValueError(f"{path}: This is not an evaluation card: not text.") from None
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def figure(self):
        """The card as a figure: :func:`wmlearn.evaluation.figures.card_figure`."""
        from wmlearn.evaluation.figures import card_figure  # it draws with matplotlib

        return card_figure(self)

    def __str__(self) -> str:
        from wmlearn.evaluation.tables import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from wmlearn.evaluation.tables import as_html

        return as_html(self)
