"""Sora: what its loss is, that it learns, and that what is given stays as it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from wmlearn.data.clip import Clip
from wmlearn.envs.scenes import draw, sample_scenes, simulate
from wmlearn.envs.scenes.captions import captions
from wmlearn.nn.noise import SampleNoise
from wmlearn.nn.text import UnknownWord
from wmlearn.systems.sora.config import LARGE, SamplerConfig, SoraConfig
from wmlearn.systems.sora.network import PREDICTIONS, frame_features
from wmlearn.systems.sora.recipe import LAPTOP, RECIPE, SHIPPED, SMOKE
from wmlearn.systems.sora.system import Sora

SMALL = replace(SMOKE, image_size=(32, 32), max_steps=100)


def clip(count: int = 4, frames: int = 6, seed: int = 0) -> Clip:
    rng = np.random.default_rng(seed)
    state, touched = simulate(sample_scenes(count, rng, "one", size=(32, 32)), frames)
    pictures = draw(torch.from_numpy(state), (32, 32))
    return Clip(pictures, text=tuple(captions(state, touched, rng)))


def lively(**options) -> Sora:
    system = Sora(replace(SMALL, **options))
    generator = torch.Generator().manual_seed(0)
    for parameter in system.parameters():
        if not parameter.any():
            parameter.data.normal_(0, 0.05, generator=generator)
    return system.eval()


@pytest.mark.parametrize("prediction", list(PREDICTIONS))
def test_a_perfect_network_has_no_loss(prediction, monkeypatch):
    """Every prediction's own target, given back, costs nothing; a zero costs its variance."""
    system = Sora(replace(SMALL, prediction=prediction))
    x, numbers = torch.randn(4, 6, 4, 8, 8), torch.ones(4, 24, dtype=torch.long)
    noise = SampleNoise(0, 0, 4)
    given, draws = {}, []

    def spy(shape):
        draws.append(SampleNoise.normal(noise, *shape))
        return draws[-1]

    class Spy:
        normal = staticmethod(lambda *shape: spy(shape))
        uniform = staticmethod(lambda *shape: SampleNoise.uniform(noise, *shape))

    def network(z, level, text, text_mask, conditioning=None):
        given["level"] = level
        return system.prediction.target(x, draws[1], level)

    monkeypatch.setattr(system.transformer, "forward", network)
    assert_close(system.video_errors(x, numbers, Spy()), torch.zeros(4))
    assert given["level"].shape == (4, 6)


def test_the_first_frames_are_sometimes_given_clean_and_cost_nothing(monkeypatch):
    system = Sora(replace(SMALL, given_share=0.5, given_most=2))
    seen = {}

    def network(z, level, text, text_mask, conditioning=None):
        seen.update(z=z, level=level, mask=text_mask)
        out = torch.zeros_like(z)
        out[level == 0] = 100.0  # a network that is far off where nothing is asked
        return out

    monkeypatch.setattr(system.transformer, "forward", network)
    x, numbers = torch.randn(64, 6, 4, 8, 8), torch.ones(64, 24, dtype=torch.long)
    errors = system.video_errors(x, numbers, SampleNoise(0, 0, 64))
    clean = seen["level"] == 0
    assert errors.max() < 3, "what is given has no loss"
    assert_close(seen["z"][clean], x[clean], msg="and no noise")
    count = clean.sum(1)
    assert set(count.tolist()) == {0, 1, 2} and 16 < int((count > 0).sum()) < 48
    assert clean[:, 1:].logical_and(~clean[:, :-1]).sum() == 0, "the first ones"
    rest = seen["level"][:, -1:]
    assert_close(torch.where(clean, rest, seen["level"]), rest.expand(-1, 6), msg="one level")
    hidden = ~seen["mask"].any(1)
    assert 1 <= int(hidden.sum()) <= 16, "some lose their words"


def test_it_learns_one_batch():
    system, batch = Sora(SMALL), clip(8)
    for part, rate, share in (("autoencoder", 3e-3, 0.5), ("video", 5e-3, 0.7)):
        optimizer = torch.optim.AdamW(system.parameters(), rate)
        values = []
        for _ in range(60):
            loss = system.losses(batch, (part,), step=0)[part]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            values.append(loss.item())
        assert values[-1] < share * values[0], part
        system.measure_scale(batch.frames.flatten(0, 1))


def test_captions_are_asked_for():
    with pytest.raises(ValueError, match="no text"):
        Sora(SMALL).losses(Clip(clip().frames))


def test_parts_take_turns_and_some_steps_see_pictures():
    system = Sora(replace(SMALL, image_share=0.25))
    assert system.parts_at(49) == ("autoencoder",) and system.parts_at(50) == ("video",)
    assert [system.sees_pictures(step) for step in range(8)] == [False, False, False, True] * 2
    shapes = []
    system.transformer.register_forward_pre_hook(lambda _, args: shapes.append(args[0].shape[1]))
    for step in (2, 3):
        system.losses(clip(), ("video",), step)
    assert shapes == [6, 1]


def test_a_video_keeps_what_is_given_follows_its_words_and_its_noise():
    system, start = lively(), clip(2)
    first = start.frames[:, :2]

    def video(texts, seed=0, **options):
        generator = torch.Generator().manual_seed(seed)
        return system.generate(texts, generator=generator, **options)

    words = ["a red ball moves left"] * 2
    drawn = video(words, first=first)
    assert drawn.shape == (2, 6, 3, 32, 32) and torch.equal(drawn[:, :2], first)
    noise, numbers = torch.randn(2, 6, 4, 8, 8), system.vocabulary.encode(words)
    latents = system.sample(noise, numbers, system.encode(first))
    assert torch.isfinite(latents).all()
    assert_close(latents[:, :2], system.encode(first), atol=1e-5, rtol=1e-5)
    assert torch.equal(drawn, video(words, first=first))
    free = video(words)
    assert not torch.equal(free, video(words, seed=1))
    assert not torch.equal(free, video(["a blue square moves up"] * 2))
    none = {"guidance": 0.0}
    unguided = video(words, sampler=none)
    assert (unguided.int() - video(["", ""], sampler={"guidance": 1.0}).int()).abs().max() <= 1
    with pytest.raises(UnknownWord, match="'rad'"):
        video(["a rad ball", ""])


def test_a_video_of_another_shape():
    system = lively()
    noise = torch.randn(1, 3, 4, 4, 12)
    assert system.decode(system.sample(noise, torch.zeros(1, 24).long())).shape[-2:] == (16, 48)


def test_a_video_that_goes_on_is_drawn_window_by_window():
    """By hand: each window from the last frames before it, with its own noise, without words."""
    system, start = lively(), clip(1)
    numbers = system.vocabulary.encode(["a red ball moves left"])
    noise, given = torch.randn(1, 6, 4, 8, 8), system.encode(start.frames[:, :3])
    whole, options = SamplerConfig(num_steps=2), dict(window=4, overlap=2)
    drawn = system.sample(noise, numbers, given, replace(whole, **options))
    assert torch.equal(drawn[:, :3], given)
    first = system.sample(noise[:, 1:5], numbers, given[:, 1:], whole)
    assert_close(drawn[:, 3:5], first[:, 2:])
    last = system.sample(noise[:, 3:], torch.zeros_like(numbers), first[:, 2:], whole)
    assert_close(drawn[:, 5:], last[:, 2:])
    free = system.sample(noise, numbers, None, replace(whole, **options))
    assert_close(free, system.sample(noise, numbers, None, whole))
    with pytest.raises(ValueError, match="overlap=4 must be"):
        SamplerConfig(window=4, overlap=4)


def test_the_world_goes_on_from_its_last_frames():
    world, start = lively().world(), clip(2)
    nothing = torch.zeros(2, dtype=torch.long)
    state = world.reset(start.time(0, 2))
    assert state.words.any() and state.latents.shape[:2] == (2, 2)
    generator = torch.Generator().manual_seed(0)
    state, step = world.step(state, nothing, generator)
    assert step.frames.shape == (2, 4, 3, 32, 32) and world.chunk == 4
    assert torch.equal(step.frame, step.frames[:, -1]) and not step.reward.any()
    assert not state.words.any(), "a sentence is about the beginning"
    state, step = world.step(state, nothing, generator)
    assert step.frames.shape[1] == 4
    empty = Clip(start.frames[:, :0])
    _, step = world.step(world.reset(empty, ("a red ball", "")), nothing, generator)
    assert step.frames.shape[1] == 6, "from words alone, a whole video"
    with pytest.raises(ValueError, match="1 sentences for 2 clips"):
        world.reset(empty, ("a red ball",))
    with pytest.raises(ValueError, match="frames of shape"):
        world.reset(Clip(torch.zeros(1, 2, 3, 64, 64, dtype=torch.uint8)))


def test_sizes():
    for config, most in ((SHIPPED, 6.0), (LAPTOP, 2.3)):
        system = Sora(config)
        millions = sum(p.numel() for p in system.parameters()) / 1e6
        assert millions < most  # in halves: 12 MB and less
    assert SoraConfig().transformer.adaln == "shared" and LARGE.transformer.dim == 1152
    pixels = replace(SMALL, autoencoder=None, patch=8)
    assert pixels.transformer.channels == 3 and Sora(pixels).autoencoder is None


def test_a_run_starts_from_the_parts_that_fit():
    trained = Sora(SMALL)
    trained.latent_std.fill_(3.0)
    other = Sora(replace(SMALL, dim=2 * SMALL.dim, seed=1))
    fresh = other.transformer.state_dict()
    fresh = {name: value.clone() for name, value in fresh.items()}
    RECIPE.initialize(other, trained)
    assert_close(other.autoencoder.state_dict(), trained.autoencoder.state_dict())
    assert_close(other.words.state_dict(), trained.words.state_dict())
    assert_close(other.transformer.state_dict(), fresh)
    assert other.latent_std.tolist() == trained.latent_std.tolist()


def test_a_frame_is_told_its_number_only_where_asked_for():
    """A world without them becomes one with them, and gives the same at first."""
    waves = frame_features(torch.arange(16), 8)
    assert waves.shape == (16, 8)
    assert_close(waves[0], torch.tensor([0.0] * 4 + [1.0] * 4))
    assert (waves[:, 0].diff() > 0).all(), "the longest wave rises all the way"
    plain = lively(frame_features=0)
    told = Sora(replace(SMALL, frame_features=8)).eval()
    missing, unexpected = told.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected and all("conditioning" in name for name in missing)
    z, level = torch.randn(2, 6, 4, 8, 8), torch.full((2, 6), 0.5)
    assert_close(told.denoise(z, level), plain.denoise(z, level))
    told.transformer.conditioning.weight.data.normal_(0, 0.1)
    assert (told.denoise(z, level) - plain.denoise(z, level)).abs().max() > 1e-3


def test_at_least_so_many_frames_are_given(monkeypatch):
    system = Sora(replace(SMALL, given_share=1.0, given_least=2, given_most=3))
    seen = {}

    def network(z, level, text, text_mask, conditioning=None):
        seen["given"] = (level == 0).sum(1)
        return torch.zeros_like(z)

    monkeypatch.setattr(system.transformer, "forward", network)
    x, numbers = torch.randn(64, 6, 4, 8, 8), torch.ones(64, 24, dtype=torch.long)
    system.video_errors(x, numbers, SampleNoise(0, 0, 64))
    assert set(seen["given"].tolist()) == {2, 3}
