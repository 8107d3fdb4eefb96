"""A Genie's dynamics learns anew from tokens: the parts, at a size for a test."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import numpy as np
import torch

from wmlearn.chapters.ch09_genie import ship
from wmlearn.fast import speed_up
from wmlearn.systems.genie import Genie
from wmlearn.systems.genie.dynamics import Dynamics
from wmlearn.systems.genie.recipe import SMOKE

SMALL = replace(ship.CONFIG, dim=16, depth=1, heads=2, window=3)


def test_stretches_cover_each_frame_once_and_cross_no_end():
    first = np.zeros(70, bool)
    first[[0, 5, 40]] = True
    kept = [n for _, start, stop in ship.stretches(first) for n in range(start, stop)]
    assert kept == list(range(70))
    for begin, start, stop in ship.stretches(first):
        assert not first[begin + 1 : stop].any() and stop - begin <= 12
        assert start - begin == (0 if first[start] else 2)


def test_clips_lie_within_one_episode():
    codes = torch.tensor([ship.FIRST, 1, 2, 3, ship.FIRST, 0, 0])
    assert ship.clip_places(codes, 3).tolist() == [0, 1, 4]


def test_no_frame_looks_further_back_than_at_play():
    """With one layer the window's logits are those of the player's cache."""
    torch.manual_seed(0)
    model = Dynamics(SMALL, vocabulary=11, action_dim=4, space=6)
    torch.nn.init.normal_(model.out.weight)
    tokens, actions = torch.randint(11, (2, 9, 6)), torch.randn(2, 8, 4)
    with torch.no_grad():
        whole = ship.logits_in_window(model, tokens, actions)
        past, step = model.transformer.empty_past(2, SMALL.window), []
        for t in range(9):
            pressed = actions[:, t - 1] if t else None
            logits, past = model.step_logits(tokens[:, t], pressed, torch.full((2,), t), past)
            step.append(logits)
        assert torch.allclose(whole, torch.stack(step, 1), atol=1e-4)
        assert not torch.allclose(whole, model(tokens, actions), atol=1e-3)  # the window is left
    fast = ship.logits_in_window(speed_up(model), tokens, actions)  # with gradients, too
    assert torch.allclose(whole, fast, atol=1e-4)
    assert not torch.allclose(whole, model(tokens, actions), atol=1e-3)


def test_it_learns_what_an_action_does(monkeypatch):
    """A world of one token: action 0 keeps it, 1 turns it; a tenth of what is told is wrong."""
    clock = count()  # a second for each step, however busy the machine is
    monkeypatch.setattr(ship, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    draw = torch.Generator().manual_seed(0)
    codes = torch.randint(2, (400,), generator=draw)
    turned = codes.cumsum(0) % 2
    codes[0] = ship.FIRST
    tokens = turned[:, None].expand(-1, 4).contiguous()
    torch.manual_seed(0)
    config = replace(SMALL, any_action=0.1, held_action=0.0)
    model, lines = Dynamics(config, 2, 2, 4), []
    mean, steps = ship.train(
        tokens, codes, torch.eye(2), model, seconds=300, rate=1e-2, batch=16, length=6,
        say=lambda line, _: lines.append(line),
    )  # fmt: skip
    assert steps == 299 and len(lines) == 20
    clip = tokens[None, :6].long()
    hidden = clip.clone()
    hidden[:, -1] = mean.mask_token
    with torch.no_grad():
        logits = mean(hidden, torch.eye(2)[codes[1:6]][None])[0, -1]
    assert (logits.argmax(-1) == clip[0, -1]).float().mean() == 1


def test_tokens_and_what_led_to_each():
    system = Genie(SMOKE).eval()
    film = np.random.default_rng(0).integers(0, 256, (20, 3, 64, 64), dtype=np.uint8)
    first = np.zeros(20, bool)
    first[[0, 15]] = True
    tokens, codes = ship.tokenize(system, film, first)
    assert tokens.shape == (20, 64) and tokens.max() < SMOKE.tokenizer.num_codes
    assert np.flatnonzero(codes == ship.FIRST).tolist() == [0, 15]
    assert (codes[codes != ship.FIRST] < 8).all()
    own = system.infer_actions(torch.from_numpy(film[:12])[None])[0]
    assert codes[1:12].tolist() == own.tolist()


def test_the_new_dynamics_is_put_beside_the_old_parts():
    old = Genie(SMOKE)
    words, width = SMOKE.tokenizer.vocabulary, SMOKE.actions.action_dim
    new = Dynamics(replace(SMALL, dim=32), words, width, SMOKE.tokens_per_frame)
    joined = ship.put_in(old, new, idle=5)
    assert joined.world().idle == 5 and joined.config.dynamics.window == 3
    assert torch.equal(joined.dynamics.out.weight, new.out.weight)
    assert torch.equal(joined.tokenizer.encoder_in.weight, old.tokenizer.encoder_in.weight)


def test_idle_hands_are_what_is_seen_where_nothing_changes():
    system = Genie(SMOKE).eval()
    picture = np.random.default_rng(1).integers(0, 256, (1, 3, 64, 64), dtype=np.uint8)
    film = np.concatenate([picture, picture, 255 - picture])
    pair = torch.from_numpy(film[:2])[None]
    first = np.array([True, False, False])
    assert ship.idle_code(system, film, first) == int(system.infer_actions(pair))


def test_players_press_moves_and_hold_them():
    frame = np.zeros((64, 64, 3), np.uint8)
    draw = np.random.default_rng(0)
    kinds = set()
    for seed in range(30):
        one = ship.player(draw)
        one.reset(seed)
        pressed = [one(frame) for _ in range(60)]
        kinds.add(type(one).__name__)
        assert set(pressed) <= set(range(6))
    assert kinds == {"PlatformerPolicy", "Stubborn", "Uniform"}


def test_how_long_a_latent_action_is_seen_on_end():
    """Of each code's runs; an episode's first frame ends one, whatever came before."""
    codes = np.array([ship.FIRST, 0, 0, 1, 0, 0, 0, ship.FIRST, 0, 1, 1, 1, 1], np.uint8)
    assert ship.longest_runs(codes, 3, share=1.0) == (3, 4, 1)
    codes = np.array([0] * 50 + [1, 0] * 99, np.uint8)
    assert ship.longest_runs(codes, 2) == (1, 1)  # of its 100 runs all but one are of one frame
