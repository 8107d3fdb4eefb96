"""Exercises: instant checks in the notebook, release of the student's version, and grading.

Each folder in here holds the checks of one chapter, and registers them when it is imported.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from wmlearn.teach.checks import CheckFailed, check
from wmlearn.teach.grading import Report, Score, grade
from wmlearn.teach.limits import Run, run_limited
from wmlearn.teach.releasing import release

for _module in pkgutil.iter_modules(__path__):
    if _module.ispkg:
        import_module(f"{__name__}.{_module.name}")

__all__ = ["CheckFailed", "Report", "Run", "Score", "check", "grade", "release", "run_limited"]
