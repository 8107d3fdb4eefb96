"""Judgements that believe the wrong witness."""

from __future__ import annotations


def _choice(test_in, because, fooled):
    def choose():
        return {"test_in": test_in, "because": because, "fooled": fooled}

    return (choose,)


WRONG = [
    ("the_prettiest", _choice("A", "psnr", "closed loop"), "looks best"),
    ("the_copy", _choice("C", "psnr", "raters"), "nothing ever happens"),
    ("right_world_by_psnr", _choice("B", "psnr", "raters"), "the column in which"),
    ("fooled_by_nothing", _choice("B", "closed loop", "psnr"), "nearest to a coin"),
]


RIGHT = [
    (
        "in_another_order",
        (lambda: {"fooled": "raters", "because": "closed loop", "test_in": "B"},),
    ),
]
