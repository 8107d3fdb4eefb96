"""Exercises: instant checks in the notebook, release of the student's version, and grading."""

from __future__ import annotations

from wmlearn.teach import diamond, vjepa2_ac  # noqa: F401  they register their checks
from wmlearn.teach.checks import CheckFailed, check
from wmlearn.teach.grading import Report, Score, grade
from wmlearn.teach.limits import Run, run_limited
from wmlearn.teach.releasing import release

__all__ = ["CheckFailed", "Report", "Run", "Score", "check", "grade", "release", "run_limited"]
