"""The students' notebooks stop at their first unsolved exercise, as they should: not collected."""

collect_ignore = ["release"]
