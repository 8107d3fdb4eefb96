"""The evaluation against closed forms, and on worlds whose judgment is known in advance."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from places import REFERENCES
from torch import nn

import wmlearn as wm
from wmlearn.agents.policy import Mixture, RandomPolicy
from wmlearn.cli import main
from wmlearn.data.clip import Clip
from wmlearn.data.episodes import Episode, EpisodeStore, EpisodeWriter
from wmlearn.evaluation import EvaluationCard, evaluate, rollout
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
from wmlearn.files import assets_dir
from wmlearn.metrics import (
    MAX_PSNR,
    Estimate,
    RandomFeatures,
    frechet_distance,
    frechet_estimate,
    mean_estimate,
    psnr,
    ssim,
)
from wmlearn.world import CopyLastFrame, Step, World, WorldModel

SIZE = 16
ACTIONS = gymnasium.spaces.Discrete(3)  # 0 stay, 1 left, 2 right
SHIFT = torch.tensor([0, -1, 1])


def background(seed: int) -> np.ndarray:
    """A random picture; the game is that it moves sideways, one pixel a step."""
    return np.random.default_rng(seed).integers(0, 256, (3, SIZE, SIZE), dtype=np.uint8)


def shifted(frames: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
    moves = zip(frames, SHIFT[actions].tolist(), strict=True)
    return torch.stack([frame.roll(by, -1) for frame, by in moves])


class Oracle(World):
    """The game itself."""

    context_frames, frame_shape, action_space = 2, (3, SIZE, SIZE), ACTIONS

    def reset(self, context: Clip) -> torch.Tensor:
        return context.frames[:, -1]

    def step(self, state, action, generator=None):
        frame = self.see(shifted(state, action), generator)
        reward = (action == 2).float()
        return frame, Step(frame, reward, torch.zeros(len(action), dtype=torch.bool))

    def see(self, frame, generator):
        return frame


class NoisyOracle(Oracle):
    """The game, seen through noise of 10 gray levels."""

    def see(self, frame, generator):
        noise = 10 * torch.randn(frame.shape, generator=generator)
        return (frame + noise).round().clamp(0, 255).to(torch.uint8)


class Deaf(Oracle):
    """Always stays, whatever the action."""

    def step(self, state, action, generator=None):
        return super().step(state, torch.zeros_like(action), generator)


class Game(gymnasium.Env):
    """Reward 1 for moving right, in episodes of 10 steps."""

    action_space = ACTIONS

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8)

    def reset(self, *, seed=None, options=None):
        self.frame, self.left = background(seed or 0), 10
        return self.frame.transpose(1, 2, 0), {}

    def step(self, action):
        self.frame = np.roll(self.frame, SHIFT[action], -1)
        self.left -= 1
        return self.frame.transpose(1, 2, 0), float(action == 2), self.left == 0, False, {}


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> EpisodeStore:
    """40 episodes of random play, the last 10 are to be held out; two of those are short."""
    path = tmp_path_factory.mktemp("data") / "game"
    writer = EpisodeWriter(path, ACTIONS, (3, SIZE, SIZE), env="my/game", policy="random")
    rng = np.random.default_rng(0)
    for episode in range(40):
        steps = 6 if episode in (33, 36) else 20
        actions = rng.integers(0, 3, steps)
        frames = [background(episode)]
        for action in actions:
            frames.append(np.roll(frames[-1], SHIFT[action], -1))
        over = np.arange(steps) == steps - 1
        writer.write(
            Episode(
                np.stack(frames), actions, np.zeros(steps, np.float32), over, np.zeros_like(over)
            )
        )
    return EpisodeStore(path)


def judge(world, store, **options) -> EvaluationCard:
    settings = {"horizons": (1, 8), "clips": 12, "seeds": (0, 1), "holdout": 0.25}
    return evaluate(world, store, **{**settings, "probe_steps": 0, "cost": False, **options})


# --- metrics -----------------------------------------------------------------------------------


def test_psnr_of_a_known_error():
    target = torch.full((2, 3, 3, 16, 16), 100, dtype=torch.uint8)
    torch.testing.assert_close(
        psnr(target + 5, target), torch.full((2, 3), 20 * math.log10(255 / 5)).double()
    )
    assert psnr(target, target).unique().item() == pytest.approx(MAX_PSNR)
    assert pytest.approx(58.92, abs=0.01) == MAX_PSNR
    one_wrong = target.clone()
    one_wrong[0, 0, 0, 0, 0] = 0  # MSE = 100^2 / (3 * 256)
    assert psnr(one_wrong, target)[0, 0] == pytest.approx(10 * math.log10(255**2 * 768 / 1e4))
    with pytest.raises(ValueError, match="uint8"):
        psnr(target.float(), target)
    with pytest.raises(ValueError, match="one shape"):
        psnr(target[:1], target)


def test_ssim_is_one_for_equals_and_keeps_the_batch_shape():
    frames = torch.randint(0, 256, (2, 4, 3, 16, 16), dtype=torch.uint8)
    torch.testing.assert_close(ssim(frames, frames), torch.ones(2, 4).double())
    assert ssim(255 - frames, frames).max() < 0
    with pytest.raises(ValueError, match="11 x 11"):
        ssim(frames[..., :8, :8], frames[..., :8, :8])


def test_frechet_distance_closed_forms():
    x = torch.randn(200, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(x, x.flip(0)) == pytest.approx(0, abs=1e-10)
    shift = torch.tensor([1.0, -2.0, 0.0, 0.0, 2.0], dtype=torch.float64)
    assert frechet_distance(x, x + shift) == pytest.approx(9.0)
    x = (x - x.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T, correction=0))).T
    assert frechet_distance(x, 3 * x) == pytest.approx(5 * (3 - 1) ** 2)  # covariances I and 9 I
    assert frechet_distance(1e4 + x, 1e4 + x + shift) == pytest.approx(9.0, abs=1e-6)


def test_frechet_matches_torchmetrics():
    from torchmetrics.image.fid import _compute_fid

    generator = torch.Generator().manual_seed(0)
    a = torch.randn(50, 6, generator=generator).double()
    b = (torch.randn(70, 6, generator=generator) @ torch.randn(6, 6, generator=generator)).double()
    theirs = _compute_fid(
        a.mean(0), torch.cov(a.T, correction=0), b.mean(0), torch.cov(b.T, correction=0)
    )
    assert frechet_distance(a, b) == pytest.approx(theirs.item())


def test_features_are_fixed_and_see_blur():
    frames = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8)
    extract = RandomFeatures()
    features = extract(frames)
    assert features.shape == (64, 32) and features.dtype == torch.float64
    assert torch.equal(RandomFeatures()(frames), features)
    assert RandomFeatures(1)(frames[:, :1]).shape == (64, 32)
    blurred = nn.functional.avg_pool2d(frames.float(), 3, 1, 1).to(torch.uint8)
    nearly = (frames.int() + 1).clamp(max=255).to(torch.uint8)
    same, blur = (frechet_distance(extract(x), features) for x in (nearly, blurred))
    assert blur > 20 * same
    estimate = frechet_estimate(extract(blurred)[None], features, torch.arange(64))
    assert estimate.value == pytest.approx(blur)
    assert estimate.low < blur < estimate.high


def test_bootstrap_interval_covers_and_respects_episodes():
    generator = torch.Generator().manual_seed(0)
    covered = 0
    for seed in range(200):
        values = torch.randn(30, generator=generator) + 5
        estimate = mean_estimate(values, resamples=400, seed=seed)
        covered += estimate.low <= 5 <= estimate.high
    assert 0.88 <= covered / 200 <= 0.99

    values = torch.randn(20, generator=generator).repeat_interleave(10)  # clips repeat an episode
    episodes = torch.arange(20).repeat_interleave(10)
    naive, honest = mean_estimate(values), mean_estimate(values, episodes)
    assert (honest.high - honest.low) > 2 * (naive.high - naive.low)
    assert mean_estimate(torch.ones(5), torch.zeros(5), seeds=(3,)) == Estimate(
        1.0, n=5, seeds=(3,)
    )
    with pytest.raises(ValueError, match="at least one"):
        mean_estimate(torch.empty(0))


def test_estimates_print_without_minus_zero():
    assert Estimate(-0.01, -0.04, 1.26).format(1) == "0.0 [0.0, 1.3]"
    assert str(Estimate(28.55)) in ("28.5", "28.6")


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


# --- the card ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def card(store) -> EvaluationCard:
    return judge(NoisyOracle(), store, probe_steps=2, cost=True, name="noisy <oracle>")


def test_card_survives_json(card, tmp_path):
    path = card.save(tmp_path / "new folder" / "evaluation.json")
    assert EvaluationCard.load(path) == card
    assert not list(path.parent.glob("*.part"))
    assert json.loads(path.read_text())["format"] == "wmlearn.evaluation"


def test_card_refuses_foreign_files(card, tmp_path):
    def load(change):
        document = json.loads(card.to_json())
        change(document)
        path = tmp_path / "card.json"
        path.write_text(json.dumps(document))
        return EvaluationCard.load(path)

    bad = {
        "not an evaluation card": lambda d: d.update(format="other"),
        "version 3, this wmlearn reads versions 1 and 2": lambda d: d.update(version=3),
        r"card.json: card.seeds is missing": lambda d: d.pop("seeds"),
        "card.extra is not known": lambda d: d.update(extra=1),
        r"card.fidelity.at\[0\].score.value must be float": lambda d: d["fidelity"]["at"][0][
            "score"
        ].update(value="high"),
        "card.name must be str": lambda d: d.update(name=None),
        "card.held_out must be int": lambda d: d.update(held_out=True),
        "card.fidelity.curve must be an object": lambda d: d["fidelity"].update(curve=[]),
        "version 1 is not whole": lambda d: d.update(version=1),
    }
    for message, change in bad.items():
        with pytest.raises(ValueError, match=message):
            load(change)
    (tmp_path / "cut.json").write_text(card.to_json()[:-40])
    with pytest.raises(ValueError, match="cut.json: .*not valid JSON"):
        EvaluationCard.load(tmp_path / "cut.json")
    with pytest.raises(ValueError, match="NaN"):
        EvaluationCard.from_json(card.to_json().replace('"clips": 12', '"clips": NaN'))


def test_card_prints_what_is_missing_as_not_measured(card):
    text = str(card)
    assert text.startswith("noisy <oracle> on my/game")
    assert "10 held-out episodes (random policy), 2 context frames, 2 seeds" in text
    assert "12 (" in text and "copy last frame" in text and "majority class" in text
    utility = text[text.index("\nUtility") : text.index("\nCost")]
    assert "not measured" in utility and "0" not in utility
    bare = str(replace(card, controllability=None, cost=None))
    assert bare.count("not measured") >= 3
    html = card._repr_html_()
    assert "noisy &lt;oracle&gt;" in html and "<oracle>" not in html
    assert html.count("<caption") == html.count("<table>") >= 5
    assert '<th scope="col"' in html and '<th scope="row"' in html


CARDS = sorted([*assets_dir().glob("evaluations/*.json"), *assets_dir().rglob("evaluation.json")])


@pytest.mark.parametrize("path", CARDS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_shipped_card_loads_and_survives(path):
    card = EvaluationCard.load(path)
    assert EvaluationCard.from_json(card.to_json()) == card
    assert str(card).startswith(card.name) and "<table>" in card._repr_html_()


def test_a_card_of_version_1_keeps_its_figures():
    """By name: a number that moved to another place would be read as something else."""
    path = REFERENCES / "evaluation_v1.json"
    old, card = json.loads(path.read_text()), EvaluationCard.load(path)

    def same(new: Estimate, was: dict) -> bool:
        return (new.value, new.low, new.high) == (was["value"], was["low"], was["high"])

    for row, was in zip(card.fidelity.at, old["fidelity"]["at"], strict=True):
        assert [row.horizon, row.clips, row.episodes] == [
            was[k] for k in ("horizon", "clips", "episodes")
        ]
        assert same(row.score, was["psnr"]) and same(row.baseline, was["psnr_copy"])
        assert same(row.gain, was["psnr_gain"]) and row.gain.seeds == (0, 1, 2)
        for name, key in (("SSIM", "ssim"), ("Feature distance", "feature_distance")):
            assert same(row.measure(name).score, was[key])
            assert same(row.measure(name).baseline, was[f"{key}_copy"])
        assert same(row.measure("Feature distance").reference, was["feature_distance_real"])
    for row, was in zip(card.controllability.at, old["controllability"]["at"], strict=True):
        assert same(row.other, was["psnr_other"]) and same(row.delta, was["delta"])
    for name, was in old["controllability"]["probe"].items():
        if isinstance(was, dict):
            assert same(getattr(card.controllability.probe, name), was)
    curve, was = card.fidelity.curve, old["fidelity"]["curve"]
    for new, key in ((curve.score, "dream"), (curve.baseline, "copy")):
        assert all(same(*pair) for pair in zip(new, was[key], strict=True))
    assert card.cost.frames_per_second.value == old["cost"]["frames_per_second"]
    latent, was = card.section("latent actions"), old["latent_actions"]
    assert same(latent.value("recall"), was["recall"])
    assert same(latent.value("accuracy, no name twice"), was["one_to_one"])
    assert latent.row("what each code stands for").text.startswith("0 left, 1 right")


def wmlearn_evaluate(text: str) -> int:
    return main(["evaluate", *text.split()])


def test_command_line_on_a_world(monkeypatch, store, tmp_path, capsys):
    class Known(nn.Module, WorldModel):
        card = {"minutes": 4.5, "system": "known"}

        def world(self, sampler=None):
            return Oracle()

    monkeypatch.setattr("wmlearn.hub.load", lambda name: Known())
    monkeypatch.setattr("wmlearn.hub.find", Path)
    out, figure = tmp_path / "new" / "card.json", tmp_path / "other" / "card.png"
    common = f"name --data {store.path} --clips 6 --seeds 0 --holdout 0.25"
    assert wmlearn_evaluate(
        f"{common} --out {out} --figure {figure} --horizons 1 4 --probe_steps 0"
    ) == 0  # fmt: skip
    card = EvaluationCard.load(out)
    assert card.name == "name" and card.cost.training_minutes == 4.5 and card.utility is None
    assert card.seeds == (0,) and [row.horizon for row in card.fidelity.at] == [1, 4]
    assert figure.stat().st_size > 1000 and "58.9" in capsys.readouterr().out
    for option, says in (
        ("--episodes 3", "Leave out episodes: no policy is given"),
        ("--judge goals=3", "has no option 'goals'"),
        ("--judge goals", "NAME=VALUE"),
        ("--policy name", "not a policy"),
        ("--figure card.gif", "ends in .png, .webp, .svg, .pdf"),
    ):
        assert wmlearn_evaluate(f"{common} --horizons 1 --probe_steps 0 {option}") == 2
        assert says in capsys.readouterr().err
