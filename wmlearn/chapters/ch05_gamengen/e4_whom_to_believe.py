"""Exercise 05.4: whom to believe?"""

from __future__ import annotations

from collections.abc import Iterator

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import exercise, filled, require

_MEASURES = ("psnr", "raters", "closed loop")


@exercise("05.4", "whom to believe?")
def whom_to_believe(
    choose: Answer, *, best: str = "B", pretty: str = "A", still: str = "C", seed: int = 0
) -> Iterator[str]:
    """``choose() -> {"test_in": "A" | "B" | "C", "because": ..., "fooled": ...}``.

    ``best``, ``pretty`` and ``still`` name the world to choose, the one that looks best and pays
    wrongly, and the one that copies the last frame. ``seed`` changes nothing.
    """
    answer = filled(choose(), test_in=("A", "B", "C"), because=_MEASURES, fooled=_MEASURES)
    yield "a choice and two reasons"
    require(
        answer["test_in"] != pretty,
        f"world {pretty} looks best, but whoever plays better is paid less there: choosing by its "
        "returns means choosing the worst player.",
    )
    require(
        answer["test_in"] != still,
        f"in world {still} nothing ever happens, so all players earn the same.",
    )
    yield "a world that ranks players as the engine does"
    require(
        answer["because"] == "closed loop",
        f"{answer['because']} speaks for {pretty}, not for {best}: look for the column in which "
        f"{best} wins.",
    )
    yield "for the right reason"
    require(
        answer["fooled"] == "raters",
        f"{answer['fooled']} is not what fooled us: which measure comes from people who looked at "
        f"short clips, and is nearest to a coin for {pretty}?",
    )
    yield "and with an eye for what short clips hide"
