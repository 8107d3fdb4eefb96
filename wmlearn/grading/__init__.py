"""The instructors' engine: releases the students' version, collects, grades in a box, exports."""

from wmlearn.grading.limits import Run, run_limited
from wmlearn.grading.releasing import release
from wmlearn.grading.scoring import Report, Score, grade

__all__ = ["Report", "Run", "Score", "grade", "release", "run_limited"]
