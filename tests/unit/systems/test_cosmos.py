"""Cosmos, diffusion: sizes, actions, what is known, the loss, the sampler and the world."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from wmlearn.data.clip import Clip
from wmlearn.evaluation.rollout import rollout
from wmlearn.systems.cosmos import PAPER_7B, PAPER_14B, Cosmos, Denoiser
from wmlearn.systems.cosmos.recipe import RECIPE, SHIPPED, SMOKE
from wmlearn.world import ActionTable

CONFIG = replace(SMOKE, image_size=32, max_steps=10)


@pytest.fixture(scope="module")
def system():
    system = Cosmos(CONFIG)
    torch.manual_seed(0)
    for parameter in system.parameters():  # zeros would hide what is before them
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return system.eval()


def clip(batch=2, length=13, seed=0):
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randint(256, (batch, length, 3, 32, 32), generator=generator).byte()
    actions = torch.rand(batch, length - 1, 3, generator=generator)
    return Clip(frames, actions)


def noise(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(shape, generator=generator)


# --- the paper's sizes ---------------------------------------------------------------------------


@pytest.mark.parametrize(("config", "billions"), [(PAPER_7B, 7.0), (PAPER_14B, 14.0)])
def test_the_published_sizes_have_the_published_numbers_of_weights(config, billions):
    """Within 2 % of what the published layers have at these sizes, reckoned by hand.

    A block: attention 4 D^2, words 2 D^2 + 2 D 1024, MLP 8 D^2, and three modulations of rank 256.
    """
    with torch.device("meta"):
        denoiser = Denoiser(config)
    count = sum(p.numel() for p in denoiser.transformer.parameters())
    dim, layers = config.denoiser.dim, config.denoiser.layers
    published = layers * (14 * dim**2 + 2 * dim * 1024 + 3 * (256 * dim + 256 * 3 * dim))
    assert count == pytest.approx(published, rel=0.02)
    assert count == pytest.approx(billions * 1e9, rel=0.025)


def test_the_shipped_files_are_small_enough():
    assert sum(p.numel() for p in Cosmos(SHIPPED).parameters()) * 2 < 12e6


# --- actions and what is known -------------------------------------------------------------------


def test_a_latent_is_told_the_actions_that_led_to_its_frames(system):
    actions = torch.arange(36.0).view(1, 12, 3)
    led = system.actions_of(actions, 4)
    assert led.shape == (1, 4, 12)
    assert not led[0, 0].any()  # nothing led to the first picture
    for latent in (1, 2, 3):
        assert_close(led[0, latent].view(4, 3), actions[0, 4 * latent - 4 : 4 * latent])
    missing = system.actions_of(actions[:, :6], 3)  # some are not taken yet
    assert_close(missing[0, 2].view(4, 3)[:2], actions[0, 4:6])
    assert not missing[0, 2].view(4, 3)[2:].any()


def test_one_to_most_latents_are_known_or_none(system):
    uniform = torch.rand(2000, 2, generator=torch.Generator().manual_seed(0))
    known = system.known(uniform, 3)
    count = known.sum(1)
    assert set(count.tolist()) == {1, 2}
    assert (known[:, 1:] <= known[:, :-1]).all()  # the first ones
    dropped = replace(CONFIG, denoiser=replace(CONFIG.denoiser, drop_known=0.2))
    count = Cosmos(dropped).known(uniform, 3).sum(1)
    assert (count == 0).float().mean() == pytest.approx(0.2, abs=0.03)


def test_windows_begin_anywhere_and_stay_inside(system):
    starts = system.windows(3, 7, torch.linspace(0, 0.999, 50))[:, 0]
    assert set(starts.tolist()) == set(range(5))


# --- the denoiser --------------------------------------------------------------------------------


def test_no_loss_is_taken_on_what_is_known(system):
    latents = torch.randn(2, 3, 4, 4, 4)
    known = torch.tensor([[True, True, False]] * 2)
    actions = torch.randn(2, 3, 12)
    _, error = system.denoiser.loss(latents, known, noise(), actions)
    half = system.denoiser.loss(latents, torch.zeros_like(known), noise(), actions)[1]
    assert error.shape == (2,) and not torch.allclose(error, half)
    with torch.no_grad():
        silent = Denoiser(CONFIG)
        silent.transformer.head.weight.zero_()
        silent.transformer.head.bias.zero_()
        assert not silent(latents, torch.ones(2, 3), known, actions).any()


def test_the_error_is_that_of_edm_for_a_network_that_says_nothing():
    """F = 0: the error is the target's square, of unit variance for data of sigma_data."""
    denoiser = Denoiser(CONFIG).eval()  # its head is zero at first
    latents = 0.5 * torch.randn(512, 3, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    known = torch.tensor([[True, False, False]] * 512)
    loss, error = denoiser.loss(latents, known, noise(), torch.zeros(512, 3, 12))
    assert error.mean().item() == pytest.approx(1.0, abs=0.02)
    assert_close(loss, error)  # the log-variance is zero at first


def test_the_learned_weight_is_right_where_it_equals_the_logarithm_of_the_error(system):
    error = torch.tensor([0.1, 0.5, 2.0], dtype=torch.float64)
    u = error.log().requires_grad_()
    (error / u.exp() + u).sum().backward()
    assert_close(u.grad, torch.zeros_like(error))


def test_the_network_is_told_each_noise_and_what_is_known(system):
    z, sigma = torch.randn(1, 3, 4, 4, 4), torch.full((1, 3), 0.5)
    known, actions = torch.tensor([[True, True, False]]), torch.zeros(1, 3, 12)
    with torch.no_grad():
        plain = system.denoiser(z, sigma, known, actions)
        other = sigma.clone()
        other[0, 0] = 0.1
        assert not torch.allclose(system.denoiser(z, other, known, actions)[:, 2], plain[:, 2])
        less = torch.tensor([[True, False, False]])
        assert not torch.allclose(system.denoiser(z, sigma, less, actions), plain)
        late = actions.clone()
        late[0, 2, -1] = 1.0
        assert not torch.allclose(system.denoiser(z, sigma, known, late)[:, 2], plain[:, 2])


def test_a_perfect_denoiser_draws_what_it_knows(system, monkeypatch):
    truth = torch.randn(2, 1, 4, 4, 4)
    prediction = system.denoiser.prediction

    def perfect(z, sigma, known, *_):
        new = z[:, 2:]
        c_skip, c_out = prediction.coefficients(sigma[:, 2:])
        output = torch.zeros_like(z)
        output[:, 2:] = (truth - c_skip[..., None, None, None] * new) / c_out[..., None, None, None]
        return output

    monkeypatch.setattr(type(system.denoiser), "forward", lambda self, *a: perfect(*a))
    for order in (1, 2):
        sampler = replace(CONFIG.sampler, num_steps=3, order=order)
        drawn = system.denoiser.draw(torch.randn(2, 2, 4, 4, 4), 1, noise(), sampler)
        assert_close(drawn, truth, rtol=1e-3, atol=1e-3)


def test_guidance_enlarges_what_the_new_action_changes(system):
    before, actions = torch.randn(2, 2, 4, 4, 4), torch.rand(2, 3, 12)
    sampler = replace(CONFIG.sampler, num_steps=1)
    usual = actions.clone()
    usual[:, 2] = actions[:, :2].mean(1)

    def draw(led, w):
        with torch.no_grad():
            how = replace(sampler, action_guidance=w)
            return system.denoiser.draw(before, 1, noise(), how, led)

    assert_close(draw(usual, 1.5), draw(usual, 0.0))  # nothing unusual: nothing to enlarge
    plain, other = draw(actions, 0.0), draw(usual, 0.0)
    assert (plain - other).abs().max() > 1e-4
    assert_close(draw(actions, 1.5), plain + 1.5 * (plain - other), rtol=1e-3, atol=1e-4)
    for known, led in ((before, None), (before[:, :0], actions[:, :1])):
        with pytest.raises(ValueError, match="action_guidance needs"):
            system.denoiser.draw(known, 1, noise(), replace(sampler, action_guidance=1.0), led)


# --- the system and its world --------------------------------------------------------------------


def test_scaling_is_undone_and_gives_sigma_data(system):
    model = Cosmos(CONFIG).eval()
    with torch.no_grad():
        z = model.tokenizer.encode(torch.rand(4, 13, 3, 32, 32) * 2 - 1)
        model.measure_scale(z)
        scaled = model.scaled(z)
    assert_close(scaled.std((0, 1, 3, 4)), torch.full((4,), 0.5))
    assert_close(model.unscaled(scaled), z)


def test_the_loss_falls_on_one_batch():
    torch.manual_seed(0)
    model, batch = Cosmos(CONFIG), clip()
    for part, rate in (("tokenizer", 3e-3), ("denoiser", 1e-2)):
        optimizer = torch.optim.Adam(getattr(model, part).parameters(), rate)
        losses = []
        for step in range(15):
            loss = model.losses(batch, (part,), step % 2)[part]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert sum(losses[-4:]) < sum(losses[:4]), part


def test_rare_colors_weigh_more_and_can_be_left_out(system):
    model, frames = Cosmos(CONFIG), clip().frames
    model.color_weights.uniform_(1, 2)
    assert model.pixel_weights(frames).shape == (2, 13, 1, 32, 32)
    assert model.pixel_weights(frames).min() >= 1
    plain = Cosmos(replace(CONFIG, rare_colors=False))
    assert (plain.pixel_weights(frames) == 1).all()


def test_a_world_repeats_by_its_seed_and_branches(system):
    world, start = system.world(), clip()
    assert (world.chunk, world.context_frames) == (4, 9)
    state = world.reset(start)
    action = torch.tensor([[0.5, 1.0, 0.0]] * 2)
    draw = [
        world.step(state, action, torch.Generator().manual_seed(seed))[1].frames
        for seed in (0, 0, 1)
    ]
    assert draw[0].shape == (2, 4, 3, 32, 32) and draw[0].dtype == torch.uint8
    assert torch.equal(draw[0], draw[1]) and not torch.equal(draw[0], draw[2])
    _, shown = world.step(state, action, torch.Generator().manual_seed(0))
    assert torch.equal(shown.frame, shown.frames[:, -1])
    assert not shown.reward.any() and not shown.terminated.any()


def test_an_action_holds_for_the_chunk_or_there_is_one_for_each_frame(system):
    world = system.world()
    state = world.reset(clip())
    held, seed = torch.tensor([[0.5, 1.0, 0.0]] * 2), torch.Generator()

    def frames(action):
        return world.step(state, action, seed.manual_seed(0))[1].frames

    each = held[:, None].expand(-1, 4, -1)
    assert torch.equal(frames(held), frames(each))
    late = each.clone()
    late[:, 3] = -1.0
    assert not torch.equal(frames(held), frames(late))


def test_frames_go_on_where_the_decoder_was(system, monkeypatch):
    """Three steps show what decoding all latents at once shows: there is no seam."""
    monkeypatch.setattr("wmlearn.systems.cosmos.world.bfloat16_is_fast", lambda device: False)
    world, start = system.world(), clip(length=9)
    state, generator = world.reset(start), torch.Generator().manual_seed(0)
    latents, shown = [system.encode(start.frames)], []
    for _ in range(3):
        state, step = world.step(state, torch.zeros(2, 3), generator)
        latents.append(state.latents[:, -1:])
        shown.append(step.frames)
    with torch.no_grad():
        whole = system.decode(torch.cat(latents, dim=1))[:, 9:]
    whole = whole.clamp(-1, 1).add(1).mul(127.5)
    assert (torch.cat(shown, 1).float() - whole).abs().max() < 0.51  # rounded


def test_a_rollout_takes_the_actions_as_they_were(system):
    world, start = system.world(), clip(length=16)
    frames = rollout(world, start, torch.Generator().manual_seed(0))
    assert frames.shape == (2, 7, 3, 32, 32)  # of two chunks, the second cut


def test_keys_stand_for_vectors(system):
    table = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.5, 0.0]])
    world = ActionTable(system.world(), table)
    start = replace(clip(), actions=torch.ones(2, 12, dtype=torch.long))
    assert world.action_space.n == 2 and world.chunk == 4
    same = system.world()
    vectors = replace(start, actions=table[start.actions])
    one = world.step(world.reset(start), torch.tensor([1, 0]), torch.Generator().manual_seed(0))
    two = same.step(same.reset(vectors), table[[1, 0]], torch.Generator().manual_seed(0))
    assert torch.equal(one[1].frame, two[1].frame)


def test_what_does_not_fit_is_refused_in_one_sentence(system):
    world = system.world()
    with pytest.raises(ValueError, match="needs 9 frames"):
        world.reset(clip(length=5))
    with pytest.raises(ValueError, match="frames of shape"):
        world.reset(Clip(torch.zeros(1, 9, 3, 16, 16, dtype=torch.uint8), torch.zeros(1, 8, 3)))
    with pytest.raises(ValueError, match="no actions"):
        still = replace(CONFIG, denoiser=replace(CONFIG.denoiser, action_dim=0))
        Cosmos(still).world()


@pytest.mark.parametrize("tier", ["smoke", "laptop", "colab", "node", "pod"])
def test_every_tier_fits_together(tier):
    run, config = RECIPE.preset(tier)
    assert config.tokenizer.latent_frames(run.clip_frames) >= config.denoiser.latent_frames
    assert run.image_size % (config.tokenizer.space_ratio * config.denoiser.patch) == 0


def test_a_run_starts_from_a_trained_tokenizer(system):
    small = replace(CONFIG, denoiser=replace(CONFIG.denoiser, dim=8), seed=3)
    module = Cosmos(small)
    own = {key: value.clone() for key, value in module.denoiser.state_dict().items()}
    RECIPE.initialize(module, system)
    for part in ("tokenizer", "latent_std"):
        a, b = getattr(module, part), getattr(system, part)
        pairs = (
            zip(a.parameters(), b.parameters(), strict=True) if part == "tokenizer" else [(a, b)]
        )
        assert all(torch.equal(x, y) for x, y in pairs)
    assert all(torch.equal(value, own[key]) for key, value in module.denoiser.state_dict().items())
    other = replace(CONFIG, tokenizer=replace(CONFIG.tokenizer, latent_channels=5))
    with pytest.raises(ValueError, match="tokenizer has other sizes"):
        RECIPE.initialize(Cosmos(other), system)
