"""V-JEPA 2-AC: its losses fall, its world computes what the predictor computes, its recipe fits."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

import wmlearn as wm
from wmlearn.agents.cem import CEMConfig, feature_distance, plan
from wmlearn.data.clip import Clip
from wmlearn.data.episodes import Episode, EpisodeStore, EpisodeWriter
from wmlearn.systems.vjepa2_ac import VJEPA2AC, VJEPA2ACConfig
from wmlearn.systems.vjepa2_ac.recipe import SMOKE
from wmlearn.train.fit import fit
from wmlearn.world import World, where_state

CONFIG = replace(
    SMOKE,
    low=(-1.0,) * 3,
    high=(1.0,) * 3,
    state_mean=(1.3, 0.7, 0.5),
    state_std=(0.1, 0.1, 0.1),
    state_per_action=((0.06, 0, 0), (0, 0.06, 0), (0, 0, 0.06)),
)


def make_clip(batch=4, length=4, seed=0, side=64):
    """A white square that the action moves over a dark frame, and where it is."""
    rng = np.random.default_rng(seed)
    actions = rng.uniform(-1, 1, (batch, length - 1, 3)).astype(np.float32)
    start = rng.uniform(0.3, 0.7, (batch, 1, 3))
    moved = np.concatenate([np.zeros((batch, 1, 3)), actions.cumsum(1) * 0.06], axis=1)
    state = (start + moved).astype(np.float32)
    frames = np.zeros((batch, length, 3, side, side), np.uint8)
    for b in range(batch):
        for t in range(length):
            x, y = (state[b, t, :2].clip(0.1, 0.9) * side).astype(int)
            frames[b, t, :, y - 5 : y + 5, x - 5 : x + 5] = 255
    return Clip(*map(torch.from_numpy, (frames, actions)), state=torch.from_numpy(state))


def test_the_loss_falls_and_the_encoder_stays():
    system, clip = VJEPA2AC(replace(CONFIG, predict="features")), make_clip()
    before = [p.clone() for p in system.encoder.parameters()]
    optimizer = torch.optim.AdamW([p for p in system.parameters() if p.requires_grad], 3e-3)
    first = None
    for _ in range(60):
        losses = system.losses(clip)
        first = first or {name: float(value.detach()) for name, value in losses.items()}
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    assert set(losses) == {"teacher_forcing", "rollout", "inverse"}
    for name in ("teacher_forcing", "rollout"):
        assert losses[name] < 0.8 * first[name], name
    after = system.encoder.parameters()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_padded_transitions_do_not_count():
    system, clip = VJEPA2AC(CONFIG).eval(), make_clip()
    padded = torch.zeros(4, 4, dtype=torch.bool)
    padded[:, 3] = True
    broken = clip.frames.clone()
    broken[:, 3] = 77
    whole = system.losses(replace(clip, padded=padded))
    other = system.losses(replace(clip, frames=broken, padded=padded))
    assert torch.equal(whole["teacher_forcing"], other["teacher_forcing"])


def test_a_frame_is_encoded_by_itself():
    system, clip = VJEPA2AC(CONFIG), make_clip()
    alone = system.encode(clip.frames[:, 2:3])
    assert torch.allclose(system.encode(clip.frames)[:, 2:3], alone, atol=1e-6)


@pytest.mark.parametrize("predict", ["features", "change"])
def test_the_world_computes_what_the_predictor_computes(predict):
    system, clip = VJEPA2AC(replace(CONFIG, predict=predict)), make_clip(length=4)
    torch.nn.init.normal_(system.predictor.out.weight, std=0.1)
    world = system.world()
    assert isinstance(world, World)
    state = world.reset(clip.time(0, 1))
    features, arms = system.encode(clip.frames[:, :1]), [system.arm(state.arm)]
    for t in range(3):
        state, step = world.step(state, clip.actions[:, t])
        with torch.no_grad():
            whole = system.predict(features, clip.actions[:, : t + 1], torch.stack(arms, 1))
        assert torch.allclose(step.features, whole[:, -1], atol=1e-5)
        features = torch.cat([features, step.features[:, None]], dim=1)
        arms.append(system.arm(state.arm))
    assert step.frame is None and step.features.shape == (4, 16, 32)
    assert torch.allclose(state.arm, clip.state[:, -1], atol=1e-6)  # here the pose adds up exactly


def test_a_longer_context_is_used():
    system, clip = VJEPA2AC(CONFIG), make_clip()
    torch.nn.init.normal_(system.predictor.out.weight, std=0.1)
    world, action = system.world(), torch.zeros(4, 3)
    ahead = [world.step(world.reset(clip.time(t, 3)), action)[1].features for t in (0, 2)]
    with torch.no_grad():
        actions = torch.cat([clip.actions[:, :2], action[:, None]], dim=1)
        states = system.arm(clip.state[:, :3])
        whole = system.predict(system.encode(clip.frames[:, :3]), actions, states)[:, -1]
    assert torch.allclose(ahead[0], whole, atol=1e-5)
    assert not torch.allclose(ahead[1], whole, atol=1e-3)


def test_the_world_is_deterministic_and_its_states_can_be_mixed():
    world, clip = VJEPA2AC(CONFIG).world(), make_clip(length=2)
    a, b = world.reset(clip), world.reset(clip)
    for t in range(9):  # longer than the predictor's memory
        a, step = world.step(a, torch.full((4, 3), 0.1 * t), torch.Generator().manual_seed(t))
        b, again = world.step(b, torch.full((4, 3), 0.1 * t), torch.Generator().manual_seed(99))
        assert torch.equal(step.features, again.features)
    other, _ = world.step(b, torch.ones(4, 3))
    same, _ = world.step(a, torch.zeros(4, 3))
    mixed = where_state(torch.tensor([True, False, True, False]), other, same)
    assert torch.equal(mixed.features[0], other.features[0])
    assert torch.equal(mixed.features[1], same.features[1])


def test_planning_in_features():
    world, clip = VJEPA2AC(CONFIG).world(), make_clip(batch=1, length=1)
    goal = world.encode(clip.frames)[:, 0]
    found = plan(world, clip, feature_distance(goal), CEMConfig(samples=8, elites=2, iterations=2))
    assert found.actions.shape == (2, 3) and found.actions.abs().max() <= 1
    assert found.energy < 0.5


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match="state"):
        VJEPA2AC(CONFIG).losses(replace(make_clip(), state=None))
    with pytest.raises(ValueError, match="feature_dim"):
        VJEPA2ACConfig(predictor=replace(CONFIG.predictor, feature_dim=7))


def write_dataset(path, episodes=6, names=("gripper_x", "gripper_y", "gripper_z")):
    box = gymnasium.spaces.Box(-1.0, 1.0, (3,), np.float32)
    writer = EpisodeWriter(path, box, (3, 64, 64), env="toy", state_names=list(names))
    for seed in range(episodes):
        clip = make_clip(1, 9, seed)
        none = np.zeros(8, np.bool_)
        writer.write(
            Episode(
                clip.frames[0].numpy(),
                clip.actions[0].numpy(),
                np.zeros(8, np.float32),
                none,
                none,
                clip.state[0].numpy(),
            )  # fmt: skip
        )
    return path


def test_fit_save_and_load(tmp_path):
    data = write_dataset(tmp_path / "data")
    assert EpisodeStore(data).clip([(0, 2)], 3).state.shape == (1, 3, 3)
    made = fit("vjepa2-ac", tier="smoke", data=data, out=tmp_path / "run", progress=False)
    motion = np.array(made.system.config.state_per_action)
    assert np.allclose(motion, 0.06 * np.eye(3), atol=1e-3)  # found in the recording
    loaded = wm.load(tmp_path / "run")
    clip = make_clip()
    ours, theirs = (m.world().reset(clip).features for m in (made.system.eval(), loaded))
    assert torch.equal(ours, theirs)
    frozen = fit(
        "vjepa2-ac", tier="smoke", data=data, out=tmp_path / "run2",
        progress=False, **{"system.encoder_from": str(tmp_path / "run"), "seed": 5},
    )  # fmt: skip
    same = zip(frozen.system.encoder.parameters(), loaded.encoder.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in same)


def test_data_without_the_arms_pose_is_refused(tmp_path):
    data = write_dataset(tmp_path / "data", 3, ("block_x", "block_y", "block_z"))
    with pytest.raises(ValueError, match="pose"):
        fit("vjepa2-ac", tier="smoke", data=data, out=tmp_path / "run")
