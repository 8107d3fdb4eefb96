"""Genie: the parts, what they must not see, the world, training at the smoke tier, the score."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import wmlearn as wm
from wmlearn.data.clip import Clip
from wmlearn.data.datamodule import ClipDataModule
from wmlearn.data.episodes import EpisodeStore
from wmlearn.evaluation import EvaluationCard, evaluate
from wmlearn.evaluation.latent_actions import best_one_to_one, mean_recall, score_latent_actions
from wmlearn.pixels import to_float, to_uint8
from wmlearn.systems.genie import (
    PAPER,
    Genie,
    GenieConfig,
    LatentActionConfig,
    TokenizerConfig,
    training_mask,
)
from wmlearn.systems.genie.config import DynamicsConfig
from wmlearn.systems.genie.recipe import RECIPE, SMOKE
from wmlearn.systems.genie.world import keep_still
from wmlearn.train.data import gather
from wmlearn.train.fit import fit

TINY = GenieConfig(
    tokenizer=TokenizerConfig(
        patch=8, dim=32, encoder_depth=1, decoder_depth=1, heads=2, num_codes=24, code_dim=8
    ),
    actions=LatentActionConfig(action_dim=8, patch=8, dim=32, depth=1, heads=2),
    dynamics=DynamicsConfig(dim=32, depth=2, heads=2, steps=3, window=6),
    image_size=32,
    max_steps=10,
)


def variant(**changes) -> GenieConfig:
    """TINY with other numbers: ``variant(dynamics__action="prepended")``."""
    config = TINY
    for name, value in changes.items():
        part, _, field = name.partition("__")
        value = replace(getattr(config, part), **{field: value}) if field else value
        config = replace(config, **{part: value})
    return config


def noisy(config: GenieConfig) -> Genie:
    """A model whose layers that start at zero do something."""
    model = Genie(config)
    torch.manual_seed(1)
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return model


@pytest.fixture
def frames() -> torch.Tensor:
    return torch.randint(0, 256, (3, 5, 3, 32, 32), dtype=torch.uint8)


VARIANTS = [
    {},
    {"dynamics__action": "prepended"},
    {"tokenizer__quantizer": "fsq", "tokenizer__fsq_levels": (4, 3)},
    {"actions__sees": "tokens"},
    {"actions__sees": "edges", "actions__shrink": 2},
    {"actions__past": "last", "actions__relative": 0.1},
]


@pytest.mark.parametrize("changes", VARIANTS, ids=lambda c: "-".join(map(str, c.values())))
def test_every_parameter_learns_and_the_cache_is_the_full_forward_pass(
    changes, frames, monkeypatch
):
    monkeypatch.setattr("wmlearn.systems.genie.world.bfloat16_is_fast", lambda device: False)
    model = noisy(variant(**changes))
    losses, codes = model.losses(Clip(frames))
    sum(losses.values()).backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not idle
    assert codes["actions"].shape == (3, 4) and int(codes["actions"].max()) < 8

    world = model.world()
    state = world.reset(Clip(frames[:, :4]))
    tokens = model.tokenizer.encode(to_float(frames))
    pressed = model.actions.quantizer.vectors(model.infer_actions(frames))
    with torch.no_grad():
        full = model.dynamics(tokens, pressed)[:, 4]
        step, _ = model.dynamics.step_logits(
            tokens[:, 4], pressed[:, 3], state.time, state.dynamics
        )
        drawn = world._remember(state, tokens[:, 4], pressed[:, 3]).decoded
    assert torch.allclose(step, full, atol=1e-4)
    whole = to_uint8(model.tokenizer.decode(tokens))[:, 4]
    assert (drawn.int() - whole.int()).abs().max() <= 1


def test_half_precision_at_play_changes_the_last_digits(frames, monkeypatch):
    monkeypatch.setattr("wmlearn.fast.packed.WORTH_IT", 0)
    model, seen = noisy(variant()), []
    for fast in (True, False):
        monkeypatch.setattr("wmlearn.systems.genie.world.bfloat16_is_fast", lambda device: fast)  # noqa: B023
        world = model.world()
        assert (world._dynamics is model.dynamics) is not fast
        seen.append(world.reset(Clip(frames[:, :2])).dynamics)
    error = (seen[0] - seen[1]).std() / seen[1].std()
    assert 1e-5 < error < 2e-2


def test_what_stays_still_keeps_its_pixels():
    shown, before = torch.randint(0, 256, (2, 1, 3, 8, 8), dtype=torch.uint8)
    now = before.clone()
    now[0, 1, 5, 6] = before[0, 1, 5, 6] ^ 128  # one pixel of the lower right patch, one channel
    now[0, 0, 0, 0] = before[0, 0, 0, 0] ^ 1  # and hardly anything in the upper left one
    frame = keep_still(shown, before, now, patch=4, still_below=8.0)
    assert frame[..., 4:, 4:].equal(now[..., 4:, 4:])
    assert frame[..., :4, :].equal(shown[..., :4, :])
    assert frame[..., 4:, :4].equal(shown[..., 4:, :4])
    assert keep_still(shown, before, now, patch=4, still_below=0.0).equal(now)


def test_training_never_looks_at_what_was_pressed(frames):
    model = noisy(TINY)
    nothing, _ = model.losses(Clip(frames))
    pressed, _ = model.losses(Clip(frames, actions=torch.ones(3, 4, dtype=torch.int64)))
    assert nothing == pressed


def test_the_first_frame_is_never_masked_and_targets_are_the_true_tokens():
    uniform = torch.rand(64), torch.rand(64, 5), torch.rand(64, 5, 16)
    mask = training_mask(*uniform, DynamicsConfig(mask_min=0.5))
    assert not mask[:, 0].any() and 0.65 < mask[:, 1:].float().mean() < 0.85
    share = mask[:, 1:].float().mean(dim=(1, 2))
    assert share.min() > 0.3 and share.max() > 0.9
    whole = training_mask(*uniform, DynamicsConfig(whole_frames=0.5))
    untouched = ~whole[:, 1:].any(-1)
    assert 0.35 < untouched.float().mean() < 0.65

    model = noisy(TINY).dynamics
    tokens, actions = torch.randint(0, 24, (2, 5, 16)), torch.randn(2, 4, 8)
    mask = torch.rand(2, 5, 16) < 0.5
    mask[:, 0] = False
    loss, _ = model.loss(tokens, actions, mask)
    logits = model(torch.where(mask, 24, tokens), actions)
    by_hand = -logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0][mask].mean()
    assert torch.allclose(loss, by_hand, atol=1e-5)


def test_masked_tokens_do_not_leak_and_the_action_reaches_its_own_frame_alone():
    model = noisy(variant(dynamics__action="prepended")).dynamics
    tokens, actions = torch.randint(0, 24, (1, 5, 16)), torch.randn(1, 4, 8)
    mask = torch.zeros(1, 5, 16, dtype=torch.bool)
    mask[:, 3, 4] = True
    other = torch.where(mask, (tokens + 1) % 24, tokens)
    hidden = [torch.where(mask, 24, x) for x in (tokens, other)]
    assert torch.equal(*hidden)
    moved = actions.clone()
    moved[:, 2] += 1  # between frames 2 and 3
    difference = (model(tokens, actions) - model(tokens, moved)).abs().amax(dim=(0, 2, 3))
    assert (difference[:3] < 1e-5).all() and (difference[3:] > 1e-4).all()


def test_sampling_fills_in_every_token_and_a_generator_repeats_it(frames):
    world = noisy(TINY).world({"temperature": 1.0})
    state = world.reset(Clip(frames[:, :1]))
    dreams = []
    for seed in (0, 0, 1):
        generator, now, pictures = torch.Generator().manual_seed(seed), state, []
        for code in (1, 5, 2):
            now, step = world.step(now, torch.full((3,), code), generator)
            pictures.append(step.frame)
        dreams.append(torch.stack(pictures))
    assert torch.equal(dreams[0], dreams[1]) and not torch.equal(dreams[0], dreams[2])
    assert dreams[0].dtype == torch.uint8 and dreams[0].shape == (3, 3, 3, 32, 32)
    model = world.system.dynamics
    tokens = model.sample(
        torch.randn(3, 8), state.time, state.dynamics, torch.rand(3, 3, 16, 2), 3, 1.0
    )
    assert int(tokens.max()) < model.mask_token  # nothing is left masked


def test_idle_hands_get_the_likeliest_tokens_and_keys_get_drawn_ones(frames):
    system = noisy(variant(actions__idle=7))
    likeliest, drawn = (system.world({"temperature": t}) for t in (0.0, 1.0))
    pressed = torch.tensor([7, 2, 7])
    ends = []
    for world, seed in ((likeliest, 0), (drawn, 0), (drawn, 1)):
        state, generator = world.reset(Clip(frames[:, :1])), torch.Generator().manual_seed(seed)
        ends.append(world.step(state, pressed, generator)[0].dynamics)
    same = [(end == ends[0]).flatten(1).all(1).tolist() for end in ends[1:]]
    assert same == [[True, False, True]] * 2
    assert not torch.equal(ends[1], ends[2])


def test_a_latent_action_that_is_held_on_is_let_go_of(frames):
    """After its longest time the idle one stands in its place, until another is pressed."""
    longest = (9, 9, 2, 9, 9, 1, 9, 9)
    free, bound = (
        noisy(variant(actions__idle=7, actions__longest=most)).world({"temperature": 0.0})
        for most in (None, longest)
    )

    def ends(world, *keys):
        state = world.reset(Clip(frames[:, :1]))
        for key in keys:
            state, _ = world.step(state, torch.tensor(key), None)
        return state.dynamics

    # the three in a batch have a clock each
    held = ends(bound, (2, 5, 1), (2, 5, 1), (2, 5, 1), (2, 1, 1), (4, 5, 1), (2, 5, 1))
    meant = ends(free, (2, 5, 1), (2, 7, 1), (7, 7, 1), (7, 1, 1), (4, 5, 1), (2, 7, 1))
    assert torch.equal(held, meant)
    assert not torch.equal(held, ends(free, *[(2, 5, 1)] * 4, (4, 5, 1), (2, 5, 1)))


def test_letting_go_needs_an_idle_latent_and_a_number_for_each():
    for changes in ({"actions__idle": None}, {"actions__idle": 7, "actions__longest": (3, 3)}):
        with pytest.raises(ValueError, match=r"actions\.longest needs actions\.idle and 8 numbers"):
            noisy(variant(**{"actions__longest": (3,) * 8} | changes)).world()


def test_parts_learn_in_their_stretch_and_not_outside(frames, tmp_path):
    import lightning as L

    config = variant(
        actions_span=(0.0, 0.5), tokenizer_span=(0.5, 1.0), dynamics_span=(0.5, 1.0), max_steps=4
    )
    model = Genie(config)
    assert model.parts_at(0) == model.parts_at(1) == ("actions",)
    assert model.parts_at(2) == model.parts_at(3) == ("tokenizer", "dynamics")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    loader = torch.utils.data.DataLoader([Clip(frames)] * 4, batch_size=None)
    L.Trainer(
        max_steps=2, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
    ).fit(model, loader)  # fmt: skip
    for name, value in model.named_parameters():
        part = name.split(".")[0]
        assert torch.equal(value, before[name]) == (part != "actions"), name


# --- data that was recorded, without a simulator -----------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A smoke run on the clips that ship with the course."""
    folder = tmp_path_factory.mktemp("genie")
    run, _ = RECIPE.preset("smoke")
    data = gather(run, folder / "data").path
    return fit("genie", tier="smoke", data=data, out=folder / "run", progress=False)


def test_a_run_needs_no_simulator_and_leaves_a_world(trained):
    assert trained.store.info["env"] == "procgen/coinrun" and 600 <= trained.store.num_frames < 1000
    world = wm.load_world(trained.out)
    state = world.reset(trained.store.clip([(0, 0), (1, 0)], 1))
    _, step = world.step(state, torch.tensor([0, 7]), torch.Generator().manual_seed(0))
    assert step.frame.shape == (2, 3, 64, 64) and not step.terminated.any()
    assert {"val/psnr_tokenizer", "val/action_perplexity", "val/tokens_used"} <= set(
        trained.history
    )
    card = json.loads((trained.out / "card.json").read_text())
    assert card["system"] == "genie" and card["steps"] == 6


def test_the_loaders_serve_frames_alone(trained):
    data = ClipDataModule(trained.store, batch_size=2, length=4, passive=True)
    assert data.train_batch(0).actions is None and data.train_batch(0).rewards is None
    assert next(iter(data.val_dataloader())).actions is None
    assert data.clips("val", 2, 4).actions is not None  # for scoring


def test_the_card_says_what_latent_actions_mean(trained):
    world = trained.system.world()
    card = evaluate(world, trained.store, horizons=(1, 4), clips=6, seeds=(0,), probe_steps=4)
    latent = card.section("latent actions")
    assert latent.row("recall").text == "of left, right, jump"
    assert latent.row("what each code stands for").text.count(",") == 7
    assert 0 <= latent.value("recall").value <= 1
    assert "inferred minus random" in str(card)
    assert EvaluationCard.from_json(card.to_json()) == card


def test_a_part_of_other_size_is_left_as_it_is(trained):
    larger = Genie(replace(trained.system.config, dynamics=replace(SMOKE.dynamics, depth=2)))
    before = larger.dynamics.out.weight.clone()
    RECIPE.initialize(larger, trained.system)
    assert torch.equal(larger.dynamics.out.weight, before)
    assert torch.equal(larger.tokenizer.to_code.weight, trained.system.tokenizer.to_code.weight)


def test_frames_that_do_not_fit_are_refused(trained):
    run, config = RECIPE.preset("smoke")
    with pytest.raises(ValueError, match="multiple of 24"):
        bad = replace(config, tokenizer=replace(config.tokenizer, patch=24))
        RECIPE.complete(bad, run, trained.store)
    with pytest.raises(ValueError, match="frames of shape"):
        trained.system.world().reset(Clip(torch.zeros(1, 1, 3, 32, 32, dtype=torch.uint8)))


def test_every_tier_has_its_preset_and_the_paper_is_the_paper_s():
    assert PAPER.tokenizer.num_codes == 1024 and PAPER.actions.num_actions == 8
    for tier in ("smoke", "laptop", "colab", "node", "pod"):
        run, config = RECIPE.preset(tier)
        assert run.env.startswith("procgen/coinrun") and config.actions.num_actions == 8


# --- the score ---------------------------------------------------------------------------------


class KnowsMoves:
    """Infers a code from the frames: the action was painted into the next frame's first pixel."""

    action_space = type("Space", (), {"n": 8})

    def __init__(self, collapsed: bool = False) -> None:
        self.collapsed = collapsed

    def infer_actions(self, clip):
        assert clip.actions is None  # the score must not show them
        codes = clip.frames[:, 1:, 0, 0, 0].long()
        return torch.zeros_like(codes) if self.collapsed else 7 - codes


@pytest.fixture
def painted(tmp_path) -> EpisodeStore:
    from gymnasium.spaces import Discrete

    from wmlearn.data.episodes import Episode, EpisodeWriter

    names = ["noop", "left", "right", "jump", "left_jump", "right_jump"]
    writer = EpisodeWriter(tmp_path / "p", Discrete(6), (3, 16, 16), action_names=names)
    rng = np.random.default_rng(0)
    for _ in range(10):
        actions = rng.integers(6, size=20)
        frames = np.zeros((21, 3, 16, 16), np.uint8)
        frames[1:, 0, 0, 0] = actions
        zeros = np.zeros(20)
        writer.write(Episode(frames, actions, zeros.astype(np.float32), zeros > 0, zeros > 0))
    return EpisodeStore(tmp_path / "p")


def test_codes_that_are_the_actions_score_full_marks(painted):
    score = score_latent_actions(KnowsMoves(), painted, range(8), (8, 9))
    assert score.many_to_one.value == score.one_to_one.value == score.recall.value == 1
    assert score.perplexity > 5 and score.used == 6 / 8 and score.majority.value < 0.5
    assert score.names[7 - 1] == "left" and score.names[7 - 5] == "jump"


def test_a_collapsed_action_model_scores_chance(painted):
    score = score_latent_actions(KnowsMoves(collapsed=True), painted, range(8), (8, 9))
    assert score.perplexity == pytest.approx(1) and score.used == 1 / 8
    assert score.recall.value == pytest.approx(1 / 3)
    assert score.many_to_one.value == score.majority.value


def test_the_best_map_is_found():
    table = torch.tensor([[9.0, 8, 0], [8, 0, 0], [0, 0, 0], [0, 1, 5]])
    assert best_one_to_one(table).tolist() == [1, 0, -1, 2]
    named, true = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 0, 1])
    recall = mean_recall(named, true, torch.tensor([0, 0, 1, 1]))
    assert recall.value == pytest.approx((2 / 3 + 1) / 2)
