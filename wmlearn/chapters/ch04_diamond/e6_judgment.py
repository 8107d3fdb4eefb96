"""Exercise 04.6: which world would you train in?."""

from __future__ import annotations

from collections.abc import Iterator

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import exercise, filled, require

_MEASURES = ("fidelity", "controllability", "utility", "cost")


@exercise("04.6", "which world would you train in?")
def judgment(
    choose: Answer, *, best: str = "B", deaf: str = "A", still: str = "C", seed: int = 0
) -> Iterator[str]:
    """``choose() -> {"train_in": "A" | "B" | "C", "because": ..., "settled_by": ...}``.

    ``best``, ``deaf`` and ``still`` name the world to choose, the one that ignores actions, and
    the one that copies the last frame. ``seed`` changes nothing: there is nothing to draw.
    """
    answer = filled(choose(), train_in=("A", "B", "C"), because=_MEASURES, settled_by=_MEASURES)
    yield "a choice and two reasons"
    require(
        answer["train_in"] != deaf,
        f"world {deaf} has the best PSNR, but shuffled actions cost it nothing: it ignores the "
        "player. What could a policy learn where its actions change nothing?",
    )
    require(
        answer["train_in"] != still,
        f"world {still} is the baseline that copies the last frame: it is sharp and cheap, and "
        "nothing ever happens in it.",
    )
    yield "a world that answers to actions"
    require(
        answer["because"] == "controllability",
        f"{answer['because']} does not speak for {best}: look for the column in which it wins.",
    )
    yield "for the right reason"
    require(
        answer["settled_by"] == "utility",
        f"{answer['settled_by']} is still a stand-in. What do we want in the end? The return of "
        "a policy, trained only in the dream, in the real game.",
    )
    yield "and with the right test in mind"
