"""The finder of monsters, which the judge of DOOM's dreams trains on real frames."""

from __future__ import annotations

import torch
from doom_labels import state

from wmlearn.chapters.ch05_gamengen.judge import in_place, train_finder


def test_a_finder_learns_to_find_boxes():
    generator = torch.Generator().manual_seed(0)
    frames, known = [], []
    for i in range(300):
        frame = torch.randint(90, 110, (3, 64, 64), generator=generator).byte()
        x, y = (torch.rand(2, generator=generator) * torch.tensor([44, 24]) + 10).tolist()
        if i % 4:
            frame[:, int(y) - 5 : int(y) + 5, int(x) - 3 : int(x) + 3] = 200
            known.append(state((x, y, 6.0, 10.0)))
        else:
            known.append(state())
        frames.append(frame)
    frames, known = torch.stack(frames), torch.stack(known)
    finder = train_finder(frames[:240], known[:240], steps=300)
    right, count = in_place(finder, frames[240:], known[240:])
    assert count.sum() == 45 and right.sum() >= 40
    assert sum(map(len, finder.find(frames[240::4]))) <= 3  # those without a box
