"""Chapter 5's tables: a shortened past, free play, judges tested on what they did not see."""

import pytest
import torch

from wmlearn.chapters.ch05_gamengen import tables
from wmlearn.chapters.ch05_gamengen.tables import ShortPast, free_play, plain, told_apart
from wmlearn.data.clip import Clip
from wmlearn.metrics import Estimate
from wmlearn.systems.gamengen import GameNGen
from wmlearn.systems.gamengen.recipe import SMOKE


@pytest.fixture(scope="module")
def system():
    torch.manual_seed(0)
    made = GameNGen(SMOKE).eval()
    torch.nn.init.normal_(made.denoiser.unet.conv_out.weight, std=0.1)  # it starts at zero
    return made


def context(frames=2, seed=0):
    draw = torch.Generator().manual_seed(seed)
    size = SMOKE.image_size
    pictures = torch.randint(0, 256, (1, frames, 3, size, size), generator=draw, dtype=torch.uint8)
    return Clip(pictures, torch.full((1, frames - 1), 2))


def step(world, clip):
    state = world.reset(clip)
    return world.step(state, torch.tensor([1]), torch.Generator().manual_seed(0))[1].frame


def test_a_past_of_full_length_is_the_world_itself(system):
    world, full = system.world(), ShortPast(system, system.config.denoiser.context_frames)
    assert torch.equal(step(world, context()), step(full, context()))


def test_what_is_hidden_from_a_short_past_does_not_count(system):
    """Another first frame changes the world's dream, but not that of one which sees the last only;
    and what it sees is a last frame that has always stood there."""
    clip, other = context(), context(seed=1)
    mixed = Clip(torch.cat([other.frames[:, :1], clip.frames[:, 1:]], 1), clip.actions)
    short = ShortPast(system, 1)
    assert not torch.equal(step(system.world(), clip), step(system.world(), mixed))
    assert torch.equal(step(short, clip), step(short, mixed))
    alone = Clip(clip.frames[:, 1:], clip.actions[:, :0])
    assert torch.equal(step(short, clip), step(system.world(), alone))


@pytest.mark.parametrize("keep", [0, 3])
def test_a_past_cannot_be_shorter_than_a_frame_or_longer_than_it_is(system, keep):
    with pytest.raises(ValueError, match="keep must be 1..2"):
        ShortPast(system, keep)


def test_no_judge_is_tested_on_a_clip_that_it_was_trained_on(monkeypatch):
    """Clips are told by their brightness: which were trained on, which were asked about."""
    real = torch.arange(8, dtype=torch.uint8).view(8, 1, 1, 1, 1).expand(-1, 2, 3, 4, 4)
    groups = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    trained = []

    def train(clips, dreams, steps):
        trained.append(clips[:, 0, 0, 0, 0])
        return len(trained) - 1

    def ask(judge, clips, dreams):
        asked = clips[:, 0, 0, 0, 0]
        assert not set(asked.tolist()) & set(trained[judge].tolist())
        return asked >= 4

    monkeypatch.setattr(tables, "train_judge", train)
    monkeypatch.setattr(tables, "pairs_told_apart", ask)
    right, order = told_apart(real, real, groups % 2 == 1, groups, 1)
    assert sorted(order.tolist()) == sorted(groups.tolist())
    assert right.tolist() == [float(group >= 2) for group in order.tolist()]


def test_free_play_goes_on_from_what_the_player_sees(system):
    seen = []

    class Player:
        def reset(self, batch):
            assert batch == 1

        def act(self, frames):
            seen.append(frames)
            return torch.tensor([len(seen) % 4])

    clip = context()
    frames = free_play(system.world(), clip, Player(), 5)
    assert frames.shape == (1, 5, *clip.frames.shape[2:])
    assert torch.equal(seen[0], clip.frames[:, -1])
    assert all(torch.equal(seen[k + 1], frames[:, k]) for k in range(4))


def test_numbers_for_json_are_short_and_say_where_there_is_no_interval():
    assert plain(0.12345) == 0.123
    assert plain(Estimate(1.23456)) == {"value": 1.235, "low": None, "high": None}
