"""The evaluation of V-JEPA 2-AC: is energy lowest at the true action; are goals reached?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from wmlearn.evaluation.card import Row, Section
from wmlearn.evaluation.features import score_landscapes
from wmlearn.evaluation.judge import Case, Judge, Verdict
from wmlearn.evaluation.rollout import draw_windows
from wmlearn.metrics import Estimate, mean_estimate


@dataclass(frozen=True)
class VJEPA2ACJudge(Judge):
    """Adds the sections "landscape" and, where goals are wanted, "goals".

    Attributes:
        goals: image goals that are pursued in the simulator; 0 leaves them out, as each takes
            minutes.
        task: "reach" or "push".
        seed: of the first goal's episode.
    """

    goals: int = 0
    task: Literal["reach", "push"] = "reach"
    seed: int = 1000

    def __call__(self, case: Case) -> Verdict:
        lengths, context = case.store.lengths.tolist(), case.world.context_frames
        case.say("energy landscapes")
        places = draw_windows(lengths, case.held_out, context + 1, case.clips)
        pairs = case.store.clip(places, context + 1)
        sections = [score_landscapes(case.world, pairs).section()]
        if self.goals:
            sections.append(self._goals(case))
        return Verdict(tuple(sections))

    def _goals(self, case: Case) -> Section:
        from wmlearn.agents.cem import ImageGoalPlanner
        from wmlearn.chapters.ch12_vjepa2_ac.goals import RandomActor, draw_goals, pursue
        from wmlearn.envs.fetch import FetchEnv

        env = FetchEnv(self.task)
        goals = draw_goals(env, self.goals, self.seed)
        rows = []
        for name, act in {
            "planned": ImageGoalPlanner(case.world),
            "  random": RandomActor(env),
        }.items():
            case.say(f"{self.goals} goals of fetch/{self.task}, {name.strip()}")
            found = pursue(env, goals, act)
            median = f"median distance {100 * torch.median(found.distance):.1f} cm"
            rows.append(Row(name, (self._share(found.success),), median))
        title = f"Image goals of fetch/{self.task}: success within 5 cm, {self.goals} goals"
        return Section("goals", title, tuple(rows), unit="%", digits=0)

    def _share(self, success: torch.Tensor) -> Estimate:
        return mean_estimate(success.double(), seeds=(self.seed,))
