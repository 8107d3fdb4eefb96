"""The evaluation, on worlds whose judgment is known in advance."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from sliding_game import ACTIONS, SIZE, Deaf, Game, NoisyOracle, Oracle, judge
from torch import nn

import wmlearn as wm
from wmlearn.agents.policy import Mixture, RandomPolicy
from wmlearn.data.episodes import Episode, EpisodeWriter
from wmlearn.evaluation import rollout
from wmlearn.evaluation.controllability import derangement
from wmlearn.evaluation.cost import count_parameters, measure_cost
from wmlearn.evaluation.rollout import draw_windows
from wmlearn.evaluation.utility import (
    compare_values,
    play_dream,
    play_episodes,
    rank_correlation,
)
from wmlearn.fast.winograd import FastConv3x3
from wmlearn.metrics import (
    MAX_PSNR,
    Estimate,
)
from wmlearn.world import CopyLastFrame

# --- clips and rollouts ------------------------------------------------------------------------


def test_windows_fit_and_do_not_repeat():
    lengths = [5, 3, 10]
    every = draw_windows(lengths, [0, 1, 2], 4, 100)
    assert every == [(0, 0), (0, 1), *((2, start) for start in range(7))]
    assert draw_windows(lengths, [1], 4, 100) == []
    some = draw_windows(lengths, [0, 2], 4, 5, seed=1)
    assert len(set(some)) == 5 and set(some) <= set(every)
    assert some == draw_windows(lengths, [0, 2], 4, 5, seed=1)


def test_derangement_moves_everyone_once():
    for n in (2, 3, 10):
        for seed in range(20):
            other = derangement(n, seed)
            assert sorted(other.tolist()) == list(range(n))
            assert (other != torch.arange(n)).all()
    with pytest.raises(ValueError, match="two clips"):
        derangement(1, 0)


def test_rollout_of_the_true_dynamics_is_the_clip(store):
    clip = store.clip([(0, 0), (1, 3)], 9)
    frames = rollout(Oracle(), clip)
    assert torch.equal(frames, clip.frames[:, 2:])
    stay = rollout(Oracle(), clip.time(0, 2), actions=torch.zeros(2, 5, dtype=torch.int64))
    assert torch.equal(stay, clip.frames[:, 1:2].expand(-1, 5, -1, -1, -1))
    one, two = (
        rollout(NoisyOracle(), clip, torch.Generator().manual_seed(seed)) for seed in (0, 0)
    )
    assert torch.equal(one, two)
    with pytest.raises(ValueError, match="context"):
        rollout(Oracle(), clip.time(0, 2))
    with pytest.raises(ValueError, match="needs 2 context"):
        rollout(Oracle(), clip.time(0, 1))


# --- whole evaluations -------------------------------------------------------------------------


def test_copy_last_frame_equals_its_own_baseline(store):
    card = judge(CopyLastFrame(ACTIONS, (3, SIZE, SIZE)), store)
    for row in card.fidelity.at:
        drawn = {"n": row.clips, "seeds": (0, 1)}
        assert row.score == replace(row.baseline, seeds=(0, 1)) and row.baseline.n == row.clips
        assert row.gain == Estimate(0.0, 0.0, 0.0, **drawn)
        for measure in row.more:
            assert measure.score == replace(measure.baseline, seeds=(0, 1))
    for row in card.controllability.at:
        assert row.delta == Estimate(0.0, 0.0, 0.0, n=row.clips, seeds=(0, 1))
    curve = card.fidelity.curve
    assert curve.score == tuple(replace(e, seeds=(0, 1)) for e in curve.baseline)
    assert card.fidelity.baseline == "copy last frame" and card.fidelity.unit == "dB"
    assert judge(Deaf(), store).controllability.at[0].delta.value == 0


def test_oracle_is_perfect_and_controllable(store):
    card = judge(Oracle(), store, probe_steps=250)
    for row in card.fidelity.at:
        assert row.score.value == pytest.approx(MAX_PSNR)
        assert row.measure("SSIM").score.value == pytest.approx(1)
        assert row.measure("Feature distance").score.value == pytest.approx(0, abs=1e-6)
        assert row.gain.value > 10
    assert all(row.delta.low > 10 for row in card.controllability.at)
    assert len(card.fidelity.curve.score) == len(card.fidelity.curve.other_actions) == 8
    probe = card.controllability.probe
    assert replace(probe.real, seeds=(0, 1)) == probe.dream  # its frames are the real frames
    assert probe.real.value > 0.8 > 0.6 > probe.majority.value
    assert probe.dream_other.value > 0.8  # it obeys whatever the actions are
    assert probe.transitions == 12 * 8


def test_probe_sees_that_a_world_is_deaf(store):
    probe = judge(Deaf(), store, probe_steps=250).controllability.probe
    assert probe.real.value > 0.8
    assert probe.dream.value < 0.6 and probe.dream_other.value < 0.6


def test_noise_of_known_size_gives_its_psnr(store):
    row = judge(NoisyOracle(), store, horizons=(1,)).fidelity.at[0]
    assert row.score.value == pytest.approx(20 * math.log10(255 / 10), abs=0.5)
    assert row.score.low < row.score.value < row.score.high


def test_short_episodes_are_left_out_and_counted(store):
    card = judge(Oracle(), store, horizons=(1, 8, 30), clips=500)
    first, second = card.fidelity.at
    assert (first.too_short, second.too_short) == (0, 2)
    assert (first.episodes, second.episodes) == (10, 8)
    assert (first.clips, second.clips) == (8 * 19 + 2 * 5, 8 * 12)
    assert card.left_out == (30,) and "horizon 30" in str(card)
    with pytest.raises(ValueError, match="record longer"):
        judge(Oracle(), store, horizons=(30,))
    for wrong in ({"horizons": (0,)}, {"clips": 0}, {"seeds": (-1,)}, {"probe_steps": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            judge(Oracle(), store, **wrong)


def test_evaluation_is_reproducible_and_checks_the_frame_size(store):
    assert judge(NoisyOracle(), store) == judge(NoisyOracle(), store.path)
    assert judge(NoisyOracle(), store) == wm.evaluate(
        NoisyOracle(),
        wm.data.datamodule.ClipDataModule(store, holdout=0.25),
        horizons=(8, 1),
        clips=12,
        seeds=(0, 1),
        probe_steps=0,
        cost=False,
    )
    with pytest.raises(ValueError, match="takes a world, a trained system .* got object"):
        judge(object(), store)
    with pytest.raises(ValueError, match=r"\[3, 16, 16\]"):
        judge(CopyLastFrame(ACTIONS, (3, 32, 32)), store)


def test_passive_video_has_fidelity_only(store, tmp_path):
    writer = EpisodeWriter(tmp_path / "video", None, (3, SIZE, SIZE), env="film.mp4", policy=None)
    for episode in range(6):
        writer.write(Episode(store[episode].frames))
    card = judge(
        CopyLastFrame(ACTIONS, (3, SIZE, SIZE)), tmp_path / "video", holdout=0.5, cost=True
    )
    assert card.controllability is None and card.cost is None
    assert card.fidelity.at[0].gain.value == 0
    text = str(card)
    assert "not measured" in text[text.index("\nControllability") : text.index("\nUtility")]


# --- utility -----------------------------------------------------------------------------------


class Always:
    def __init__(self, action: int) -> None:
        self.action = action

    def reset(self, batch: int) -> None:
        self.batch = batch

    def act(self, frames: torch.Tensor) -> torch.Tensor:
        assert frames.dtype == torch.uint8 and frames.shape == (self.batch, 3, SIZE, SIZE)
        return torch.full((self.batch,), self.action)


def test_returns_in_a_known_game():
    game = Game()
    assert play_episodes(Always(2), game, 3).tolist() == [10.0] * 3
    assert play_episodes(Always(2), game, 2, max_steps=4).tolist() == [4.0] * 2
    assert play_episodes(lambda frame: 1, game, 2).tolist() == [0.0] * 2
    by_chance = play_episodes("random", game, 60)
    assert by_chance.mean() == pytest.approx(10 / 3, abs=0.7)
    assert torch.equal(by_chance, play_episodes("random", game, 60))
    assert play_episodes(RandomPolicy(3), game, 60).mean() == pytest.approx(10 / 3, abs=0.7)


def test_ranks_of_policies_agree_between_the_game_and_its_oracle(store):
    context = store.clip([(episode, 0) for episode in range(10)], 2)
    assert play_dream(Always(2), Oracle(), context, 7).tolist() == [7.0] * 10
    mixtures = {str(epsilon): Mixture(Always(2), 3, epsilon) for epsilon in (0, 0.5, 1)}
    values, correlation = compare_values(mixtures, Oracle(), context, Game(), 40, steps=10)
    assert values["0"] == (10, 10)
    assert correlation.value == pytest.approx(1) and correlation.n == 3
    assert correlation.low <= 1 <= correlation.high + 1e-9


def test_utility_stands_beside_random_and_expert(monkeypatch, store):
    def make(env_id, size, **options):
        assert (env_id, size) == ("my/game", SIZE)
        return Game()

    monkeypatch.setattr("wmlearn.evaluation.utility.make", make)
    ranked = {str(epsilon): Mixture(Always(2), 3, epsilon) for epsilon in (0, 0.5, 1)}
    dreamer = {"dreamer": Always(2)}
    utility = judge(Oracle(), store, policies=dreamer, ranked=ranked, episodes=20).utility
    returns = {row.name: row.value.value for row in utility.returns}
    assert returns["dreamer"] == 10 and 2 < returns["random"] < 5
    assert "scripted expert" not in returns  # nobody wrote one for this game
    assert utility.rank_correlation.value == pytest.approx(1) and utility.ranked == 3


def test_rank_correlation_closed_forms():
    one = torch.tensor([1.0, 2, 3, 4])
    assert rank_correlation(one, one.exp()) == pytest.approx(1)
    assert rank_correlation(one, -one) == pytest.approx(-1)
    tied = torch.tensor([1.0, 2, 2, 3])  # ranks 0, 1.5, 1.5, 3
    assert rank_correlation(one, tied) == pytest.approx(4.5 / math.sqrt(5 * 4.5))
    with pytest.raises(ValueError, match="three or more"):
        rank_correlation(one[:2], one[:2])
    assert rank_correlation(one, torch.ones(4)) is None


# --- cost --------------------------------------------------------------------------------------


class ConvWorld(Oracle):
    """A world that computes one convolution, 3 -> 3 channels, kernel 3."""

    def __init__(self) -> None:
        self.net = nn.Conv2d(3, 3, 3, padding=1)
        self.again = self.net  # counted once

    def see(self, frame, generator):
        return self.net(frame.float()).clamp(0, 255).to(torch.uint8)


def test_cost_counts_parameters_and_arithmetic(store):
    cost = measure_cost(ConvWorld(), store.clip([(0, 0)], 4), batch=4, repeats=1)
    assert cost.parameters == 3 * 3 * 9 + 3
    assert cost.flops_per_frame == 2 * (3 * 3 * 9) * SIZE * SIZE  # a multiply-add is 2
    speeds = cost.frames_per_second, cost.frames_per_second_batch
    assert all(speed.value > 0 and speed.n == 1 for speed in speeds)
    assert cost.threads == torch.get_num_threads() and cost.machine
    assert cost.training_minutes is None
    assert count_parameters(Oracle()) is None


def test_flops_are_those_of_the_plain_algorithms(store):
    """An LSTM under autocast, and a convolution that runs by Winograd's algorithm."""

    class Fast(Oracle):
        def __init__(self) -> None:
            self.conv, self.lstm = FastConv3x3(2, 2, 3, padding=1), nn.LSTM(6, 5, batch_first=True)

        def see(self, frame, generator):
            self.conv(torch.zeros(1, 2, 64, 64))
            with torch.autocast("cpu", torch.bfloat16):
                self.lstm(torch.zeros(1, 3, 6))
            return frame

    cost = measure_cost(Fast(), store.clip([(0, 0)], 4), batch=1, repeats=1)
    assert cost.flops_per_frame == 2 * (2 * 2 * 9 * 64 * 64 + 3 * (6 * 20 + 5 * 20))
