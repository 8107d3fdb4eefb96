"""Train a system at a tier: ``wmlearn fit SYSTEM --tier laptop``, or ``fit("diamond", ...)``.

Options are the fields of ``RunConfig`` and, after ``--system.``, of the system's own config.
``--config FILE`` reads them from YAML; every run writes its own to ``config.yaml``. A run that was
interrupted goes on when the same command is given again, and one that is finished stays as it is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from wmlearn.systems import TRAINABLE


def main(argv: Sequence[str]) -> int:
    """``wmlearn fit SYSTEM [options]``."""
    if not argv or argv[0] not in TRAINABLE:
        known = ", ".join(TRAINABLE)
        print(f"usage: wmlearn fit SYSTEM [options]\n\n{__doc__}\nsystems: {known}")
        return 0 if not argv or argv[0] in ("-h", "--help") else 2
    from wmlearn.train.fit import run_settings  # torch and Lightning, which help need not wait for
    from wmlearn.train.settings import from_words

    result = run_settings(from_words(argv[0], argv[1:]))
    last = {name: values[-1][1] for name, values in result.history.items()}
    print(json.dumps({"out": str(result.out), **last}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
