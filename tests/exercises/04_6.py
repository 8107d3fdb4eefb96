"""Judgements that look at the wrong figure."""

from __future__ import annotations


def _choice(train_in, because, settled_by):
    def choose():
        return {"train_in": train_in, "because": because, "settled_by": settled_by}

    return (choose,)


WRONG = [
    ("best_psnr", _choice("A", "fidelity", "utility"), "it ignores the player"),
    ("fastest", _choice("C", "cost", "utility"), "copies the last frame"),
    ("right_world_by_speed", _choice("B", "cost", "utility"), "the column in which it wins"),
    ("settled_by_psnr", _choice("B", "controllability", "fidelity"), "still a stand-in"),
]


RIGHT = [
    (
        "in_another_order",
        (lambda: {"settled_by": "utility", "because": "controllability", "train_in": "B"},),
    ),
]
