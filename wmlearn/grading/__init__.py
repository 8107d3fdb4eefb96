"""The instructors' engine: release, collect, grade in a sandbox, give feedback, export."""

from wmlearn.grading.limits import Run, run_limited
from wmlearn.grading.releasing import release
from wmlearn.grading.scoring import Report, Score, grade

__all__ = ["Report", "Run", "Score", "grade", "release", "run_limited"]
