"""Chapter 8: motion read off the ground, dead reckoning, and the dream that is guided by it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from wmlearn.chapters.ch08_cosmos.driving import Drives, DrivingProbe
from wmlearn.chapters.ch08_cosmos.followed import by_driver
from wmlearn.chapters.ch08_cosmos.guided import (
    GuidedWorld,
    MotionModel,
    follow,
    in_chunks,
    load_motion,
    train_motion,
)
from wmlearn.chapters.ch08_cosmos.motion import (
    AHEAD,
    MIDDLE,
    PIXELS,
    RIGHT,
    between,
    compose,
    moved,
    path_error,
    read_motions,
    seen_from,
    true_motions,
)
from wmlearn.data.clip import Clip
from wmlearn.envs.driving import ROAD_WIDTH, STATE, CarRacingEnv
from wmlearn.systems.cosmos import Cosmos
from wmlearn.systems.cosmos.recipe import SMOKE


def lawn(places):
    """Frames of smooth hills, seen from places ``[T, 3]``: uint8 ``[1, T, 3, 64, 64]``."""
    frames = []
    for x, y, angle in places.tolist():
        cos, sin = math.cos(angle), math.sin(angle)
        east, north = x + cos * RIGHT - sin * AHEAD, y + sin * RIGHT + cos * AHEAD
        waves = (0.31, 0.17, 0.0), (-0.21, 0.27, 1.0), (0.11, 0.23, 2.0)
        colors = [128 + 60 * (a * east + b * north + c).sin() for a, b, c in waves]
        frames.append(torch.stack(colors))
    return torch.stack(frames).round().to(torch.uint8)[None]


def drive(motion, frames):
    """Places of a car that repeats a motion, the first at the origin: ``[frames, 3]``."""
    path = compose(torch.tensor([motion]).expand(frames - 1, 3)[None])[0]
    return torch.cat([torch.zeros(1, 3), path])


def test_motions_add_up_and_are_taken_back():
    quarter = torch.tensor([[[10.0, 0.0, math.pi / 2]]])
    square = compose(quarter.expand(1, 4, 3))
    assert_close(square[0, 0], torch.tensor([0.0, 10.0, math.pi / 2]), atol=1e-5, rtol=0)
    assert_close(square[0, 1, :2], torch.tensor([-10.0, 10.0]), atol=1e-5, rtol=0)  # left
    assert_close(square[0, 3, :2], torch.zeros(2), atol=1e-5, rtol=0)
    place, motion = torch.randn(5, 3), torch.randn(5, 3)
    assert_close(between(place, moved(place, motion)), motion, atol=1e-5, rtol=1e-5)


def test_motion_is_read_off_the_ground():
    for motion in ((1.2, 0.1, 0.02), (0.3, -0.1, -0.05), (0.0, 0.0, 0.0)):
        frames = lawn(drive(motion, 9))
        whole = compose(torch.tensor([motion]).expand(4, 3)[None])[0, -1][[1, 0, 2]]
        read = read_motions(frames)
        assert read.shape == (1, 2, 3)
        assert (read[0] - whole)[:, :2].abs().max() < 0.05
        assert (read[0] - whole)[:, 2].abs().max() < 0.005


def test_the_scale_is_the_simulators():
    pytest.importorskip("Box2D")
    env = CarRacingEnv()
    frame, info = env.reset(seed=3)
    frames, states = [frame], [info["state"]]
    for t in range(48):
        frame, *_, info = env.step([0.1 * (t > 30), 0.6, 0.0])
        frames.append(frame)
        states.append(info["state"])
    env.close()
    video = torch.stack([torch.tensor(f) for f in frames[32:]]).permute(0, 3, 1, 2)[None]
    state = torch.stack([torch.from_numpy(s) for s in states[32:]])[None]
    read, true = read_motions(video), true_motions(state)
    assert true[0, :, 0].min() > 2  # it drives
    assert (read - true)[..., :2].abs().max() < 0.25
    assert path_error(read, true, 16).item() < 0.05


def test_a_picture_from_elsewhere_shows_what_was_in_sight():
    frames = lawn(torch.tensor([[0.0, 0.0, 0.0], [1.0, 5.0, 0.3]])).float()
    shown, valid = seen_from(frames[:, 0], torch.tensor([[5.0, 1.0, 0.3]]))
    error = (shown - frames[:, 1]).abs().amax(1)
    assert error[valid].max() < 6 and 0.5 < valid.float().mean() < 1
    _, valid = seen_from(frames[:, 0], torch.tensor([[5.0, 0.0, 0.0]]))
    assert not valid[0, :7].any()  # 5 m more were out of sight
    assert valid[0, 8:40].all()
    row, column = round(MIDDLE[1]), round(MIDDLE[0])
    _, valid = seen_from(frames[:, 0], torch.zeros(1, 3))
    assert not valid[0, row, column]  # the car hides it


def test_path_errors_are_in_road_widths_and_between_chunks():
    still, ahead = torch.zeros(1, 3, 3), torch.tensor([[[ROAD_WIDTH, 0.0, 0.0]]]).expand(1, 3, 3)
    assert_close(path_error(ahead, still, 12), torch.tensor([3.0]))
    assert_close(path_error(ahead, still, 6), torch.tensor([1.5]))


def test_dead_reckoning_learns_what_gas_does():
    """A car on a line whose speed is what the gas says, a little later."""
    generator = torch.Generator().manual_seed(0)
    gas = torch.rand(16, 15, 1, generator=generator).repeat_interleave(8, 1)
    actions = torch.cat([torch.zeros_like(gas), gas, torch.zeros_like(gas)], -1)
    speed = torch.zeros(16, 121)
    for t in range(120):
        speed[:, t + 1] = 0.9 * speed[:, t] + 0.1 * 2 * gas[:, t, 0]
    state = torch.zeros(16, 121, len(STATE))
    state[:, 1:, STATE.index("y")] = speed[:, 1:].cumsum(1)
    model = train_motion(state, actions, steps=150, batch=32, chunks=6)
    true = true_motions(state[:, 40:81])
    said = model.reckon(true[:, :4], in_chunks(actions[:, 40:80]))
    still = true[:, 3:4].expand(-1, 6, -1)
    errors = [path_error(m, true[:, 4:], 24).mean() for m in (said, still)]
    assert errors[0] < 0.6 * errors[1]


def test_the_guided_dream_shows_the_ground_it_saw():
    torch.manual_seed(0)
    world = Cosmos(replace(SMOKE, image_size=64)).world()
    model = MotionModel()
    torch.nn.init.zeros_(model.out[-1].weight)
    torch.nn.init.zeros_(model.out[-1].bias)  # goes on as it did
    guided = GuidedWorld(world, model)
    frames = lawn(drive((0.8, 0.0, 0.03), 22))
    state = guided.reset(Clip(frames[:, :17], torch.zeros(1, 16, 3)))
    seen, valid = guided._seen(state, state.motion)
    error = (seen.float() - frames[:, 17:21].float()).abs().amax(2)
    ground = valid.clone()
    ground[..., 44:64, 24:40] = False  # nor the car, which stays in the picture
    assert error[ground].max() < 12 and valid.float().mean() > 0.8
    generator = torch.Generator().manual_seed(0)
    after, step = guided.step(state, torch.zeros(1, 3), generator)
    assert step.frames.shape == (1, 4, 3, 64, 64) and len(after.ground) == 2
    again = guided.step(state, torch.zeros(1, 4, 3), torch.Generator().manual_seed(0))[1]
    assert torch.equal(again.frames, step.frames)
    assert (after.place[:, 1] > 2).all()


def test_paths_of_dreams_are_compared_with_dead_reckoning():
    torch.manual_seed(0)
    world = Cosmos(replace(SMOKE, image_size=64)).world()
    path = drive((0.8, 0.0, 0.0), 17 + 52)
    frames, state = lawn(path), torch.zeros(1, 69, len(STATE))
    state[0, :, [STATE.index(n) for n in ("x", "y", "angle")]] = path
    start = Clip(frames[:, :17], torch.zeros(1, 16, 3), state=state[:, :17])
    rest = (frames[:, 17:], torch.zeros(1, 52, 3), state[:, 17:], torch.zeros(1, 52))
    found = follow(Drives(start, *rest), world, MotionModel(), DrivingProbe().eval())
    assert found["real frames"]["50"]["mean"].value < 0.05 < found["dream"]["50"]["mean"].value
    assert found["as it began"]["50"]["mean"].value < 0.05
    assert found["standing still"]["50"]["median"] == pytest.approx(50 * 0.8 / ROAD_WIDTH, 0.01)
    assert "less than dead reckoning, 50" in found["guided dream"]
    by_driver(found, ["one"])
    still = found["standing still"]["50"]
    assert still["by driver"]["one"] == pytest.approx(still["mean"].value, 1e-4)


def test_the_shipped_motion_model_loads():
    model = load_motion("cosmos-driving")
    with torch.no_grad():
        gas, brake = torch.zeros(2, 20, 3), torch.zeros(2, 20, 3)
        gas[..., 1], brake[..., 2] = 1.0, 0.8
        began = torch.tensor([3.0, 0.0, 0.0]).expand(2, 4, 3)
        fast, slow = (model.reckon(began, in_chunks(a))[0, -1, 0] for a in (gas, brake))
    assert fast > 3.5 and slow < 0.5 * fast
    assert PIXELS[1] > PIXELS[0]


def test_what_is_clean_may_be_edited_while_it_is_drawn():
    system, seen = Cosmos(replace(SMOKE, image_size=64)), []
    system = system.eval()
    c = system.config.tokenizer.latent_channels

    def noise(*shape):
        return torch.randn(shape, generator=torch.Generator().manual_seed(0))

    def mine(clean, level):
        seen.append(level[0].item())
        return torch.full_like(clean, 0.25)

    given = (torch.zeros(2, 2, c, 8, 8), 1, noise, system.config.sampler, torch.zeros(2, 3, 12))
    with torch.no_grad():
        drawn, own = system.denoiser.draw(*given, edit=mine), system.denoiser.draw(*given)
        same = system.denoiser.draw(*given, edit=lambda clean, level: clean)
    assert_close(drawn, torch.full_like(drawn, 0.25))  # the last step ends at what is clean
    assert torch.equal(same, own) and not torch.allclose(own, drawn)
    assert seen == sorted(seen, reverse=True) and len(seen) == system.config.sampler.num_steps
