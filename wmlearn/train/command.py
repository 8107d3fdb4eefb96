"""Train a system at a tier: ``wmlearn fit SYSTEM --tier laptop``, or ``fit("diamond", ...)``.

Options are the fields of ``RunConfig`` and, after ``--system.``, of the system's own config.
``--config FILE`` reads them from YAML; every run writes its own to ``config.yaml``. A run that was
interrupted goes on when the same command is given again, and one that is finished stays as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from wmlearn.spelling import meant
from wmlearn.systems import TRAINABLE


def main(argv: Sequence[str]) -> int:
    """``wmlearn fit SYSTEM [options]``."""
    known = ", ".join(TRAINABLE)
    if not argv or argv[0] in ("-h", "--help"):
        text = __doc__.replace("``", "")
        print(f"usage: wmlearn fit SYSTEM [options]\n\n{text}\nsystems: {known}")
        return 0
    if argv[0] not in TRAINABLE:
        likely = meant(argv[0], TRAINABLE)
        print(f"wmlearn fit: there is no system '{argv[0]}'; {likely}", file=sys.stderr)
        return 2
    from lightning.pytorch.utilities.rank_zero import rank_zero_only  # help need not wait for it

    from wmlearn.train.fit import run_settings
    from wmlearn.train.pace import summary
    from wmlearn.train.settings import from_words

    asked = from_words(argv[0], argv[1:])
    result = run_settings(asked, flags=True)
    if rank_zero_only.rank == 0:
        print(summary(asked.name, result.out, result.verdict, *_playable(result.system)))
    return 0


def _playable(system: object) -> tuple[bool, bool]:
    """Whether it has a world of frames that can be played, and whether by one choice a key."""
    from gymnasium.spaces import Discrete

    from wmlearn.world import Needs, WorldModel

    if not isinstance(system, WorldModel):
        return False, False
    try:
        world = system.world()
    except ValueError:  # it has one only with actions, and was trained without
        return False, False
    return not Needs(frames=True).missing(world), isinstance(world.action_space, Discrete)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
