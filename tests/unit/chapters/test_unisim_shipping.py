"""UniSim's data, its mixture, its policies' searches, and the whole of its shipping, small."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("minigrid")

from wmlearn import hub
from wmlearn.chapters.ch07_unisim import (
    ablations,
    control,
    policies,
    reachers,
    real,
    record,
    train,
)
from wmlearn.chapters.ch07_unisim.mixture import DOMAINS, DeviceNoise, Mixture, said_steps
from wmlearn.chapters.ch07_unisim.record import Recording
from wmlearn.chapters.ch07_unisim.ship import ship
from wmlearn.envs import make
from wmlearn.envs.babyai import MOVES, SENTENCES
from wmlearn.systems.unisim.config import UniSimConfig
from wmlearn.systems.unisim.recipe import SMOKE
from wmlearn.systems.unisim.system import UniSim

BASE = replace(SMOKE, simulator=replace(SMOKE.simulator, frames=12))


@pytest.fixture(scope="module")
def babyai() -> Recording:
    return record.record("babyai", 1500)


def made_up(actions: str, episodes: int = 24, length: int = 26, seed: int = 0) -> Recording:
    """A white square that goes where it is told."""
    rng, frames, done = np.random.default_rng(seed), [], []
    for _ in range(episodes):
        place = rng.uniform(16, 48, 2)
        for _ in range(length):
            frame = np.full((64, 64, 3), 60, np.uint8)
            x, y = place.astype(int)
            frame[y - 4 : y + 4, x - 4 : x + 4] = 230
            action = rng.uniform(-1, 1, 3).astype(np.float32)
            key = int(rng.integers(4))
            step = action[:2] if actions == "motion" else np.array([(key == 2) - (key == 1), 0])
            place = np.clip(place + 4 * step, 8, 56)
            frames.append(frame)
            done.append(action if actions == "motion" else key)
    count = len(frames)
    return Recording(
        np.stack(frames), np.array(done), np.full(episodes, length),
        np.zeros((count, 0), np.float32), np.zeros(count, bool),
    )  # fmt: skip


@pytest.fixture(scope="module")
def recordings(babyai) -> dict[str, Recording]:
    return {
        "babyai": babyai, "fetch": made_up("motion"), "doom": made_up("keys", seed=1),
        "passive": made_up("keys", seed=2),
    }  # fmt: skip


@pytest.fixture(scope="module")
def mixture(recordings) -> Mixture:
    return Mixture(recordings, replace(BASE, domains=DOMAINS))


# --- the recording --------------------------------------------------------------------------------


def test_a_file_gives_back_what_was_recorded(recordings, tmp_path):
    path = record.save(tmp_path / "all.npz", recordings)
    again = record.load(path)
    assert again.keys() == recordings.keys()
    for name, one in recordings.items():
        two = again[name]
        for field in ("actions", "lengths", "state", "reached"):
            assert np.array_equal(getattr(one, field), getattr(two, field)), (name, field)
        error = np.abs(one.frames.astype(int) - two.frames)
        assert error.max() == 0 if name == "babyai" else error.mean() < 3
    assert path.stat().st_size < 0.02 * sum(one.frames.nbytes for one in recordings.values())


def test_recordings_repeat_and_differ_by_seed():
    one, two, three = (record.record("babyai", 100, seed) for seed in (0, 0, 1))
    assert np.array_equal(one.frames, two.frames) and np.array_equal(one.actions, two.actions)
    assert not np.array_equal(one.frames[:50], three.frames[:50])


def test_the_steps_that_are_read_off_a_recording_are_those_of_the_map():
    """They are counted from pictures and sentences; the map's shortest way is asked here alone."""
    env, known = make("babyai/go-to-local"), 0
    for episode in range(40):
        rng = np.random.default_rng([3, episode])
        seed = int(rng.integers(2**31))
        frame, _ = env.reset(seed=seed)
        say, frames, said, ways, over = record.babyai_player(env, rng), [frame], [], [], False
        while not over and len(said) < 40:
            said.append(say())
            ways.append(env.way(said[-1]) if said[-1] >= len(MOVES) else None)
            frame, _, ended, cut, info = env.step(said[-1])
            frames.append(frame)
            over = ended or cut
        reached = np.arange(len(frames)) == (len(frames) - 1 if ended else -1)
        state = np.tile(info["state"], (len(frames), 1))
        steps = said_steps(
            Recording(
                np.stack(frames), np.array([*said, 0]), np.array([len(frames)]), state, reached
            )
        )
        for t, way in enumerate(ways):
            if way is not None and steps[t] >= 0:
                assert steps[t] == len(way), (episode, t)
                known += 1
    assert known > 100


# --- the mixture ----------------------------------------------------------------------------------


def test_an_action_leads_to_the_frame_beside_it(mixture, recordings):
    first = torch.nonzero((mixture.domain == 1) & ~mixture.held_out)[5:8, 0]
    batch = mixture.clips(first, 4)
    offset = int(torch.nonzero(mixture.domain == 1)[0])
    for row, start in enumerate(first.tolist()):
        wanted = recordings["fetch"].actions[start - offset : start - offset + 3]
        assert np.allclose(batch.actions.motion[row, 1:], wanted)
    assert not batch.actions.valid[:, 0].any() and batch.actions.valid[:, 1:].all()


def test_clips_stay_in_their_episode_and_held_out_ones_are_not_trained_on(mixture):
    generator = torch.Generator().manual_seed(0)
    batch = mixture.draw(400, 12, generator)
    assert not mixture.held_out[batch.index].any()
    for t in range(12):
        assert (mixture.end[batch.index[:, t]] == mixture.end[batch.index[:, 0]]).all()
    assert not batch.real.all() and (batch.index[:, 1:] >= batch.index[:, :-1]).all()
    shares = torch.bincount(batch.actions.domain, minlength=4) / 400
    assert torch.allclose(shares, torch.tensor([0.46, 0.16, 0.33, 0.05]), atol=0.01)
    assert mixture.held_out[mixture.draw(50, 2, generator, held_out=True).index].all()


def test_passive_video_has_no_actions(mixture):
    batch = mixture.draw(8, 3, torch.Generator().manual_seed(0), shares={"passive": 1.0})
    a = batch.actions
    assert a.key.eq(-1).all() and a.sentence.eq(-1).all() and not a.valid.any()


@pytest.mark.parametrize("name", ["babyai", "fetch", "doom"])
def test_a_clip_has_its_domains_own_actions(mixture, recordings, name):
    clip, _ = control.held_out_clips(mixture, name, 6, 4)
    number = [d.name for d in DOMAINS].index(name)
    offset = int(torch.nonzero(mixture.domain == number)[0])
    batch = mixture.draw(
        6, 4, torch.Generator().manual_seed(0), held_out=True, shares={name: 1.0}, whole=True
    )
    at = batch.index[:, :-1] - offset
    assert np.allclose(clip.actions, recordings[name].actions[at.numpy()])
    assert torch.equal(clip.frames, mixture.frames[batch.index])


def test_a_spread_past_ends_in_the_newest_frame():
    assert train.spread_out(torch.arange(9)[None], 2).tolist() == [[1, 3, 5, 7, 8]]
    assert train.spread_out(torch.arange(3)[None], 1).tolist() == [[0, 1, 2]]


def test_device_noise_repeats():
    one, two = (DeviceNoise("cpu", 4) for _ in range(2))
    assert torch.equal(one.normal(3, 2), two.normal(3, 2))
    uniform = one.uniform(1000)
    assert 0 <= uniform.min() and uniform.max() < 1


# --- what counts ----------------------------------------------------------------------------------


def test_what_changes_counts_more_than_what_stands_still(mixture):
    rows = torch.nonzero((mixture.domain == 0) & (mixture.episode == 3))[1:6, 0]
    weight = train.what_changes(mixture, rows)
    assert torch.allclose(weight.mean((1, 2, 3)), torch.ones(len(rows)), atol=1e-4)
    for row, each in zip(rows.tolist(), weight, strict=True):
        here, before, after = (mixture.frames[row + k].int() for k in (0, -1, 1))
        moved = ((here - before).abs() + (here - after).abs()).amax(0) > 30
        if moved.any():
            assert each[0][moved].min() > 3 * each.min()
    first = torch.nonzero((mixture.domain == 1) & (mixture.episode == 0))[:1, 0]
    assert train.what_changes(mixture, first).isfinite().all()  # nothing lies before it


def test_a_badly_drawn_tile_counts_more(mixture):
    """The gradient of the loss at a tile grows faster than its error."""
    model = UniSim(mixture.config)
    rows, noise = torch.arange(6), DeviceNoise("cpu", 0)
    errors = train.picture_errors(model, mixture, rows, noise)
    assert errors.shape == (6,) and (errors > 0).all()
    errors.mean().backward()
    assert all(p.grad is not None for p in model.autoencoder.parameters())


def test_both_models_of_what_is_left_learn_while_the_sentences_rest(mixture):
    model = UniSim(mixture.config)
    latents = torch.randn(len(mixture), *(4, 8, 8), generator=torch.Generator().manual_seed(0))
    words = model.simulator.actions.sentences
    before = [p.clone() for p in words.parameters()]
    heads = [p.clone() for m in (model.steps_to_go, model.judge) for p in m.parameters()]
    train.train_heads(model, mixture, latents, 1.0, 8, lambda *_: None)
    assert all(map(torch.equal, before, words.parameters()))
    after = [p for m in (model.steps_to_go, model.judge) for p in m.parameters()]
    assert sum(not torch.equal(a, b) for a, b in zip(heads, after, strict=True)) > len(heads) // 2
    assert all(p.requires_grad for p in words.parameters())


# --- searches in a world that is known ------------------------------------------------------------


class Line:
    """A walk on a line: the state is a place, left and right move, the third move stays."""

    def imagine(self, state, actions, generator=None):
        if actions.is_floating_point():
            return state + actions
        return state + torch.tensor([-1.0, 1.0, 0.0])[actions]

    def steps_to_go(self, state, task=None, goal_latent=None):
        if goal_latent is not None:
            return (state - goal_latent).square().sum(1)
        return (state - task).abs()


def test_looking_ahead_counts_the_steps_of_every_move(monkeypatch):
    monkeypatch.setattr(policies, "repeated", lambda s, n: s.repeat_interleave(n, 0))
    place, goal = torch.tensor([0.0, 5.0]), torch.tensor([3, 3])
    generator = torch.Generator().manual_seed(0)
    for depth in (1, 2):
        values, there = policies.move_values(Line(), place, goal, generator, depth)
        assert values.argmin(1).tolist() == [1, 0]
        assert there.tolist() == [-1, 1, 0, 4, 6, 5]
    one, _ = policies.move_values(Line(), place, goal, generator, 1)
    assert one.tolist() == [[5, 3, 4], [2, 4, 3]]


def test_the_best_motion_goes_towards_the_goal(monkeypatch):
    monkeypatch.setattr(reachers, "repeated", lambda s, n: s.repeat_interleave(n, 0))
    generator = torch.Generator().manual_seed(0)
    start, goal = torch.zeros(32, 3), torch.tensor([[1.0, -1.0, 0.5]]).expand(32, 3)
    best = reachers.best_motion(Line(), start, goal, torch.zeros(32, 3), generator)
    before = goal.square().sum(1)
    after = (start + reachers.HELD * best - goal).square().sum(1)
    assert (after < before).all() and after.mean() < 0.4 * before.mean()
    assert best.abs().max() <= 1


# --- all of it ------------------------------------------------------------------------------------


def test_everything_is_shipped_in_one_command(recordings, tmp_path):
    variants = {name: ablations.VARIANTS[name] for name in ("1 frame", "fetch alone")}
    ship(recordings, tmp_path, 12, BASE, batch=6, variants=variants, clones=4)
    model = hub.load(tmp_path)
    assert isinstance(model.config, UniSimConfig)
    assert [d.name for d in model.config.domains] == ["babyai", "fetch", "doom", "passive"]
    log = json.loads((tmp_path / "log.json").read_text())
    assert {"data", "autoencoder", "simulator", "mover", "reacher", "ablation", "end"} <= {
        row["part"] for row in log
    }
    controls = next(row for row in log if row["part"] == "control, K = 2")
    assert {row["horizon"] for row in controls["doom"]} == {1, 4, 8}
    rows = json.loads((tmp_path / "ablations.json").read_text())
    assert len(rows) == 4 and all("doom" not in r for r in rows if r["variant"] == "fetch alone")
    steps = {row["variant"]: row["steps"] for row in rows}
    assert steps["fetch alone"] == max(1, round(steps["1 frame"] / 2))  # as many clips of it
    assert (tmp_path / "strip.png").stat().st_size > 1000
    policy = real.load_policy(tmp_path / "mover.safetensors", model, "mover")
    share = real.play_babyai(real.mover(model, policy), episodes=3)
    assert 0 <= share.value <= 1 and share.n == 3
    arm = real.load_policy(tmp_path / "reacher.safetensors", model, "reacher")
    frame = recordings["fetch"].frames[0]
    assert real.reacher(model, arm)(frame, frame).shape == (3,)
    inside = real.dream_babyai(model, policy, episodes=2, steps=3)
    assert inside.keys() == {"reward", "judge"} and all(0 <= x.value <= 1 for x in inside.values())


def test_random_moves_seldom_do_a_mission_at_once():
    share = real.play_babyai(real.random_mover, episodes=20)
    assert 0 < share.value < 1 and share.n == 20
    assert len(SENTENCES) == 21


# --- the choices ----------------------------------------------------------------------------------


def test_a_shortened_recording_keeps_its_last_whole_episodes():
    long = made_up("motion", episodes=5, length=10)
    short = ablations.shortened(long, 25)
    assert short.lengths.tolist() == [10, 10]
    assert np.array_equal(short.frames, long.frames[-20:])
    assert np.array_equal(short.actions, long.actions[-20:])
    cut = ablations.shortened(replace(long, frames=long.frames[:-3]), 25)
    assert np.array_equal(cut.frames, long.frames[20:40])


def test_spread_history_is_asked_for_the_same_futures(mixture):
    teacher = UniSim(replace(BASE, domains=DOMAINS))
    futures, latents = ablations.Futures(mixture), torch.zeros(len(mixture), 12, 8, 8)
    latents = latents[:, : teacher.config.autoencoder.latent_channels]
    episodes = []
    for name in (ablations.FULL, "1 frame", "4 frames, every second"):
        variant = ablations.VARIANTS[name]
        model = ablations.small_model(teacher, variant, 0, ablations.SMALL)
        found = ablations.held_out(model, futures, latents, variant, "doom", 6)
        assert [len(row) for row in found["true"]] == [6, 6] and len(found["cost"]) == 2
        episodes.append(found["episode"])
    assert episodes[0] == episodes[1] == episodes[2]


def test_the_table_counts_from_the_same_seeds_first_variant():
    def row(variant, seed, true):
        world = {"episode": [0, 0, 1, 1], "copy": [[20.0] * 4] * 2, "cost": [[1.0] * 4] * 2}
        return {"variant": variant, "seed": seed, "steps": 9,
                "doom": {**world, "true": [[true] * 4, [true - 2] * 4]}}  # fmt: skip

    rows = [row(ablations.FULL, 0, 30.0), row(ablations.FULL, 1, 32.0)]
    rows += [row("1 frame", 0, 29.0), row("1 frame", 1, 30.0)]
    found = ablations.table(rows)
    near, far = found["1 frame"]["doom"]
    assert near["more"]["value"] == -1.5 and near["more"]["seeds"] == [-1.0, -2.0]
    assert far["true"]["value"] == 27.5 and far["horizon"] == 4 and "fetch" not in found["1 frame"]
