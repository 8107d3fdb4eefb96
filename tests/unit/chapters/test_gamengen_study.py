"""Chapter 5's study, automatic judge and short cut."""

import json

import pytest
import torch

from wmlearn.chapters.ch05_gamengen.clip_judge import pairs_told_apart, train_judge
from wmlearn.chapters.ch05_gamengen.short_cut import ATTACK, EMPTY, quiet_moments
from wmlearn.chapters.ch05_gamengen.study import Study, animated, wilson
from wmlearn.envs.doom import HUD_STATE


def clips(count=5, length=4, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, length, 3, 64, 64), generator=draw, dtype=torch.uint8)


def test_a_study_shows_every_pair_once_and_keeps_the_answers(tmp_path):
    real, dreams = clips(seed=1), clips(seed=2)
    study = Study(real, dreams, file=tmp_path / "answers.jsonl")
    seen = []
    while (both := study.pair()) is not None:
        left_is_real = any(torch.equal(both[0], clip) for clip in real)
        assert any(torch.equal(both[1], clip) for clip in (dreams if left_is_real else real))
        seen.append(study.order[study.place])
        assert study.choose(left_is_real)
    assert sorted(seen) == list(range(5)) and study.answers() == [True] * 5
    lines = [json.loads(x) for x in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert all(line["right"] and line["seconds"] == study.seconds for line in lines)
    assert "5 of 5 pairs" in study.result()
    again = Study(real, dreams, seed=3, file=tmp_path / "answers.jsonl")
    assert not again.choose(not again.real_left[again.order[0]]) and "5 of 6" in again.result()


def test_the_paper_stands_beside_clips_of_its_lengths_only(tmp_path):
    for length, share in ((28, "58%"), (56, "60%"), (10, None)):
        x = torch.zeros(1, length, 3, 8, 8, dtype=torch.uint8)
        text = Study(x, x, file=tmp_path / "none").result()
        assert (share in text) if share else ("paper" not in text)


def test_clips_of_two_shapes_make_no_study():
    with pytest.raises(ValueError, match="one shape"):
        Study(clips(2), clips(3))


def test_wilsons_interval():
    low, high = wilson(58, 100)
    assert low == pytest.approx(0.4821, abs=1e-4) and high == pytest.approx(0.6720, abs=1e-4)


def test_an_animation_loses_nothing():
    import io

    from PIL import Image

    clip = clips(1)[0]
    picture = Image.open(io.BytesIO(animated(clip, 17.5, 2)))
    assert picture.n_frames == 4 and picture.size == (128, 128)
    picture.seek(2)
    assert picture.convert("RGB").getpixel((9, 5)) == tuple(clip[2, :, 2, 4].tolist())


def test_the_automatic_judge_learns_what_differs_and_nothing_where_nothing_does():
    bright = lambda seed: (clips(12, 3, seed=seed) // 2 + 100).to(torch.uint8)  # noqa: E731
    judge = train_judge(bright(1), clips(12, 3, seed=2) // 2, steps=25)
    assert pairs_told_apart(judge, bright(3), clips(12, 3, seed=4) // 2).float().mean() > 0.9
    same = pairs_told_apart(judge, clips(12, 3, seed=5), clips(12, 3, seed=6)).float().mean()
    assert 0.2 < same < 0.8


class _Play:
    """One episode: a monster in view at frames 10 to 12, a shot at frames 20 and 40."""

    def __init__(self):
        state = torch.zeros(60, len(HUD_STATE))
        first = HUD_STATE.index("enemy0_x")
        state[10:13, first : first + 4] = torch.tensor([0.5, 0.4, 0.1, 0.3])
        self.state = state.numpy()
        self.frames = torch.zeros(60, 1, 1, 1).numpy()
        actions = torch.zeros(59, dtype=torch.long)
        actions[[10, 20, 40]] = ATTACK
        self.actions = actions.numpy()

    def __getitem__(self, number):
        return self


def test_quiet_moments_are_those_with_nothing_in_sight():
    moments = quiet_moments(_Play(), range(1), context=8, steps=5, count=100)
    assert moments.shots == [(0, 20 - 7), (0, 40 - 7)]
    now = {start + 7 for _, start in moments.others}
    assert not now & set(range(10, 12 + EMPTY)) and 12 + EMPTY in now
    assert max(now) == 60 - 5 - 1 and not now & {20, 40}
