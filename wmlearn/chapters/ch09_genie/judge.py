"""The evaluation of Genie: do its latent actions match the true ones?"""

from __future__ import annotations

from dataclasses import dataclass

from gymnasium.spaces import Discrete

from wmlearn.evaluation.judge import Case, Judge, Verdict
from wmlearn.evaluation.latent_actions import latent_action_section, score_latent_actions


@dataclass(frozen=True)
class GenieJudge(Judge):
    """Adds the section "latent actions" where the data has true actions to compare with.

    Attributes:
        clips: drawn from training and from held-out episodes, six frames each.
    """

    clips: int = 200

    def __call__(self, case: Case) -> Verdict:
        if not isinstance(case.store.action_space, Discrete):
            return Verdict()
        case.say("latent actions against the true ones")
        score = score_latent_actions(
            case.world, case.store, case.train, case.held_out, clips=self.clips
        )
        return Verdict((latent_action_section(score),))
