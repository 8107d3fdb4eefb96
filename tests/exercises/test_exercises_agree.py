"""Solutions of exercises are the library's own functions, written differently; and what chapters
break on purpose is refused.
"""

from __future__ import annotations

import torch
from places import ROOT
from test_exercises import hint_of, solved

DIAMOND = solved(ROOT / "notebooks/exercises/04_diamond.ipynb")
COSMOS = solved(ROOT / "notebooks/exercises/08_cosmos.ipynb")
JEPA = solved(ROOT / "notebooks/exercises/11_vjepa.ipynb")
UNISIM = solved(ROOT / "notebooks/exercises/07_unisim.ipynb")
ARM = solved(ROOT / "notebooks/exercises/12_vjepa2_ac.ipynb")


def test_the_loss_that_sees_the_future_is_refused():
    assert "a future frame leaks" in hint_of("04.4", DIAMOND["broken_loss"])


def test_the_encoder_that_looks_ahead_is_refused():
    assert "over the whole clip" in hint_of("08.3", COSMOS["broken_encode"])


def test_the_leaking_loss_and_the_average_the_wrong_way_round_are_refused():
    assert "the mask leaks" in hint_of("11.4", JEPA["broken_loss"], JEPA["broken_follow"])
    assert "wrong way round" in hint_of("11.4", JEPA["loss"], JEPA["broken_follow"])


def test_the_forgetful_planner_is_refused():
    assert "thrown away" in hint_of("12.4", ARM["broken_choose"])


def test_the_reward_that_pays_for_walking_to_and_fro_is_refused():
    assert "walks to and fro is paid" in hint_of("07.3", UNISIM["broken_rewards"])


def test_coefficients():
    from wmlearn.systems.diamond.config import DenoiserConfig
    from wmlearn.systems.diamond.denoiser import Denoiser

    config = DenoiserConfig(channels=(32,), depths=(1,), attention=(False,), cond_channels=16)
    sigma = torch.tensor([0.002, 0.4, 3.0, 20.0])
    ours = DIAMOND["coefficients"](sigma, config.sigma_data, config.sigma_offset_noise)
    denoiser = Denoiser(config)
    level, edm = denoiser.noise_level(sigma), denoiser.objective
    c_skip, c_out = edm.coefficients(level)
    library = (edm.c_in(level), c_out, c_skip, edm.c_noise(level))
    for mine, theirs in zip(ours, library, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_euler_sampler():
    from wmlearn.systems.diamond.config import SamplerConfig
    from wmlearn.systems.diamond.sampler import noise_levels, sample

    config = SamplerConfig(num_steps=5)
    levels = DIAMOND["noise_levels"](5)
    torch.testing.assert_close(levels, noise_levels(config))
    toy = DIAMOND["TwoFutures"](0.7)
    noise = torch.randn(100, 1, generator=torch.Generator().manual_seed(0))
    ours = DIAMOND["euler_sample"](
        lambda x, sigma: toy.denoise(x, sigma.expand(len(x)), None, None), noise, levels
    )
    torch.testing.assert_close(ours, sample(toy, None, None, noise, config))


def test_lambda_returns():
    from wmlearn.agents.returns import lambda_returns

    generator = torch.Generator().manual_seed(0)
    rewards, values = torch.randn(2, 4, 15, generator=generator)
    ended = torch.rand(4, 15, generator=generator) < 0.2
    never = torch.zeros_like(ended)  # in imagination only the horizon cuts
    torch.testing.assert_close(
        DIAMOND["lambda_returns"](rewards, values, ended, never, 0.985, 0.95),
        lambda_returns(rewards, values, ended, 0.985, 0.95),
    )


def test_haar_patches_of_a_picture():
    from wmlearn.nn.causal_video import haar, inverse_haar

    pictures = torch.randn(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    theirs = haar(pictures[:, None], 2)  # the picture is shown twice: half of it is differences
    ours = COSMOS["haar"](pictures)
    torch.testing.assert_close(ours / 2, theirs[:, 0, :12])
    assert (theirs[:, 0, 12:] == 0).all()
    torch.testing.assert_close(COSMOS["inverse"](ours), inverse_haar(theirs, 2)[:, 0])


def test_the_causal_encoder():
    from wmlearn.nn.causal_video import CausalConv

    draw = torch.Generator().manual_seed(0)
    video, weight = torch.randn(2, 7, 4, 3, 5, generator=draw), torch.randn(3, 4, 4, generator=draw)
    layer = CausalConv(4, stride=2)
    with torch.no_grad():
        layer.weight.copy_(weight.permute(1, 2, 0)[..., None, None])
        layer.bias.zero_()
        axes = (2, 3, 4)
        normalized = (video - video.mean(axes, keepdim=True)) / video.std(axes, keepdim=True)
        torch.testing.assert_close(COSMOS["encode"](video, weight), layer(normalized))


def test_deduplication_where_the_first_is_the_best():
    import numpy as np

    from wmlearn.data.curation import Shot, deduplicate, vector

    rng = np.random.default_rng(0)
    films = rng.integers(0, 256, (4, 6, 3, 24, 24))
    copies = np.concatenate([films, films[::-1] + rng.normal(scale=3, size=films.shape)])
    shots = [Shot(film.round().clip(0, 255).astype(np.uint8)) for film in copies]
    vectors = torch.from_numpy(np.stack([vector(shot) for shot in shots]))
    one, order = torch.zeros(8), -torch.arange(8.0)
    ours = COSMOS["deduplicate"](vectors, one, order, 0.985)
    assert ours.nonzero().flatten().tolist() == deduplicate(shots) == [0, 1, 2, 3]


def test_rotary_positions():
    from wmlearn.nn.attention import rotate
    from wmlearn.systems.vjepa.rope import grid_positions, rope_table

    positions = grid_positions((2, 3, 4))
    x = torch.randn(24, 7, generator=torch.Generator().manual_seed(0))
    ours = JEPA["turn"](x[:, :6], JEPA["rotary_angles"](positions, 6))
    # with one pair an axis, the textbook's and the published order of speeds are the same
    theirs = rotate(x[:, :6], rope_table(positions, 6), "interleaved")
    torch.testing.assert_close(ours, theirs)


def test_gauges_of_collapse():
    from wmlearn.systems.vjepa.collapse import effective_rank, feature_std

    x = torch.randn(50, 8, generator=torch.Generator().manual_seed(0)) @ torch.randn(8, 8)
    torch.testing.assert_close(JEPA["feature_std"](x), feature_std(x))
    torch.testing.assert_close(JEPA["effective_rank"](x), effective_rank(x))


def test_block_causal_mask():
    from wmlearn.systems.vjepa2_ac.predictor import block_causal_mask

    assert torch.equal(ARM["frame_mask"](4, 6), block_causal_mask(4, 6))


def test_actions_of_all_formats():
    from wmlearn.systems.unisim import ActionEncoder, Actions, Domain, UniSimConfig

    config = UniSimConfig(domains=(
        Domain("said", "language", ("go left", "go right", "wait")),
        Domain("moved", "motion", (), 2),
        Domain("pressed", "keys", ("noop", "fire")),
    ))  # fmt: skip
    torch.manual_seed(0)
    encoder = ActionEncoder(config)
    encoder.mix, encoder.domain = torch.nn.Identity(), None
    with torch.no_grad():
        encoder.keys.weight[-1] = 0.0  # no key: the library learns what stands for it
    sentence, key = torch.tensor([[2, -1, -1, 0]]), torch.tensor([[-1, 1, -1, -1]])
    motion, valid = torch.randn(1, 4, 2), torch.tensor([[[0, 0], [0, 0], [1, 1], [1, 0]]]).bool()
    domain = torch.zeros(1, dtype=torch.long)
    given = sentence[0], key[0], motion[0], valid[0]
    tables = encoder.sentences(torch.arange(3)), encoder.keys.weight[:-1]
    theirs = encoder(Actions(sentence, motion, valid, key, domain))[0]
    torch.testing.assert_close(UNISIM["join"](*given, *tables), theirs)

    withheld = Actions(sentence, motion, valid, key, domain).withheld(torch.tensor([True]))
    mine = UNISIM["withhold"](*given, torch.ones(4, dtype=torch.bool))
    parts = (withheld.sentence, withheld.key, withheld.motion, withheld.valid)
    for ours, library in zip(mine, parts, strict=True):
        assert torch.equal(ours, library[0])


def test_steps_of_what_is_said():
    from wmlearn.systems.unisim.steps import steps_of_what_is_said

    said = torch.tensor([1, 1, 2, 2, 2, 2, 0, 0])
    still = torch.tensor([0, 0, 0, 0, 1, 0, 0, 0]).bool()
    frames = torch.cat([torch.zeros(1), (~still).cumsum(0)]).view(1, -1, 1, 1, 1).to(torch.uint8)
    for done in (False, True):
        ours = UNISIM["steps_left"](said, still, done)
        for t in range(len(said)):  # the library asks about the first sentence of each clip
            ended = torch.zeros(1, len(said) - t, dtype=torch.bool)
            ended[0, -1] = done
            real = torch.ones(1, len(said) - t + 1, dtype=torch.bool)
            steps, shown = steps_of_what_is_said(frames[:, t:], said[None, t:], real, ended)
            assert int(ours[t]) == (int(steps) if shown else -1)


def test_teacher_forced_and_rollout_losses():
    from dataclasses import replace

    from wmlearn.data.clip import Clip
    from wmlearn.systems.vjepa2_ac import VJEPA2AC
    from wmlearn.systems.vjepa2_ac.recipe import SMOKE

    zeros, ones, draw = (0.0,) * 3, (1.0,) * 3, torch.Generator().manual_seed(0)
    config = replace(
        SMOKE, low=(-1.0,) * 3, high=ones, state_mean=zeros, state_std=ones,
        state_per_action=((0.0,) * 3,) * 3, rollout_steps=3, inverse_weight=0.0,
    )  # fmt: skip
    system = VJEPA2AC(config)
    side = config.encoder.image_size
    clip = Clip(
        torch.randint(0, 256, (2, 4, 3, side, side), generator=draw).to(torch.uint8),
        actions=torch.randn(2, 3, 3, generator=draw),
        state=torch.randn(2, 4, 3, generator=draw),
    )
    z = system.encode(clip.frames)
    mine = ARM["losses"](system.predict, z, clip.actions, clip.state, 3)
    theirs = system.losses(clip)
    torch.testing.assert_close(mine[0], theirs["teacher_forcing"])
    torch.testing.assert_close(mine[1], theirs["rollout"])
