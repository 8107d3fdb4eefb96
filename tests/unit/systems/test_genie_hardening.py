"""Training on what only play brings: buttons that do not fit, and the model's own tokens."""

from __future__ import annotations

from dataclasses import replace

import torch

from wmlearn.data.clip import Clip
from wmlearn.systems.genie import Genie
from wmlearn.systems.genie.config import DynamicsConfig
from wmlearn.systems.genie.dynamics import _draw
from wmlearn.systems.genie.hardening import LONGEST, draw_own_tokens, press_otherwise
from wmlearn.systems.genie.recipe import SMOKE


def uniform(*shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(shape, generator=generator) for shape in shapes]


def test_the_paper_believes_every_latent_action():
    codes = torch.randint(8, (64, 15))
    same = press_otherwise(codes, *uniform((64, 3), (64, 15, 2)), 8, DynamicsConfig())
    assert torch.equal(same, codes)


def test_as_many_are_replaced_as_asked_by_any_of_them():
    codes = torch.zeros(400, 15, dtype=torch.int64)
    config = DynamicsConfig(any_action=0.4)
    other = press_otherwise(codes, *uniform((400, 3), (400, 15, 2)), 8, config)
    share = torch.bincount(other.flatten(), minlength=8) / other.numel()
    assert torch.allclose(share[1:], torch.full((7,), 0.05), atol=0.01)  # 0.4 / 8 each
    assert abs(share[0] - 0.65) < 0.02


def test_an_action_is_held_on_from_where_it_was_seen():
    codes = torch.arange(15).expand(300, -1)
    config = DynamicsConfig(held_action=0.5)
    other = press_otherwise(codes, *uniform((300, 3), (300, 15, 2)), 15, config)
    changed = other != codes
    assert 0.35 < changed.any(1).float().mean() < 0.5  # held at the very end changes nothing
    for row, moved in zip(other[changed.any(1)], changed[changed.any(1)], strict=True):
        first = int(moved.nonzero()[0]) - 1  # the frame whose own action is held
        run = row[moved]
        assert (run == first).all() and len(run) < LONGEST
        assert (moved.nonzero().flatten() == first + 1 + torch.arange(len(run))).all()


def test_own_tokens_are_drawn_from_the_models_odds_where_it_was_asked():
    tokens = torch.zeros(200, 3, 5, dtype=torch.int64)
    odds = torch.tensor([0.0, 0.25, 0.75]).log()
    asked = []

    def logits_of(hidden):
        asked.append(hidden)
        return odds.expand(*hidden.shape, 3)

    config = DynamicsConfig(own_tokens=0.5)
    shapes = (200, 2), (200, 3, 5, 2)
    seen = draw_own_tokens(logits_of, tokens, *uniform(*shapes), 3, config)
    anew = asked[0] == 3
    assert torch.equal(seen[~anew], tokens[~anew]) and (seen[anew] > 0).all()
    assert abs((seen[anew] == 2).float().mean() - 0.75) < 0.06
    assert 0.4 < anew.flatten(1).any(1).float().mean() < 0.6
    assert anew.flatten(1).float().mean(1).max() < 0.8
    none = draw_own_tokens(logits_of, tokens, *uniform(*shapes), 3, DynamicsConfig())
    assert torch.equal(none, tokens)


def test_targets_stay_the_real_tokens():
    """Whatever is told and seen, a hidden token's target is the recording's."""
    config = replace(SMOKE, dynamics=replace(SMOKE.dynamics, any_action=0.5, own_tokens=1.0))
    system = Genie(config)
    clip = Clip(torch.randint(256, (2, 4, 3, 64, 64), dtype=torch.uint8))
    heard = []
    loss_of = system.dynamics.loss

    def listen(tokens, actions, mask, masked=None, seen=None):
        heard.append((tokens, seen))
        return loss_of(tokens, actions, mask, masked, seen)

    system.dynamics.loss = listen
    losses, _ = system.losses(clip, ("dynamics",))
    (tokens, seen), true = heard[0], system.tokenizer.encode(clip.frames.float() / 127.5 - 1)
    assert torch.equal(tokens, true) and not torch.equal(seen, true)
    losses["dynamics"].backward()
    assert all(p.grad is None for p in system.tokenizer.parameters())
    again, _ = system.losses(clip, ("dynamics",))
    assert torch.equal(losses["dynamics"], again["dynamics"])


def test_tokens_far_below_the_likeliest_are_not_drawn():
    """Of 60, 30 and 10 %: with a floor of 0.4 the last one never, the others 2 to 1."""
    logits = torch.tensor([0.6, 0.3, 0.1]).log().expand(3000, 3)
    chance = torch.rand(3000, generator=torch.Generator().manual_seed(0))
    for least, share in ((0.0, (0.6, 0.3, 0.1)), (0.4, (2 / 3, 1 / 3, 0.0))):
        drawn = torch.bincount(_draw(logits, chance, 1.0, least), minlength=3) / 3000
        assert torch.allclose(drawn, torch.tensor(share), atol=0.03)
    assert (_draw(logits, chance, 0.0, 0.0) == 0).all()
