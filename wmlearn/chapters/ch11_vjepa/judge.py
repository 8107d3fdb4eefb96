"""The evaluation of V-JEPA. It has no world: it predicts hidden features, and these are probed.

Fidelity is the L1 distance of the predicted features to the target encoder's, on the hidden parts
of held-out clips, beside the mean of what is visible. Its use is what a probe reads from frozen
features (:mod:`wmlearn.chapters.ch11_vjepa.motion`), beside the same encoder untrained and beside
one frame.

Shapes: B clips, M visible and K hidden tubelets, D channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from wmlearn.chapters.ch11_vjepa.motion import (
    MotionClips,
    both_ways,
    few_labels,
    probe_motion,
    table,
)
from wmlearn.data.clip import Clip
from wmlearn.data.motions import CLASSES, class_names
from wmlearn.evaluation.card import Fidelity, FidelityAt, Row, Section
from wmlearn.evaluation.cost import Cost, count_parameters, measure_calls
from wmlearn.evaluation.judge import Case, Judge, Verdict
from wmlearn.evaluation.rollout import draw_windows
from wmlearn.metrics import Estimate, mean_estimate
from wmlearn.nn.noise import SampleNoise
from wmlearn.systems.vjepa import VJEPA
from wmlearn.systems.vjepa.encoder import take
from wmlearn.systems.vjepa.masks import draw_mask

COLUMNS = ("motion or its reversal", "which of 16 motions")


@dataclass(frozen=True)
class VJEPAJudge(Judge):
    """Measures fidelity and cost; adds the section "probe" where the data's motions have names.

    Attributes:
        probe: whether to train probes.
        labels: labeled clips of each motion that a probe learns from, each both ways; 0 takes all.
        epochs: of the probe.
        learning_rate: of the probe, the same for all encoders.
    """

    probe: bool = True
    labels: int = 10
    epochs: int = 40
    learning_rate: float = 3e-3

    def __call__(self, case: Case) -> Verdict:
        case.say("hidden parts of held-out clips")
        clip, groups, too_short = _held_out(case)
        sections = ()
        if self.probe and _is_named(case.store):
            sections = (self._probe(case),)
        return Verdict(
            sections=sections,
            fidelity=_fidelity(case, clip, groups, too_short),
            cost=_cost(case, clip) if case.cost else None,
        )

    def _probe(self, case: Case) -> Section:
        clips = both_ways(_motion_clips(case))
        clips = few_labels(clips, self.labels) if self.labels else clips
        untrained = VJEPA(case.system.config).eval()
        options = dict(epochs=self.epochs, learning_rate=self.learning_rate)
        scores = {}
        for name, encoder, one_frame in (
            ("the encoder", case.system, False),
            ("  never trained", untrained, False),
            ("  the encoder, one frame", case.system, True),
        ):
            case.say(f"probe of {name.strip()}")
            scores[name] = probe_motion(encoder, clips, case.seeds, one_frame, **options)
        labels = f"{self.labels} labeled clips" if self.labels else "all labeled clips"
        note = f"Frozen features, {labels} of a motion, each also backwards."
        found = {name: with_seeds(kinds, case.seeds) for name, kinds in table(scores).items()}
        return probe_section(found, note)


def with_seeds(kinds: Mapping[str, Estimate], seeds: Sequence[int]) -> dict[str, Estimate]:
    """The same figures, with the seeds of the probes that they are means over."""
    return {kind: replace(estimate, seeds=tuple(seeds)) for kind, estimate in kinds.items()}


def probe_section(rows: Mapping[str, Mapping[str, Estimate]], note: str) -> Section:
    """The section of the card.

    Args:
        rows: name -> ``{"pairs": ..., "all": ...}``, as ``motion.table`` gives it.
        note: how the probes were trained.
    """
    chance = Row("  guessing", (Estimate(1 / 2), Estimate(1 / len(CLASSES))))
    lines = [Row(name, (kinds["pairs"], kinds["all"])) for name, kinds in rows.items()]
    title = "What does a probe read from frozen features?"
    return Section("probe", title, (*lines, chance), COLUMNS, unit="%", digits=1, note=note)


def span(system: VJEPA) -> int:
    """Frames of a clip that the encoder looks at, those between them included."""
    return system.config.frame_stride * (system.config.encoder.frames - 1) + 1


def _is_named(store) -> bool:
    return bool(store.info.get("classes"))


def _held_out(case: Case) -> tuple[Clip, Tensor, int]:
    """Held-out clips, the episode of each, and how many episodes are too short."""
    lengths, length = case.store.lengths.tolist(), span(case.system)
    places = draw_windows(lengths, case.held_out, length, case.clips)
    if len(places) < 2:
        raise ValueError(
            f"The encoder looks at clips of {length} frames, and hardly any of the "
            f"{len(case.held_out)} held-out episodes is that long: record longer or more episodes."
        )
    groups = torch.tensor([episode for episode, _ in places])
    too_short = sum(lengths[episode] < length for episode in case.held_out)
    return Clip(case.store.clip(places, length).frames), groups, too_short


@torch.no_grad()
def _errors(system: VJEPA, clip: Clip, seed: int, batch_size: int = 32) -> Tensor:
    """Mean L1 distance to the target on the hidden tubelets, float64 ``[2, B]``.

    First of the prediction, then of the mean of what is visible.
    """
    parts = []
    for step, rows in enumerate(torch.arange(len(clip)).split(batch_size)):
        noise = SampleNoise(seed, step, len(rows), 0, system.device)
        patches = system.encoder.cut(system.video(clip[rows].to(system.device)))
        target = system.target(patches)
        errors = []
        for kind, mask in enumerate(system.config.masks):
            visible, hidden = draw_mask(mask, system.config.encoder.grid, noise)
            truth = take(target, hidden)
            guesses = (
                system.guess(patches, visible, hidden, kind),
                take(target, visible).mean(1, keepdim=True),
            )
            errors.append(torch.stack([(g - truth).abs().mean((1, 2)) for g in guesses]))
        parts.append(torch.stack(errors).mean(0))
    return torch.cat(parts, 1).double().cpu()


def _fidelity(case: Case, clip: Clip, groups: Tensor, too_short: int) -> Fidelity:
    found = torch.stack([_errors(case.system, clip, seed) for seed in case.seeds])  # [S, 2, B]
    score, baseline = found.mean(0)

    def estimate(values: Tensor) -> Estimate:
        return mean_estimate(values, groups, seeds=case.seeds)

    at = FidelityAt(
        horizon=0,
        clips=len(clip),
        episodes=len(groups.unique()),
        too_short=too_short,
        score=estimate(score),
        baseline=estimate(baseline),
        gain=estimate(baseline - score),
    )
    unit = f"L1 of {case.system.config.predict}"
    return Fidelity("L1", unit, False, "mean of what is visible", (at,), None)


def _cost(case: Case, clip: Clip, batch: int = 32) -> Cost:
    """Of encoding clips."""
    system, frames = case.system, clip.length
    rows = torch.arange(batch) % len(clip)

    def encode(count: int) -> Callable[[], Tensor]:
        chosen = clip[rows[:count]].to(system.device)
        return lambda: system.features(chosen)

    return measure_calls(
        encode(1),
        encode(1),
        encode(batch),
        frames=(frames, frames, batch * frames),
        batch=batch,
        parameters=count_parameters(system.encoder),
        training_minutes=case.training_minutes,
    )


def _motion_clips(case: Case, length: int = 15) -> MotionClips:
    """The labeled clips around each episode's middle, by the split of the evaluation."""
    store = case.store
    labels = torch.tensor([CLASSES.index(name) for name in class_names(store)])

    def part(episodes: Sequence[int]) -> tuple[Clip, Tensor]:
        places = [(i, (int(store.lengths[i]) - length) // 2) for i in episodes]
        return store.clip(places, length), labels[list(episodes)]

    return MotionClips(*part(case.train), *part(case.held_out))
