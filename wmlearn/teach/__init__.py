"""What an exercise's notebook imports: ``check``, and what its failure raises."""

from wmlearn.teach.checks import CheckFailed, check

__all__ = ["CheckFailed", "check"]
