"""What Sora alone is asked: does it obey its words, and what does it know of the world?"""

from __future__ import annotations

from dataclasses import dataclass

from wmlearn.chapters.ch06_sora import measure
from wmlearn.envs.scenes.sample import BEYOND
from wmlearn.envs.scenes.violations import GROSS, SUBTLE
from wmlearn.evaluation.card import Row, Section
from wmlearn.evaluation.judge import Case, Judge, Verdict


@dataclass(frozen=True)
class SoraJudge(Judge):
    """Adds the sections "captions", "physics" and "likelihood"; scenes are made anew.

    Attributes:
        prompts: of seen and of unseen combinations, each; 0 leaves the section out.
        videos: for each figure of physics; 0 leaves both sections out.
        seed: of scenes and noise.
    """

    prompts: int = 24
    videos: int = 24
    seed: int = 0

    def __call__(self, case: Case) -> Verdict:
        size = tuple(case.store.frame_shape[1:])
        if size != (64, 64) or not str(case.store.info.get("env", "")).startswith("scenes/"):
            return Verdict()  # the questions are about scenes of 64 x 64
        parts = [self._captions] if self.prompts else []
        parts += [self._physics, self._likelihood] if self.videos else []
        sections = []
        for part in parts:
            case.say(part.__name__.strip("_"))
            sections.append(part(case))
        return Verdict(tuple(sections))

    def _captions(self, case: Case) -> Section:
        rows = []
        for kind in ("seen", "unseen"):
            found, _ = measure.obeys(case.system, kind, self.prompts, self.seed)
            for name, share in found.shown.items():
                values = share, found.ceiling[name], found.chance[name]
                rows.append(Row(f"{kind}: {name}", values))
        title = f"What is said and shown, {self.prompts} prompts each"
        columns = ("shown", "real videos", "other prompts")
        return Section("captions", title, tuple(rows), columns, unit="%", digits=0)

    def _physics(self, case: Case) -> Section:
        rows = []
        for name, ranges in {"in range": measure.TRAINED, **BEYOND}.items():
            real = measure.scene("one", self.videos, self.seed, ranges=ranges)
            found = measure.motion(real, measure.continued(case.system, real, self.seed))
            rows.append(Row(f"velocity error, {name}", (found.velocity, found.floor)))
        real = measure.scene("hit", 3 * self.videos, self.seed)
        met = measure.collisions(real, measure.continued(case.system, real, self.seed))
        rows.append(Row("after a collision", (met.after, met.before)))
        rows.append(Row("  had they gone through each other", (met.straight, None)))
        real = measure.scene("bar", 3 * self.videos, self.seed)
        drawn = measure.continued(case.system, real, self.seed)
        for hidden, share in measure.permanence(real, drawn).items():
            rows.append(Row(f"comes out after {hidden} hidden frames (share)", (share, None)))
        title = f"From three given frames, pixels a frame, {self.videos} videos"
        return Section("physics", title, tuple(rows), ("dream", "floor, or before"), digits=2)

    def _likelihood(self, case: Case) -> Section:
        real, rows = measure.scene("hit", 2 * self.videos, self.seed), []
        for name, violation in {**GROSS, **SUBTLE}.items():
            share, _ = measure.preference(case.system, real, violation, seed=self.seed)
            rows.append(Row(name, (share,)))
        title = "What can be surprises less than what cannot (chance 50 %)"
        return Section("likelihood", title, tuple(rows), unit="%", digits=0)
