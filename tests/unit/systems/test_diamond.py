"""DIAMOND's parts against closed forms, and what keeps a dream honest."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from wmlearn.data.clip import Clip
from wmlearn.nn.noise import SampleNoise
from wmlearn.pixels import quantize, to_float, to_uint8
from wmlearn.systems.diamond import Diamond, SamplerConfig, sample
from wmlearn.systems.diamond.denoiser import Denoiser
from wmlearn.systems.diamond.later_round import LaterRound
from wmlearn.systems.diamond.recipe import LAPTOP, RECIPE, SMOKE
from wmlearn.systems.diamond.reward_end import reward_class

SMALL = replace(SMOKE, reward_end=replace(SMOKE.reward_end, image_size=16))


def clip(batch=4, frames=6, size=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Clip(
        torch.randint(256, (batch, frames, 3, size, size), generator=generator, dtype=torch.uint8),
        actions=torch.randint(4, (batch, frames - 1), generator=generator),
        rewards=torch.randn(batch, frames - 1, generator=generator),
        terminated=torch.zeros(batch, frames - 1, dtype=torch.bool),
    )


BOUNDS = ((-1.0, 1.0), (0.0, 1.0), (0.0, 3.0))


def continuous() -> Diamond:
    """With numbers as actions, and no weight at zero, where a new model's modulation begins."""
    torch.manual_seed(0)
    model = Diamond(SMALL.for_actions(0, BOUNDS))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


def test_numbers_as_actions_reach_both_models_brought_to_the_same_range():
    model = continuous()
    low, high = torch.tensor(BOUNDS).T
    given = clip()
    actions = low + (high - low) * torch.rand(*given.actions.shape, 3)
    sum(model.losses(replace(given, actions=actions)).values()).backward()
    for part in (model.denoiser.inner_model, model.reward_end):
        layer = part.action_embedding
        assert (layer.weight.grad.abs().sum(0) > 0).all()
        for numbers, unit in ((low, -1.0), (high, 1.0), ((low + high) / 2, 0.0)):
            expected = torch.nn.functional.linear(torch.full((3,), unit), layer.weight, layer.bias)
            assert_close(layer(numbers), expected)


def test_a_world_of_numbers_as_actions_takes_them_and_obeys():
    world = continuous().world()
    assert world.action_space.shape == (3,)
    assert world.action_space.high.tolist() == [1.0, 1.0, 3.0]
    given = clip(batch=2, frames=2)  # shorter than the context: it stood still before
    start = world.reset(replace(given, actions=torch.rand(2, 1, 3)))
    frames = []
    for gas in (0.0, 3.0):
        action = torch.tensor([[0.0, 0.0, gas]]).expand(2, 3)
        state, step = world.step(start, action, torch.Generator().manual_seed(0))
        frames.append(step.frame)
    assert (frames[0] != frames[1]).any()


@pytest.mark.parametrize("side", [50, 33])
def test_any_side_can_be_learned_and_dreamed(side):
    config = replace(SMOKE, reward_end=replace(SMOKE.reward_end, image_size=side))
    RECIPE.check_side(config, side)
    model = Diamond(config)
    assert all(loss.isfinite() for loss in model.losses(clip(size=side)).values())
    world = model.world()
    _, step = world.step(world.reset(clip(size=side)), torch.zeros(4, dtype=torch.long))
    assert step.frame.shape == (4, 3, side, side)
    with pytest.raises(ValueError, match="--image_size 16, or more"):
        RECIPE.check_side(config, 15)


@pytest.mark.parametrize("objective", ["edm", "ddpm"])
def test_preconditioning_gives_unit_variance(objective):
    """Monte Carlo, with the offset noise: the network's input and target, at every sigma."""
    config = replace(SMOKE.denoiser, objective=objective, sigma_data=0.5, sigma_offset_noise=0.3)
    denoiser = Denoiser(config)
    generator = torch.Generator().manual_seed(0)
    clean = 0.5 * torch.randn(1, 100_000, generator=generator)
    noise = torch.randn(1, 100_000, generator=generator)
    offset = torch.randn(1, 100_000, generator=generator)
    for sigma in (0.01, 0.5, 10.0):
        level = denoiser.noise_level(torch.tensor([sigma]))
        added = sigma * noise + 0.3 * offset
        scaled = denoiser.objective.c_in(level) * (clean + added)
        assert_close(scaled.var().item(), 1.0, rtol=0.02, atol=0)
        target = denoiser.objective.target(clean, added / level, level)
        assert_close(target.var().item(), 1.0, rtol=0.02, atol=0)
        if objective == "ddpm":
            assert_close(target, added / level)


@pytest.mark.parametrize("objective", ["edm", "ddpm"])
@pytest.mark.parametrize("predict", ["frame", "change"])
def test_a_perfect_network_gives_the_clean_frame(monkeypatch, predict, objective):
    """Where F is the target of the loss, the estimate is the clean frame, whatever is diffused."""
    denoiser = Denoiser(replace(SMOKE.denoiser, predict=predict, objective=objective))
    context = quantize(torch.rand(2, 4, 3, 16, 16) * 2 - 1)
    frame = quantize(torch.rand(2, 3, 16, 16) * 2 - 1)
    clean, sigma = frame - denoiser.base(context), torch.tensor([0.3, 2.0])
    level, noise = denoiser.noise_level(sigma), torch.randn_like(clean)
    noisy = denoiser.objective.path.mix(clean, noise, level)
    target = denoiser.objective.target(clean, noise, level)
    monkeypatch.setattr(denoiser, "inner_output", lambda *_: target)
    actions = torch.zeros(2, 4, dtype=torch.int64)
    assert_close(denoiser.estimate(noisy, sigma, context, actions), frame, rtol=0, atol=1e-5)


def test_one_step_from_pure_noise_is_the_estimate_itself():
    denoiser = Denoiser(replace(SMOKE.denoiser, still_below=0.0)).eval()
    torch.nn.init.normal_(denoiser.inner_model.conv_out.weight, std=0.02)
    context, noise = torch.rand(2, 4, 3, 16, 16), torch.randn(2, 3, 16, 16)
    actions = torch.zeros(2, 4, dtype=torch.int64)
    frame = sample(denoiser, context, actions, noise, SamplerConfig(num_steps=1, sigma_max=2.0))
    estimate = denoiser.estimate(noise, torch.full((2,), 2.0), context, actions)
    assert_close(frame, quantize(estimate), rtol=0, atol=1e-5)


def test_frames_survive_the_round_trip():
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_float(levels)), levels)
    dream = quantize(torch.rand(10_000) * 2.4 - 1.2)
    assert torch.equal(to_float(to_uint8(dream)).mul(127.5).round(), dream.mul(127.5).round())


def test_from_the_second_frame_on_the_context_is_the_model_s_own():
    """The loss of frame n + 1 must not see the true frame n."""
    denoiser = Denoiser(SMOKE.denoiser)
    torch.nn.init.normal_(denoiser.inner_model.conv_out.weight, std=0.02)
    frames, actions = to_float(clip().frames), clip().actions
    seen = []
    original = denoiser.inner_output
    denoiser.inner_output = lambda noisy, c, context, a: (
        seen.append(context.clone()) or original(noisy, c, context, a)
    )
    _, estimates = denoiser.loss(frames, actions, SampleNoise(0, 0, 4).normal)
    assert torch.equal(seen[0], frames[:, :4])
    assert torch.equal(seen[1][:, :3], frames[:, 1:4])
    assert torch.equal(seen[1][:, 3], estimates[:, 0])
    assert not torch.equal(seen[1][:, 3], frames[:, 4])


def test_context_noise_reaches_the_past_and_not_the_target():
    seen, batch = [], clip()
    config = replace(SMALL, denoiser=replace(SMALL.denoiser, context_noise=0.2))
    system = RECIPE.build(config)
    assert type(system) is LaterRound and type(RECIPE.build(SMALL)) is Diamond
    original = system.denoiser.loss
    system.denoiser.loss = lambda frames, *rest: seen.append(frames) or original(frames, *rest)
    _, estimates = system.denoising_loss(batch, SampleNoise(0, 0, 4))
    frames = to_float(batch.frames)
    level = (seen[0][:, :4] - frames[:, :4]).flatten(1).std(1)
    assert (level > 0).all() and (level <= 0.22).all() and level.std() > 0.01
    assert torch.equal(seen[0][:, 4:], frames[:, 4:])
    # An untrained network adds nothing: its estimate is the noisy past, not the true next frame.
    assert (estimates[:, 0] - frames[:, 4]).abs().mean() > 0.3


def test_what_hardly_changes_stays(monkeypatch):
    denoiser = Denoiser(replace(SMOKE.denoiser, still_below=3.0))
    context = quantize(torch.rand(1, 4, 3, 16, 16) - 0.5)
    change = torch.zeros(1, 3, 16, 16)
    change[..., :8] = 2 / 127.5  # below the threshold
    change[:, 1, :, 8:] = 4 / 127.5  # above it in one channel
    estimate = context[:, -1] + change
    monkeypatch.setattr(denoiser, "estimate", lambda *_: estimate)
    got = denoiser.denoise(change, torch.ones(1), context, torch.zeros(1, 4, dtype=torch.int64))
    assert (got[..., :8] == 0).all()
    assert_close(got[..., 8:], (quantize(estimate) - context[:, -1])[..., 8:])


def test_one_batch_can_be_learned():
    """The whole system overfits four clips: all three losses fall by far."""
    system = Diamond(replace(SMALL, learning_rate=3e-3))
    batch = clip()
    optimizer = torch.optim.AdamW(system.parameters(), lr=3e-3)
    first = {name: value.item() for name, value in system.losses(batch, 0).items()}
    for step in range(80):
        optimizer.zero_grad()
        losses = system.losses(batch, step)
        sum(losses.values()).backward()
        optimizer.step()
    assert losses["denoising"].item() < 0.7 * first["denoising"]
    assert losses["reward"].item() < 0.3 * first["reward"]
    assert losses["end"].item() < 0.1


def test_losses_belong_to_the_step_not_to_the_process():
    """Half a batch on rank 1 draws what the second half draws in one process."""
    whole = SampleNoise(3, 5, batch=4).normal(4, 2, 2)
    half = SampleNoise(3, 5, batch=2, rank=1).normal(2, 2, 2)
    assert torch.equal(whole[2:], half)
    assert not torch.equal(whole, SampleNoise(3, 6, batch=4).normal(4, 2, 2))


def test_the_denoiser_learns_from_every_part_of_a_long_clip():
    system, batch = Diamond(SMALL), clip(batch=64, frames=12)
    piece = system.random_piece(batch, SampleNoise(0, 0, 64))
    starts = [
        [t for t in range(7) if torch.equal(batch.frames[b, t : t + 6], piece.frames[b])]
        for b in range(64)
    ]
    assert {t for (t,) in starts} == set(range(7)), "6 frames at every offset"
    for b, (t,) in enumerate(starts):
        for name in ("actions", "rewards", "terminated"):
            between = getattr(batch, name)[b, t : t + 5]
            assert torch.equal(getattr(piece, name)[b], between), name
    short = clip(frames=6)
    assert system.random_piece(short, SampleNoise(0, 0, 4)) is short


def test_reward_and_end_can_learn_from_dreams_alone():
    """With a frozen denoiser only the reward model gets a gradient, from its dreams too."""
    batch = clip()
    plain = Diamond(SMALL).losses(batch)
    system = RECIPE.build(replace(SMALL, train_denoiser=False, reward_on_dreams=True))
    losses = system.losses(batch)
    assert losses["reward"] != plain["reward"] and losses["denoising"] == plain["denoising"]
    sum(losses.values()).backward()
    assert all(p.grad is None for p in system.denoiser.parameters())
    assert all(p.grad is not None for p in system.reward_end.parameters())


def test_padding_is_not_learned():
    """Frames beyond an episode's end change no loss, and what is before it still counts."""
    torch.manual_seed(0)
    system = Diamond(replace(SMALL, autoregressive_steps=2)).eval()
    system.reward_end.head[-1].weight.data.normal_()
    system.denoiser.inner_model.conv_out.weight.data.normal_()
    real = clip()
    padded = torch.zeros(real.frames.shape[:2], dtype=torch.bool)
    padded[:, -1] = True
    cut = replace(real, padded=padded)
    frames, actions = real.frames.clone(), real.actions.clone()
    frames[:, -1], actions[:, -1] = 7, 0
    other = replace(cut, frames=frames, actions=actions, rewards=real.rewards.clone())
    other.rewards[:, -1] = 1 - real.rewards[:, -1]
    whole, one, two = (system.losses(c) for c in (real, cut, other))
    for name in one:
        assert_close(one[name], two[name])
        assert one[name] != whole[name] and one[name] > 0


def test_reward_classes_are_signs():
    assert reward_class(torch.tensor([-4.0, 0.0, 99.0])).tolist() == [0, 1, 2]


def test_short_contexts_are_padded_as_in_training():
    world = Diamond(SMALL).world()
    one = clip(frames=1)
    one = Clip(one.frames, actions=torch.zeros(4, 0, dtype=torch.int64))
    state = world.reset(one)
    assert state.frames.shape[1] == 4 and (state.frames == one.frames[:, :1]).all()
    assert (state.actions == 0).all()
    with pytest.raises(ValueError, match="frames of shape"):
        world.reset(clip(size=32))


def test_states_can_branch():
    """The same state, twice the same noise, two actions: only the action differs."""
    config = replace(SMALL, denoiser=replace(SMALL.denoiser, cond_channels=64))
    system = Diamond(config)
    torch.nn.init.normal_(system.denoiser.inner_model.conv_out.weight, std=0.05)
    for block in system.denoiser.inner_model.unet.middle:
        torch.nn.init.normal_(block.conv2.weight, std=0.05)
    world = system.world()
    state = world.reset(clip())
    before = state.frames.clone()

    def step(action):
        actions = torch.full((4,), action)
        return world.step(state, actions, torch.Generator().manual_seed(1))[1].frame

    assert torch.equal(step(1), step(1)) and not torch.equal(step(1), step(2))
    assert torch.equal(state.frames, before), "a step changes no state in place"


def test_passive_video_is_refused():
    passive = Clip(clip().frames)
    with pytest.raises(ValueError, match="has no actions"):
        Diamond(SMALL).losses(passive)


def test_no_data_dependent_branches():
    """The loss traces to one graph on the meta device: no stray tensors, no look at values."""
    with torch.device("meta"):
        denoiser = Denoiser(LAPTOP.denoiser)
        frames = torch.empty(2, 6, 3, 64, 64)
        actions = torch.zeros(2, 5, dtype=torch.int64)
        loss, _ = denoiser.loss(frames, actions, lambda *s: torch.empty(*s, device="meta"))
        loss.backward()
    assert loss.device.type == "meta"
