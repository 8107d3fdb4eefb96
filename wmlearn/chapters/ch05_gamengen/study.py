"""The human study: pairs of short clips, one of the engine and one dreamed; which is real?

``Study(real, dreams)`` is the study, ``study.widget()`` its pictures and buttons in a notebook.
Every answer is written to a file of the reader's own at once, and nowhere else. The paper's raters
saw 130 such pairs of 1.6 s and of 3.2 s each (Valevski et al. 2024, section 5.1).
"""

from __future__ import annotations

import io
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from wmlearn.files import cache_dir

PAPER = {1.6: 0.58, 3.2: 0.60}
"""Seconds -> the share of pairs in which the paper's raters named the real clip."""


def wilson(right: int, pairs: int, z: float = 1.96) -> tuple[float, float]:
    """Both ends of Wilson's 95% interval of a share."""
    p, more = right / pairs, z**2 / pairs
    middle = (p + more / 2) / (1 + more)
    half = z * math.sqrt(p * (1 - p) / pairs + more / (4 * pairs)) / (1 + more)
    return middle - half, middle + half


@dataclass
class Study:
    """Pairs of clips, and what was chosen.

    Attributes:
        real: uint8 ``[N, T, 3, H, W]``, of the engine.
        dreams: the same number and shape, dreamed from the same beginnings under the same actions.
        frames_per_second: of play.
        seed: of the order and the sides.
        file: where answers are kept, one JSON line each; default: in the reader's cache.
    """

    real: Tensor
    dreams: Tensor
    frames_per_second: float = 17.5
    seed: int = 0
    file: Path = field(default_factory=lambda: cache_dir() / "study-05.jsonl")

    def __post_init__(self) -> None:
        if self.real.shape != self.dreams.shape:
            raise ValueError(
                f"A study compares clips of one shape; got {tuple(self.real.shape)} and "
                f"{tuple(self.dreams.shape)}."
            )
        draw = torch.Generator().manual_seed(self.seed)
        self.order = torch.randperm(len(self.real), generator=draw).tolist()
        self.real_left = (torch.rand(len(self.real), generator=draw) < 0.5).tolist()
        self.place = 0

    @property
    def seconds(self) -> float:
        """How long a clip lasts."""
        return round(self.real.shape[1] / self.frames_per_second, 1)

    def pair(self) -> tuple[Tensor, Tensor] | None:
        """The clips on the left and on the right, ``[T, 3, H, W]`` each; None at the end."""
        if self.place == len(self.order):
            return None
        number = self.order[self.place]
        both = self.real[number], self.dreams[number]
        return both if self.real_left[number] else both[::-1]

    def choose(self, left: bool) -> bool:
        """Takes the answer "the left one is real" (or the right one); whether that was right."""
        number = self.order[self.place]
        right = left == self.real_left[number]
        self.place += 1
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with open(self.file, "a", encoding="utf-8") as file:
            line = {"seconds": self.seconds, "clip": number, "seed": self.seed, "right": right}
            file.write(json.dumps(line) + "\n")
        return right

    def answers(self) -> list[bool]:
        """All answers to clips of this length that are in the file, of today and earlier."""
        if not self.file.is_file():
            return []
        lines = map(json.loads, self.file.read_text(encoding="utf-8").splitlines())
        return [line["right"] for line in lines if line["seconds"] == self.seconds]

    def result(self) -> str:
        """Your share of right answers with its interval, beside the paper's."""
        answers = self.answers()
        paper = PAPER.get(self.seconds)
        beside = f" The paper's raters: {paper:.0%}." if paper else ""
        if not answers:
            return f"No answers yet to clips of {self.seconds} s.{beside}"
        low, high = wilson(sum(answers), len(answers))
        share = sum(answers) / len(answers)
        return (
            f"You named the real one in {sum(answers)} of {len(answers)} pairs of "
            f"{self.seconds} s: {share:.0%} (95 % interval {low:.0%} to {high:.0%}).{beside}"
        )

    def widget(self, scale: int = 3) -> Any:
        """Two moving pictures and two buttons; the result so far where there can be no widget."""
        try:
            from ipywidgets import HTML, Button, HBox, Image, Layout, VBox
        except ModuleNotFoundError:
            return self.result()
        side = Layout(width=f"{scale * self.real.shape[-1]}px")
        pictures = [Image(format="png", layout=side) for _ in range(2)]
        buttons = [
            Button(description=f"the {name} one is real", layout=side) for name in ("left", "right")
        ]
        text = HTML()

        def show(note: str = "") -> None:
            both = self.pair()
            for picture, clip in zip(pictures, both or (), strict=False):
                picture.value = animated(clip, self.frames_per_second, scale)
            for button in buttons:
                button.disabled = both is None
            left = len(self.order) - self.place
            text.value = f"{note} {left} pairs left." if both else f"{note} {self.result()}"

        def answer(left: bool) -> None:
            show("Right." if self.choose(left) else "That one was dreamed.")

        buttons[0].on_click(lambda _: answer(True))
        buttons[1].on_click(lambda _: answer(False))
        show("Which clip is DOOM's?")
        return VBox([HBox(pictures), HBox(buttons), text])


def animated(clip: Tensor, frames_per_second: float, scale: int = 3) -> bytes:
    """An animated PNG, nothing lost, of a clip uint8 ``[T, 3, H, W]``."""
    pictures = [
        Image.fromarray(frame.permute(1, 2, 0).numpy()).resize(
            (scale * frame.shape[-1], scale * frame.shape[-2]), Image.Resampling.NEAREST
        )
        for frame in clip
    ]
    file = io.BytesIO()
    pictures[0].save(
        file, "PNG", save_all=True, append_images=pictures[1:], loop=0,
        duration=round(1000 / frames_per_second),
    )  # fmt: skip
    return file.getvalue()
