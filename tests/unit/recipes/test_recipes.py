"""Every recipe keeps the contract; schedules are the formulas that they say."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch

from wmlearn.recipes.optim import adamw, decay_groups, only_within, scheduled, warmup, warmup_cosine
from wmlearn.recipes.recipe import Recipe, check_counts
from wmlearn.recipes.tiers import TIERS
from wmlearn.systems import LOADABLE, TRAINABLE


@pytest.mark.parametrize("name", TRAINABLE)
def test_a_recipe_has_numbers_for_every_tier(name):
    recipe = TRAINABLE[name].load("recipe")
    assert isinstance(recipe, Recipe) and recipe.name in LOADABLE and type(recipe).__doc__
    for tier in TIERS:
        run, config = recipe.preset(tier)
        assert run.tier == tier and recipe.optimizer_steps(config) >= 1
        assert type(config) is type(recipe.preset("smoke")[1])
        assert run.max_steps % recipe.optimizer_steps(config) == 0


def test_a_recipe_without_presets_says_what_is_missing():
    class Empty(Recipe):
        name = "empty"

    for ask in (lambda: Empty().preset("smoke"), lambda: Empty().build(None)):
        with pytest.raises(NotImplementedError, match="Empty must"):
            ask()


def test_the_rate_rises_and_falls():
    rise, both = warmup(4), warmup_cosine(4, 10)
    assert [rise(step) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    for step in range(10):
        cosine = 0.5 * (1 + math.cos(math.pi * step / 10))
        assert both(step) == rise(step) * cosine
    assert both(10) == both(50) == 0 and warmup_cosine(4, 0)(50) == 1
    part = only_within(warmup_cosine(1, 5, begin=3), 3, 8)
    assert [part(step) for step in (2, 8)] == [0, 0]
    assert [part(step) for step in range(3, 8)] == [warmup_cosine(1, 5)(k) for k in range(5)]


def test_what_is_frozen_gets_no_optimizer_and_norms_do_not_decay():
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.LayerNorm(3))
    network[0].bias.requires_grad_(False)
    matrices, rest = decay_groups(network.parameters())
    assert [p.shape for p in matrices["params"]] == [(3, 2)]
    assert len(rest["params"]) == 2 and rest["weight_decay"] == 0
    result = scheduled(adamw([matrices, rest], 0.5, 0.1), warmup(2))
    rates = [(g["lr"], g["weight_decay"]) for g in result["optimizer"].param_groups]
    assert rates == [(0.25, 0.1), (0.25, 0.0)]
    assert result["lr_scheduler"]["interval"] == "step"


@pytest.mark.parametrize("name", TRAINABLE)
def test_every_preset_has_counts_that_can_be(name):
    for tier in TIERS:
        check_counts(TRAINABLE[name].load("recipe").preset(tier)[1])


def test_counts_below_one_are_refused_by_name_however_deep():
    @dataclass
    class Inner:
        steps: int
        extra: int = 0
        share: float = 0.0

    @dataclass
    class Outer:
        inner: Inner
        flag: bool = False

    check_counts(Outer(Inner(1)))
    with pytest.raises(ValueError, match="system.inner.steps must be at least 1; got 0"):
        check_counts(Outer(Inner(0)))
    with pytest.raises(ValueError, match="system.inner.extra must be at least 0; got -1"):
        check_counts(Outer(Inner(1, -1)))
