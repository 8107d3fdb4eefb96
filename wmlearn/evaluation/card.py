"""The EvaluationCard: what a world can do, on one page, with uncertainty and baselines."""

from __future__ import annotations

import json
import types
import typing
from dataclasses import asdict, dataclass, fields, is_dataclass
from html import escape
from pathlib import Path
from typing import Any

from wmlearn.evaluation.cost import Cost
from wmlearn.evaluation.latent_actions import LatentActionScore
from wmlearn.files import write_whole
from wmlearn.metrics import Estimate

FORMAT = "wmlearn.evaluation"
VERSION = 1
_MISSING = "not measured"


@dataclass(frozen=True)
class FidelityAt:
    """Dream against truth at one horizon, beside *copy the last frame* on the same clips.

    Attributes:
        horizon: h, steps after the last context frame.
        clips: number of clips; ``episodes``: number of held-out episodes they come from.
        too_short: held-out episodes without room for this horizon, left out.
        psnr, psnr_copy: dB, mean over clips; ``psnr_gain``: their paired difference.
        ssim, ssim_copy: -1..1; ``None`` for frames under 11 x 11.
        feature_distance: Frechet distance to the true frames; ``feature_distance_copy`` that of
            the last context frames; ``feature_distance_real`` that of as many real frames from
            the training episodes, the best one can hope for.
    """

    horizon: int
    clips: int
    episodes: int
    too_short: int
    psnr: Estimate
    psnr_copy: Estimate
    psnr_gain: Estimate
    ssim: Estimate | None
    ssim_copy: Estimate | None
    feature_distance: Estimate
    feature_distance_copy: Estimate
    feature_distance_real: Estimate | None


@dataclass(frozen=True)
class Curve:
    """PSNR at every step up to the longest horizon, the same ``clips`` at every step.

    Entry k is step k + 1. ``other_actions`` is ``None`` for data without actions.
    """

    clips: int
    dream: tuple[Estimate, ...]
    copy: tuple[Estimate, ...]
    other_actions: tuple[Estimate, ...] | None


@dataclass(frozen=True)
class Fidelity:
    at: tuple[FidelityAt, ...]
    curve: Curve


@dataclass(frozen=True)
class ControlAt:
    """PSNR under other actions at one horizon; ``delta``: true actions minus other.

    Other actions are another clip's; in a world with latent actions they are random codes, and the
    true ones those that it infers from the clip.
    """

    horizon: int
    clips: int
    psnr_other: Estimate
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
    at: tuple[ControlAt, ...]
    probe: Probe | None


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
    rank_correlation: float | None = None
    ranked: int | None = None


@dataclass(frozen=True)
class EvaluationCard:
    """The judgment on one world; the same for every system.

    A part that is ``None`` was not measured. Intervals are 95%, bootstrapped over episodes.

    Attributes:
        name: of the world.
        environment: that the data comes from.
        policy: that played the held-out episodes.
        held_out: number of held-out episodes.
        context_frames: real frames that the world saw before it had to predict.
        seeds: of the world's noise and of the shuffles; clip values are means over them.
        left_out: horizons that no held-out episode is long enough for.
        latent_actions: of a world that found its actions itself; what its codes mean.
    """

    name: str
    environment: str
    policy: str
    held_out: int
    context_frames: int
    seeds: tuple[int, ...]
    left_out: tuple[int, ...]
    fidelity: Fidelity
    controllability: Controllability | None = None
    utility: Utility | None = None
    cost: Cost | None = None
    latent_actions: LatentActionScore | None = None

    def to_json(self) -> str:
        """JSON text, two spaces of indentation, no NaN or infinity."""
        document = {"format": FORMAT, "version": VERSION, **asdict(self)}
        return json.dumps(document, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> EvaluationCard:
        """Reads :meth:`to_json`'s text; refuses anything else with ``ValueError``."""
        try:
            document = json.loads(text, parse_constant=_no_constant)
        except ValueError as error:
            raise ValueError(f"This is not an evaluation card: not valid JSON ({error}).") from None
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise ValueError(f'This is not an evaluation card: its "format" is not "{FORMAT}".')
        version = document.get("version")
        if version != VERSION:
            raise ValueError(
                f"This evaluation card has version {version!r}, this wmlearn reads version "
                f"{VERSION}: run `wmlearn evaluate` again."
            )
        content = {key: document[key] for key in document if key not in ("format", "version")}
        return _decode(cls, content, "card")

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
        lines = [self._title(), self._caption()]
        for title, header, rows in _sections(self):
            table = [[title, *header], *rows]
            columns = max(len(row) for row in table)
            widths = [
                max((len(row[c]) for row in table if c < len(row)), default=0)
                for c in range(columns)
            ]
            text = [
                "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
                for row in table
            ]
            lines += ["", text[0].rstrip(), "-" * (sum(widths) + 2 * (columns - 1))]
            lines += [line.rstrip() for line in text[1:]]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        align = 'style="text-align:left"'
        parts = [f"<p><strong>{escape(self._title())}</strong><br>{escape(self._caption())}</p>"]
        for title, header, rows in _sections(self):
            head = "".join(f'<th scope="col" {align}>{escape(cell)}</th>' for cell in ["", *header])
            body = "".join(
                f'<tr><th scope="row" style="text-align:left;font-weight:normal">{escape(row[0])}'
                "</th>" + "".join(f"<td {align}>{escape(cell)}</td>" for cell in row[1:]) + "</tr>"
                for row in rows
            )
            head = f"<thead><tr>{head}</tr></thead>" if header else ""
            caption = f'<caption style="text-align:left">{escape(title)}</caption>'
            parts.append(f"<table>{caption}{head}<tbody>{body}</tbody></table>")
        return "\n".join(parts)

    def _title(self) -> str:
        return f"{self.name} on {self.environment}"

    def _caption(self) -> str:
        seeds = f"{len(self.seeds)} seed{'s' if len(self.seeds) > 1 else ''}"
        text = (
            f"{self.held_out} held-out episodes ({self.policy} policy), {self.context_frames} "
            f"context frames, {seeds}. In brackets: 95% bootstrap intervals over episodes."
        )
        if self.left_out:
            steps = ", ".join(map(str, self.left_out))
            text += f" Not measured at horizon {steps}: the held-out episodes are too short."
        return text


def _sections(card: EvaluationCard) -> list[tuple[str, list[str], list[list[str]]]]:
    """The card's tables: title, column headers, rows whose first cell is their name."""
    at = card.fidelity.at
    header = [f"horizon {row.horizon}" for row in at]

    def line(name: str, attribute: str, digits: int) -> list[str]:
        return [name, *(_text(getattr(row, attribute), digits) for row in at)]

    fidelity = [
        line("PSNR, dream (dB)", "psnr", 1),
        line("PSNR, copy last frame", "psnr_copy", 1),
        line("  dream minus copy", "psnr_gain", 1),
        line("SSIM, dream", "ssim", 3),
        line("SSIM, copy last frame", "ssim_copy", 3),
        line("Feature distance, dream", "feature_distance", 2),
        line("Feature distance, copy last frame", "feature_distance_copy", 2),
        line("Feature distance, other real frames", "feature_distance_real", 2),
        ["clips (episodes)", *(f"{row.clips} ({row.episodes})" for row in at)],
        ["episodes too short", *(str(row.too_short) for row in at)],
    ]
    sections = [("Fidelity", header, fidelity)]

    control = card.controllability
    if control is None:
        sections.append(("Controllability", [], [[_MISSING]]))
    else:
        by_horizon = {row.horizon: row for row in control.at}
        other = [by_horizon.get(row.horizon) for row in at]
        latent = card.latent_actions is not None
        kinds = ("inferred", "random") if latent else ("true", "other")
        rows = [
            line(f"PSNR, {kinds[0]} actions (dB)", "psnr", 1),
            [f"PSNR, {kinds[1]} actions", *(_text(row and row.psnr_other, 1) for row in other)],
            [f"  {kinds[0]} minus {kinds[1]}", *(_text(row and row.delta, 1) for row in other)],
        ]
        sections.append(("Controllability", header, rows))
        probe = control.probe
        if probe is None:
            rows = [["accuracy", _MISSING]]
        else:
            rows = [
                ["real transitions", _percent(probe.real)],
                [f"dreamed, {kinds[0]} actions", _percent(probe.dream)],
                [f"dreamed, {kinds[1]} actions", _percent(probe.dream_other)],
                ["majority class", _percent(probe.majority)],
                ["held-out transitions", str(probe.transitions)],
            ]
        sections.append(("Which action was it? (inverse-dynamics probe)", [], rows))

    score = card.latent_actions
    if score is not None:
        chance = 100 / len(score.classes)
        rows = [
            [
                "codes used, perplexity",
                f"{score.used:.0%} of {score.codes}, {score.perplexity:.1f}",
            ],
            [f"recall of {', '.join(score.classes)}", _percent(score.recall)],
            ["  by chance", f"{chance:.0f} %"],
            ["accuracy, each code named", _percent(score.many_to_one)],
            ["accuracy, no name twice", _percent(score.one_to_one)],
            ["  always the most frequent", _percent(score.majority)],
            ["held-out transitions", str(score.transitions)],
        ]
        sections.append(("What do the latent actions mean?", [], rows))

    utility = card.utility
    if utility is None:
        sections.append(("Utility", [], [[_MISSING]]))
    else:
        rows = [[row.name, row.value.format(1)] for row in utility.returns]
        correlation = _MISSING
        if utility.rank_correlation is not None:
            correlation = f"{utility.rank_correlation:.2f} ({utility.ranked} policies)"
        rows.append(["rank correlation, dream and real", correlation])
        title = f"Utility: mean return in real {utility.environment}, {utility.episodes} episodes"
        sections.append((title, [], rows))

    cost = card.cost
    if cost is None:
        sections.append(("Cost", [], [[_MISSING]]))
    else:
        minutes, batch = cost.training_minutes, cost.batch
        rows = [
            ["parameters", _count(cost.parameters)],
            ["FLOPs per frame (MAC = 2)", _count(cost.flops_per_frame)],
            ["frames/s, batch 1", f"{cost.frames_per_second:.1f}"],
            [f"frames/s, batch {batch}", f"{cost.frames_per_second_batch:.1f}"],
            ["training minutes", _MISSING if minutes is None else f"{minutes:.1f}"],
        ]
        threads = f"{cost.threads} thread{'s' if cost.threads > 1 else ''}"
        sections.append((f"Cost ({cost.machine}, {threads})", [], rows))
    return sections


def _text(value: Estimate | None, digits: int) -> str:
    return _MISSING if value is None else value.format(digits)


def _percent(value: Estimate) -> str:
    bounds = [None if x is None else 100 * x for x in (value.low, value.high)]
    return Estimate(100 * value.value, *bounds).format(0) + " %"


def _count(value: int | None) -> str:
    if value is None:
        return _MISSING
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.2f} {unit}"
    return str(value)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not allowed")


def _decode(kind: Any, value: Any, where: str) -> Any:
    """Builds ``kind`` (dataclass, tuple, union with None, str, int, float) from parsed JSON."""
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        if value is None:
            return None
        (kind,) = (option for option in typing.get_args(kind) if option is not types.NoneType)
    if is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        names = [field.name for field in fields(kind)]
        # what later versions added, with a default
        optional = {"latent_actions"}
        if not isinstance(value, dict):
            raise ValueError(f"{where} must be an object.")
        for name in names:
            if name not in value and name not in optional:
                raise ValueError(f"{where}.{name} is missing; is the file whole?")
        for name in value:
            if name not in names:
                raise ValueError(f"{where}.{name} is not known to this version of wmlearn.")
        return kind(
            **{name: _decode(hints[name], value[name], f"{where}.{name}") for name in value}
        )
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where} must be a list.")
        item = typing.get_args(kind)[0]
        return tuple(_decode(item, entry, f"{where}[{i}]") for i, entry in enumerate(value))
    accepted = (int, float) if kind is float else (kind,)
    if isinstance(value, bool) or not isinstance(value, accepted):
        raise ValueError(f"{where} must be {kind.__name__}, not {value!r}.")
    return kind(value)
