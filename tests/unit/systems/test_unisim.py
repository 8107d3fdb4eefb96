"""UniSim: actions in any form, a causal simulator, steps to go, and a world for each format."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.utils.passive_env_checker import check_action_space, check_observation_space

from wmlearn import hub
from wmlearn.data.clip import Clip
from wmlearn.nn.noise import SampleNoise
from wmlearn.systems.unisim import (
    Actions,
    Domain,
    Keys,
    Motion,
    SamplerConfig,
    Sentences,
    UniSim,
    UniSimConfig,
)
from wmlearn.systems.unisim.recipe import RECIPE, SMOKE, domain_of
from wmlearn.systems.unisim.simulator import PATH, best_guess, training_levels
from wmlearn.systems.unisim.steps import steps_of_what_is_said
from wmlearn.world import WorldEnv, where_state

SAID = ("turn left", "go forward", "go to the red ball")
CONFIG = replace(
    SMOKE,
    image_size=32,
    domains=(
        Domain("talk", "language", SAID),
        Domain("arm", "motion", (), 3),
        Domain("game", "keys", ("noop", "left", "right")),
        Domain("film", "none", ()),
        Domain("hand", "motion", (), 2),
    ),
)


def awake(system: UniSim) -> UniSim:
    """Layers that begin at zero get weights, else nothing that they hide could be tested."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in system.parameters():
            if not p.any():
                p.copy_(0.05 * torch.randn(p.shape, generator=generator))
    return system


@pytest.fixture(scope="module")
def system():
    return awake(UniSim(CONFIG)).eval()


def clip_for(domain: Domain, batch: int = 2, length: int = 4, seed: int = 0) -> Clip:
    rng = np.random.default_rng(seed)
    frames = torch.from_numpy(rng.integers(0, 256, (batch, length, 3, 32, 32), dtype=np.uint8))
    if domain.format == "motion":
        actions = torch.rand(batch, length - 1, domain.dimensions) * 2 - 1
    else:
        actions = torch.from_numpy(
            rng.integers(max(1, len(domain.actions)), size=(batch, length - 1))
        )
    nothing = torch.zeros(batch, length - 1)
    return Clip(frames, actions, nothing, nothing > 0, nothing > 0)


# --- actions --------------------------------------------------------------------------------------


def test_each_format_becomes_its_own_part_and_the_others_are_absent(system):
    codes = system.codes
    talk = codes(torch.tensor([[2, 0]]), torch.tensor([0]))
    assert talk.sentence.tolist() == [[2, 0]] and talk.key.eq(-1).all() and not talk.valid.any()
    keys = codes(torch.tensor([[2, 0]]), torch.tensor([2]))
    assert keys.key.tolist() == [[2, 0]] and keys.sentence.eq(-1).all() and not keys.valid.any()
    hand = codes(torch.ones(1, 2, 2), torch.tensor([4]))
    assert hand.valid.tolist() == [[[True, True, False]] * 2]
    assert hand.motion.tolist() == [[[1, 1, 0]] * 2]
    film = codes(torch.tensor([[0, 0]]), torch.tensor([3]))
    assert film.key.eq(-1).all() and film.sentence.eq(-1).all() and not film.valid.any()


def test_an_invalid_number_counts_for_nothing_and_zero_is_not_absent(system):
    encoder = system.simulator.actions
    none = torch.full((1, 1), -1)

    def vector(motion, valid):
        valid = torch.tensor([[valid]])
        return encoder(Actions(none, torch.tensor([[motion]]), valid, none, torch.tensor([1])))

    assert torch.equal(
        vector([0.5, 0.2, 9.0], [True, True, False]), vector([0.5, 0.2, -3.0], [True, True, False])
    )
    zero, absent = vector([0.0, 0.0, 0.0], [True] * 3), vector([0.0, 0.0, 0.0], [False] * 3)
    assert not torch.allclose(zero, absent)


def test_all_actions_of_a_domain_and_all_domains_differ(system):
    vectors = []
    for number, domain in enumerate(CONFIG.domains):
        if domain.format == "motion":
            given = torch.eye(domain.dimensions)[:, None]
        else:
            given = torch.arange(max(1, len(domain.actions)))[:, None]
        which = torch.full((len(given),), number)
        vectors.append(system.simulator.actions(system.codes(given, which))[:, 0])
    all_vectors = torch.cat(vectors)
    distance = torch.cdist(all_vectors, all_vectors) + torch.eye(len(all_vectors))
    assert distance.min() > 1e-4


def test_the_order_of_words_and_the_domain_id_can_matter():
    config = replace(CONFIG, domains=(Domain("a", "language", ("ball red", "red ball")),))
    encoder = awake(UniSim(config)).simulator.actions
    both = encoder.sentences(torch.tensor([0, 1]))
    assert not torch.allclose(both[0], both[1])
    silent = replace(CONFIG, action=replace(CONFIG.action, domain_id=False))
    encoder = awake(UniSim(silent)).simulator.actions
    assert encoder.domain is None


def test_withheld_actions_are_those_of_a_passive_video(system):
    actions = system.codes(torch.tensor([[1], [1]]), torch.tensor([2, 2]))
    kept = actions.withheld(torch.tensor([True, False]))
    assert kept.key.tolist() == [[-1], [1]]


def test_what_led_to_the_first_frame_is_unknown(system):
    clip = clip_for(CONFIG.domains[2])
    led = system.led_to(clip.actions, torch.tensor([2, 2]))
    assert led.key[:, 0].eq(-1).all() and torch.equal(led.key[:, 1:], clip.actions)
    arm = system.led_to(clip_for(CONFIG.domains[1]).actions, torch.tensor([1, 1]))
    assert not arm.valid[:, 0].any() and arm.valid[:, 1:].all()


# --- the simulator --------------------------------------------------------------------------------


def test_the_best_guess_is_the_regression_of_clean_on_noisy_numbers():
    generator = torch.Generator().manual_seed(0)
    x, eps = torch.randn(2, 200_000, generator=generator).double()
    for level in (0.0, 0.3, 0.8, 1.0):
        levels = torch.tensor([level]).double()
        z = PATH.mix(x[None], eps[None], levels)
        slope = (z[0] @ x) / (z[0] @ z[0])
        assert abs(best_guess(torch.ones(1, 1).double(), levels).item() - slope) < 0.01, level


def test_before_anything_is_learned_the_last_frame_stays():
    system = UniSim(CONFIG)
    latents = torch.randn(2, 4, 4, 4, 4)
    level = torch.zeros(2, 4)
    level[:, -1] = 1.0
    noisy = PATH.mix(latents, torch.randn_like(latents), level)
    vectors = torch.zeros(2, 4, CONFIG.action.dim)
    estimate = system.simulator.estimate(noisy, level, vectors)
    assert torch.allclose(estimate[:, -1], latents[:, -2])


def test_frame_by_frame_equals_all_at_once(system):
    """A drawn frame's first pass, from the cache, is the last frame of a pass over all of them."""
    simulator = system.simulator
    latents = torch.randn(2, 4, 4, 4, 4)
    actions = system.led_to(torch.tensor([[0, 1, 2], [1, 1, 0]]), torch.tensor([0, 0]))
    vectors, start = simulator.actions(actions), torch.randn(2, 4, 4, 4)
    level = torch.tensor([[0.1, 0.1, 0.1, 1.0]]).expand(2, 4)
    z = PATH.mix(latents, torch.zeros_like(latents), level)
    whole = simulator.estimate(torch.cat([z[:, :3], start[:, None]], 1), level, vectors)[:, -1]
    cache = simulator.transformer.start(2)
    cache, last = simulator.remember(cache, latents[:, :3], vectors[:, :3], 0.1)
    one = SamplerConfig(num_steps=1, history_noise=0.1)
    drawn = simulator.draw(cache, last, vectors[:, 3], start, one)
    assert torch.allclose(drawn, whole, atol=1e-5)


def test_guidance_goes_on_from_silence_through_what_is_said(system):
    codes = system.codes.nothing(2, 1, torch.zeros(2, dtype=torch.long))
    context = Clip(torch.randint(0, 255, (2, 1, 3, *2 * (CONFIG.image_size,)), dtype=torch.uint8))
    drawn = {}
    for scale in (0.0, 1.0, 3.0):
        world = system.world({"num_steps": 1, "guidance": scale})
        state = world.reset(context)
        action = torch.zeros(2, dtype=torch.long)
        drawn[scale] = world.imagine(state, action, torch.Generator().manual_seed(0)).latent
    assert torch.allclose(drawn[3.0], 3 * drawn[1.0] - 2 * drawn[0.0], atol=1e-4)
    start = torch.randn(state.last.shape, generator=torch.Generator().manual_seed(0))
    plays, one = world.system.simulator, SamplerConfig(num_steps=1)  # in what it computes with
    with torch.inference_mode(), world.precision():
        silence = plays.actions(codes)[:, 0]
        silent = plays.draw(state.cache, state.last, silence, start, one)
    assert torch.allclose(drawn[0.0], silent, atol=1e-4)
    assert not torch.allclose(drawn[0.0], drawn[1.0], atol=1e-3)


def test_later_frames_and_actions_do_not_reach_back(system):
    latents, level = torch.randn(1, 4, 4, 4, 4), torch.rand(1, 4)
    vectors = torch.randn(1, 4, CONFIG.action.dim)
    before = system.simulator.estimate(latents, level, vectors)
    changed, moved = latents.clone(), vectors.clone()
    changed[:, 3], moved[:, 3] = 7.0, 7.0
    after = system.simulator.estimate(changed, level, moved)
    assert torch.equal(before[:, :3], after[:, :3])
    assert not torch.allclose(before[:, 3], after[:, 3])


def test_levels_serve_as_past_or_are_drawn():
    noise = SampleNoise(0, 0, 2000)
    levels = training_levels(CONFIG, noise, 2000, 4)
    sizes = CONFIG.simulator
    assert levels.min() >= 0 and levels.max() == 1
    share = (levels == 1).double().mean()
    assert abs(share - (1 - sizes.past_share) * sizes.first_share) < 0.02
    assert (levels < sizes.history_noise).double().mean() > sizes.past_share


def test_padding_costs_nothing_and_the_loss_falls_on_one_batch():
    config = replace(CONFIG, domains=(CONFIG.domains[2],))
    torch.manual_seed(0)
    system = UniSim(config)
    clip = clip_for(config.domains[0], 4)
    real = torch.tensor([[True, True, False, False]]).expand(4, 4)
    latents, actions, weight = system.prepare(clip)
    first = system.simulator.loss(latents, actions, weight, real, SampleNoise(0, 0, 4))
    latents[:, 2:] = 50.0
    assert torch.equal(
        first, system.simulator.loss(latents, actions, weight, real, SampleNoise(0, 0, 4))
    )
    optimizer = torch.optim.Adam(system.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        loss = sum(system.losses(clip, step=0).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_gradient_reaches_every_weight_whatever_the_format(number):
    config = replace(CONFIG, domains=(CONFIG.domains[number],))
    system = awake(UniSim(config))
    for step in range(3):
        clip = clip_for(config.domains[0], 6, seed=step)  # 3 for each head: signs cannot cancel
        if number == 0:  # one sentence throughout, and nothing moves: it is done
            clip = replace(clip, frames=clip.frames[:, :1].expand_as(clip.frames))
            clip = replace(clip, actions=clip.actions[:, :1].expand_as(clip.actions))
        sum(system.losses(clip, step=step).values()).backward()
    without = [name for name, p in system.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


# --- steps to go ----------------------------------------------------------------------------------


def test_a_recording_tells_how_long_a_sentence_takes():
    frames = torch.stack([torch.full((3, 2, 2), i, dtype=torch.uint8) for i in (0, 1, 2, 2, 3)])
    frames = frames.expand(4, -1, -1, -1, -1)
    actions = torch.tensor([[7, 7, 7, 7], [7, 7, 8, 8], [7, 7, 7, 7], [7, 7, 8, 8]])
    real = torch.ones(4, 5, dtype=torch.bool)
    real[2, 3:] = False  # the episode is over before anything stands still
    ended = torch.zeros(4, 4, dtype=torch.bool)
    ended[3, 1] = True
    steps, known = steps_of_what_is_said(frames, actions, real, ended)
    assert known.tolist() == [True, False, False, True]
    assert steps[known].tolist() == [2, 2]


def test_the_judge_learns_from_other_clips_than_the_reward(system):
    noise = SampleNoise(0, 0, 4)
    z, known = torch.randn(4, 4, 4, 4), torch.ones(4, dtype=torch.bool)
    steps = torch.arange(4)
    for half, quiet in (([True] * 4, "judge"), ([False] * 4, "steps_to_go")):
        system.zero_grad()
        system.steps_loss(z, z, None, steps, known, torch.tensor(half), noise).backward()
        model = getattr(system, quiet)
        assert not any(p.grad is not None and p.grad.any() for p in model.parameters())
    system.zero_grad()


# --- worlds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, kind", [("talk", Sentences), ("arm", Motion), ("game", Keys), ("film", Keys)]
)
def test_a_world_says_which_format_it_takes_and_dreams(system, name, kind):
    world = system.world({"domain": name, "num_steps": 1})
    assert isinstance(world.action_space, kind)
    clip = clip_for(world.domain)
    one, two = (_dream(world, clip, seed=0) for _ in range(2))
    assert torch.equal(one, two) and not torch.equal(one, _dream(world, clip, seed=1))
    env = WorldEnv(world, clip, 2)
    env.reset(seed=0)
    frames, *_ = env.step(env.action_space.sample())
    assert frames.shape == (2, 32, 32, 3)


def _dream(world, clip, seed):
    state, generator = world.reset(clip), torch.Generator().manual_seed(seed)
    for _ in range(3):
        state, step = world.step(state, torch.as_tensor(
            np.stack([world.action_space.sample()] * 2) * 0), generator)  # fmt: skip
    return step.frame


def test_sentences_are_understood_or_listed(system):
    space = system.world({"domain": "talk"}).action_space
    assert space.number(" Go  to the red BALL ") == 2
    with pytest.raises(ValueError, match="turn left; go forward"):
        space.number("fly")
    with pytest.raises(ValueError, match="talk, arm, game, film, hand"):
        system.world({"domain": "moon"})


def test_states_can_be_mixed_and_other_actions_lead_elsewhere(system):
    world = system.world({"domain": "game", "num_steps": 1})
    state = world.reset(clip_for(world.domain))
    draws = [
        world.step(state, torch.tensor([a, a]), torch.Generator().manual_seed(0))[0] for a in (0, 1)
    ]
    assert not torch.equal(draws[0].latent, draws[1].latent)
    mixed = where_state(torch.tensor([True, False]), *draws)
    assert torch.equal(mixed.latent[0], draws[0].latent[0])
    assert torch.equal(mixed.cache.keys[1], draws[1].cache.keys[1])


def test_steps_to_go_take_a_sentence_or_a_picture(system):
    world = system.world({"domain": "talk"})
    clip = clip_for(world.domain)
    state = world.reset(clip)
    spoken = world.steps_to_go(state, torch.tensor([2, 2]))
    shown = world.steps_to_go(state, goal=clip.frames[:, 0])
    assert spoken.shape == shown.shape == (2,) and (spoken > -1).all()
    assert not torch.equal(spoken, world.steps_to_go(state, torch.tensor([2, 2]), judge=True))


def test_all_domains_come_back_from_a_checkpoint(system, tmp_path):
    hub.save(tmp_path, system, "unisim", {})
    loaded = hub.load(tmp_path)
    assert loaded.config == CONFIG and isinstance(loaded.config, UniSimConfig)
    clip, kept = clip_for(CONFIG.domains[1]), [s.world({"domain": "arm"}) for s in (system, loaded)]
    assert torch.equal(*(_dream(world, clip, 0) for world in kept))


# --- the recipe -----------------------------------------------------------------------------------


class _Store:
    def __init__(self, space, names=None):
        self.action_space, self.path = space, "there"
        self.info = {"env": "e", "action_space": {"names": names} if names else {}}


def test_data_decide_the_format():
    assert domain_of(_Store(Discrete(2), ["turn left", "go on"])).format == "language"
    assert domain_of(_Store(Discrete(2), ["turn_left", "forward"])).format == "keys"
    assert domain_of(_Store(Discrete(3))).actions == ("key0", "key1", "key2")
    assert domain_of(_Store(Box(-1, 1, (4,)))).dimensions == 4
    with pytest.raises(ValueError, match="passive video"):
        domain_of(_Store(None))


def test_tiers_have_runs_that_fit_their_models():
    for tier in ("smoke", "laptop", "colab", "node", "pod"):
        run, config = RECIPE.preset(tier)
        assert 2 <= run.clip_frames <= config.simulator.frames
        assert run.image_size % (config.autoencoder.factor * config.simulator.patch) == 0


def test_clips_in_turns_draw_every_other_frame():
    turns = replace(CONFIG, simulator=replace(CONFIG.simulator, alternating=1.0, first_share=1.0))
    level = training_levels(turns, SampleNoise(0, 0, 64), 64, 6)
    drawn = level == 1
    assert torch.equal(drawn[:, 1:], ~drawn[:, :-1]) and 0.2 < drawn[:, 0].float().mean() < 0.8
    assert level[~drawn].max() <= turns.simulator.history_noise


def test_what_changed_counts_more_and_a_frame_as_much_as_before(system):
    config = replace(CONFIG, simulator=replace(CONFIG.simulator, change_weight=20.0))
    latents = torch.randn(2, 1, 4, 8, 8).repeat(1, 3, 1, 1, 1)
    latents[:, 2, :, 3, 5] += 2.0  # one place of 64 changes at the last frame
    weight = type(system.simulator)(config).where_it_changed(latents)
    assert torch.allclose(weight.mean((3, 4)), torch.ones(2, 3, 1), atol=1e-5)
    assert torch.equal(weight[:, :2], torch.ones(2, 2, 1, 8, 8))
    assert torch.allclose(weight[:, 2, 0, 3, 5] / weight[:, 2, 0, 0, 0], torch.tensor(21.0))


def test_a_world_of_sentences_is_an_environment_as_gymnasium_has_it(system):
    """What its checker asks of a single environment, of each dream: spaces, seeds, five values."""
    world = system.world({"domain": "talk", "num_steps": 1})
    env = WorldEnv(world, clip_for(world.domain), num_envs=2, horizon=3)
    check_observation_space(env.single_observation_space)
    check_action_space(env.single_action_space)
    assert env.single_action_space.names == world.domain.actions
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(4)]

    def play():
        seen = [env.reset(seed=7)[0]]
        for action in actions:
            frames, rewards, ended, cut, infos = env.step(action)
            assert env.observation_space.contains(frames) and rewards.shape == (2,)
            assert ended.dtype == cut.dtype == bool and isinstance(infos, dict)
            seen.append(frames)
        assert not cut.any() and env.render()[0].shape == (32, 32, 3)
        return seen

    assert all(np.array_equal(a, b) for a, b in zip(play(), play(), strict=True))
    with pytest.raises(ValueError, match="action space"):
        env.step(np.array([99, 0]))
