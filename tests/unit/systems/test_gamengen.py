"""GameNGen: autoencoder's losses, denoiser, training's parts, and the world."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from wmlearn.data.clip import Clip
from wmlearn.evaluation.rollout import rollout
from wmlearn.nn.autoencoder import (
    AutoencoderConfig,
    Gaussian,
    KLAutoencoder,
    color_bins,
    rare_color_weights,
    reconstruction_errors,
)
from wmlearn.systems.gamengen import GameNGen, SamplerConfig
from wmlearn.systems.gamengen.recipe import RECIPE, SHIPPED, SMOKE
from wmlearn.world import World

CONFIG = replace(SMOKE, image_size=32, max_steps=10)


@pytest.fixture(scope="module")
def system():
    system = GameNGen(CONFIG)
    torch.manual_seed(0)
    for parameter in system.parameters():  # what starts at zero would hide what is before it
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return system


def clip(batch=3, length=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randint(256, (batch, length, 3, 32, 32), generator=generator).byte()
    steps = batch, length - 1
    actions = torch.randint(4, steps, generator=generator)
    reward = torch.randint(-1, 2, steps, generator=generator).float()
    end = torch.zeros(steps, dtype=torch.bool)
    return Clip(frames, actions, reward, end, end)


def noise(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(shape, generator=generator)


# --- the autoencoder ---------------------------------------------------------------------------


def test_the_divergence_is_zero_for_a_standard_normal_and_as_in_torch_elsewhere():
    zero = torch.zeros(2, 4, 3, 3)
    assert_close(Gaussian(zero, zero).kl(), torch.zeros(2))
    mean, logvar = torch.randn(2, 2, 4, 3, 3).unbind(0)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(
        normal(mean, (logvar / 2).exp()), normal(zero, 1 + zero)
    )
    assert_close(Gaussian(mean, logvar).kl(), expected.sum((1, 2, 3)))


@pytest.mark.parametrize(("patch", "channels", "factor"), [(4, (8,), 4), (1, (8, 8, 8), 4)])
def test_latents_have_the_size_that_the_factor_says(patch, channels, factor):
    config = AutoencoderConfig(
        latent_channels=5, channels=channels, layers_per_block=1, groups=4, patch_size=patch
    )
    model = KLAutoencoder(config)
    latents = model.encode(torch.rand(2, 3, 32, 32))
    assert config.factor == factor
    assert latents.mean.shape == (2, 5, 8, 8)
    assert model.decode(latents.mean).shape == (2, 3, 32, 32)


def test_a_rare_color_weighs_more_within_bounds():
    frames = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    frames[..., :4, :5] = 255
    weights = rare_color_weights(frames, low=0.0, high=1e9)[color_bins(frames)]
    assert weights[0, 0, 0] > 10 * weights[0, -1, -1]
    bounded = rare_color_weights(frames)
    assert bounded.max() <= 15 and bounded.min() == pytest.approx(0.3)


def test_bins_of_colors():
    frames = torch.tensor([[0, 0, 15], [0, 16, 0], [255, 255, 255]], dtype=torch.uint8)
    assert color_bins(frames[:, :, None, None]).flatten().tolist() == [0, 16, 4095]


def test_blurring_costs_more_than_its_squared_error_says():
    edges = torch.zeros(1, 3, 16, 16)
    edges[..., ::2] = 1
    weight = torch.ones(1, 1, 16, 16)
    blurred = torch.full_like(edges, 0.5)
    shifted = edges + 0.5  # the same absolute error in every pixel, all edges kept
    assert reconstruction_errors(blurred, edges, weight) > 1.2 * reconstruction_errors(
        shifted, edges, weight
    )
    assert reconstruction_errors(edges, edges, weight).item() == 0


# --- the denoiser ------------------------------------------------------------------------------


def test_buckets_share_the_range_of_the_noise(system):
    levels = torch.tensor([0.0, 0.069, 0.071, 0.35, 0.699, 0.7])
    assert system.denoiser.bucket_of(levels).tolist() == [0, 0, 1, 5, 9, 9]


def test_a_dropped_context_is_not_seen_and_a_kept_one_is(system):
    config = replace(system.denoiser.config, drop_context=1.0)
    latents, actions = torch.randn(2, 3, 4, 8, 8), torch.zeros(2, 2, dtype=torch.long)
    other = torch.cat([torch.randn(2, 2, 4, 8, 8), latents[:, 2:]], dim=1)

    def losses(denoiser_config):
        before, system.denoiser.config = system.denoiser.config, denoiser_config
        loss = [
            system.denoiser.loss(z[:, :-1], z[:, -1], actions, noise()) for z in (latents, other)
        ]
        system.denoiser.config = before
        return loss

    assert_close(*losses(config))
    seen, changed = losses(replace(config, drop_context=0.0))
    assert (seen - changed).abs().min() > 1e-6


def test_every_action_in_the_window_matters(system):
    latents = torch.randn(1, 2, 4, 8, 8)
    sampler = SamplerConfig(num_steps=2, guidance=1.0)

    def draw(*actions):
        return system.denoiser.sample(latents, torch.tensor([actions]), noise(), sampler)

    base = draw(0, 0)
    assert (draw(1, 0) - base).abs().max() > 1e-5
    assert (draw(0, 1) - base).abs().max() > 1e-5


def test_guidance_of_one_is_the_conditional_draw_and_more_goes_beyond(system):
    latents, actions = torch.randn(2, 2, 4, 8, 8), torch.zeros(2, 2, dtype=torch.long)

    def draw(past, guidance):
        return system.denoiser.sample(past, actions, noise(), SamplerConfig(1, guidance))

    conditional, unconditional = draw(latents, 1.0), draw(torch.zeros_like(latents), 1.0)
    expected = unconditional + 1.5 * (conditional - unconditional)
    assert_close(draw(latents, 1.5), expected, rtol=1e-4, atol=1e-5)


def test_the_guess_is_the_best_one_where_latents_wander_as_it_assumes(system):
    """For x = last + s N(0, 1), no multiple of the guess's x is nearer to x than itself."""
    denoiser, s = system.denoiser, system.denoiser.config.near_last
    generator = torch.Generator().manual_seed(0)
    last, change, eps = (torch.randn(400, 4, 8, 8, generator=generator) for _ in range(3))
    x, level, added = last + s * change, torch.full((400,), 0.4), torch.zeros(400)
    z = denoiser.path.mix(x, eps, level)
    error, v = denoiser.guess(z, level, last, added)
    assert (v - denoiser.prediction.target(x, eps, level)).std().item() == pytest.approx(
        error[0].item(), rel=0.02
    )
    alpha, sigma = denoiser.path.alpha(level)[0], denoiser.path.sigma(level)[0]
    still = (alpha * z - last) / sigma  # as if x were the last one exactly
    target = denoiser.prediction.target(x, eps, level)
    assert (v - target).std() < 0.95 * (still - target).std()
    at_noise = denoiser.guess(eps, torch.ones(400), last, added)[1]
    assert_close(at_noise, -last, rtol=0, atol=1e-4)


def test_a_weight_of_zero_leaves_positions_out(system):
    latents, actions = torch.randn(2, 3, 4, 8, 8), torch.zeros(2, 2, dtype=torch.long)
    weight = torch.zeros(2, 1, 8, 8)
    loss = system.denoiser.loss(latents[:, :-1], latents[:, -1], actions, noise(), weight)
    assert loss.tolist() == [0, 0]


# --- training ----------------------------------------------------------------------------------


def test_latents_are_scaled_to_unit_variance_and_the_scale_is_kept():
    system = GameNGen(CONFIG)
    frames = clip(8).frames
    system.measure_scale(frames.flatten(0, 1))
    latents = system.encode(frames)
    assert latents.shape == (8, 3, 4, 8, 8)
    assert_close(latents.std((0, 1, 3, 4)), torch.ones(4), rtol=1e-3, atol=1e-3)
    assert_close(latents.mean((0, 1, 3, 4)), torch.zeros(4), rtol=1e-3, atol=1e-3)
    again = GameNGen(CONFIG)
    again.load_state_dict(system.state_dict())
    assert_close(again.latent_std, system.latent_std)


def test_the_parts_take_turns():
    system = GameNGen(replace(CONFIG, max_steps=100))
    turns = [system.parts_at(step) for step in (0, 49, 50, 94, 95, 99)]
    assert turns == [("autoencoder",)] * 2 + [("denoiser",)] * 2 + [("decoder",)] * 2


def test_a_run_starts_from_a_trained_autoencoder():
    trained = GameNGen(replace(CONFIG, seed=1))
    trained.measure_scale(clip(8).frames.flatten(0, 1))
    other = replace(CONFIG.denoiser, context_frames=4)
    smaller, equal = GameNGen(replace(CONFIG, denoiser=other)), GameNGen(CONFIG)
    fresh = smaller.denoiser.unet.conv_in.weight.clone()
    RECIPE.initialize(smaller, trained)
    RECIPE.initialize(equal, trained)
    assert_close(smaller.encode(clip().frames), trained.encode(clip().frames))
    assert torch.equal(smaller.denoiser.unet.conv_in.weight, fresh)
    for name, value in trained.state_dict().items():
        assert torch.equal(equal.state_dict()[name], value)
    wider = replace(CONFIG, autoencoder=replace(CONFIG.autoencoder, channels=(24,)))
    with pytest.raises(ValueError, match="other sizes"):
        RECIPE.initialize(GameNGen(wider), trained)


def test_what_counts_more_does_not_depend_on_the_frame_to_be_predicted(system):
    """Else rare colors would be predicted where they are only possible."""
    batch, other = clip(), clip(seed=5)
    system.color_weights.copy_(torch.rand(4096))
    frames = torch.cat([batch.frames[:, :-1], other.frames[:, -1:]], dim=1)
    weight, changed = (
        system.prepare(Clip(f, batch.actions, batch.rewards, batch.terminated))[-1]
        for f in (batch.frames, frames)
    )
    assert torch.equal(weight, changed)
    frames = torch.cat([batch.frames[:, :-2], other.frames[:, -2:-1], batch.frames[:, -1:]], dim=1)
    moved = system.prepare(Clip(frames, batch.actions, batch.rewards, batch.terminated))[-1]
    assert not torch.equal(weight, moved)
    system.color_weights.fill_(1.0)


@pytest.mark.parametrize(
    ("part", "learns", "rests"),
    [
        ("autoencoder", ("autoencoder.encoder", "autoencoder.decoder"), ("denoiser", "reward")),
        ("denoiser", ("denoiser", "reward_end"), ("autoencoder",)),
        ("decoder", ("autoencoder.decoder",), ("autoencoder.encoder", "denoiser")),
    ],
)
def test_a_loss_reaches_its_own_part_only(system, part, learns, rests):
    system.zero_grad(set_to_none=True)
    sum(system.losses(clip(), (part,)).values()).backward()
    moved = {name for name, p in system.named_parameters() if p.grad is not None and p.grad.any()}
    for prefix in learns:
        assert any(name.startswith(prefix) for name in moved)
    for prefix in rests:
        assert not any(name.startswith(prefix) for name in moved)


def test_noise_depends_on_seed_and_step_alone(system):
    first, again = (system.losses(clip(), ("denoiser",), step=3) for _ in range(2))
    other = system.losses(clip(), ("denoiser",), step=4)
    assert first == again
    assert first["denoising"] != other["denoising"]


def test_of_each_clip_one_frame_is_the_hardest(system):
    from wmlearn.nn.noise import SampleNoise

    frames = torch.full((2, 3, 3, 32, 32), 128, dtype=torch.uint8)
    frames[0, 2], frames[1, 1] = clip().frames[0, 0], clip().frames[1, 0]
    chosen = system._one_and_the_hardest(frames, SampleNoise(0, 0, 2))
    assert chosen.shape == (4, 3, 32, 32)
    assert torch.equal(chosen[1], frames[0, 2]) and torch.equal(chosen[3], frames[1, 1])


def test_it_learns_one_batch():
    system = GameNGen(CONFIG)
    batch, optimizer = clip(2), torch.optim.Adam(system.denoiser.parameters(), 3e-3)
    inputs = system.prepare(batch)
    losses = []
    for step in range(60):
        loss = system.denoiser_losses(*inputs, noise(step))["denoising"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])


def test_the_shipped_configuration_fits_into_the_megabytes_allowed():
    with torch.device("meta"):
        parameters = sum(p.numel() for p in GameNGen(SHIPPED).parameters())
    assert 2 * parameters < 12e6


# --- the world ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(system):
    return system.world()


def test_it_is_a_world(world):
    assert isinstance(world, World)
    assert world.frame_shape == (3, 32, 32) and world.action_space.n == 4


def test_the_same_generator_gives_the_same_dream(world):
    context = clip(length=6)

    def dream(seed):
        return rollout(world, context, torch.Generator().manual_seed(seed))

    assert torch.equal(dream(1), dream(1))
    assert not torch.equal(dream(1), dream(2))
    assert dream(1).shape == (3, 4, 3, 32, 32) and dream(1).dtype == torch.uint8


def test_a_longer_context_counts_only_at_its_end_and_a_short_one_is_continued_backwards(world):
    long = clip(length=7)
    state, recent = world.reset(long), world.reset(long.time(5, 7))
    assert_close(state.latents, recent.latents, rtol=0, atol=1e-2)
    assert torch.equal(state.actions, recent.actions)
    short = world.reset(long.time(0, 1))
    assert short.latents.shape == state.latents.shape
    assert torch.equal(short.latents[:, 0], short.latents[:, 1])
    assert short.actions.tolist() == [[0]] * 3


def test_a_step_moves_the_window_on(world):
    state = world.reset(clip())
    action = torch.tensor([1, 2, 3])
    after, step = world.step(state, action, torch.Generator().manual_seed(0))
    assert torch.equal(after.latents[:, 0], state.latents[:, 1])
    assert torch.equal(after.actions[:, -1], action)
    assert step.reward.shape == step.terminated.shape == step.end_probability.shape == (3,)
    assert ((step.end_probability > 0) & (step.end_probability < 1)).all()


def test_what_a_row_dreams_does_not_depend_on_its_neighbors(world):
    """With one noise for all rows, a batch gives what each row gives alone."""
    context, sampler = clip(), replace(world.sampler, num_steps=2)
    latents = world.reset(context).latents
    actions = context.actions
    z = torch.randn(1, 4, 8, 8)

    def draw(rows):
        return world.system.denoiser.sample(
            latents[rows].to(torch.float32),
            actions[rows],
            lambda batch, *shape: z.expand(batch, *shape),
            sampler,
        )

    with torch.autocast("cpu", torch.bfloat16):
        assert_close(draw(slice(0, 3))[1:2], draw(slice(1, 2)), rtol=0, atol=5e-2)


def test_frames_of_another_size_are_refused(world):
    with pytest.raises(ValueError, match="resize"):
        world.reset(Clip(torch.zeros(1, 3, 3, 16, 16, dtype=torch.uint8), torch.zeros(1, 2).long()))
