"""Chapter 8: a checkpoint is measured and put together from a run, end to end at smoke size."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from wmlearn import hub
from wmlearn.chapters.ch08_cosmos import measure, ship
from wmlearn.data.episodes import Episode, EpisodeWriter
from wmlearn.envs.driving import STATE
from wmlearn.systems.cosmos import Cosmos
from wmlearn.systems.cosmos.recipe import SMOKE
from wmlearn.systems.cosmos_ar import CosmosAR
from wmlearn.systems.cosmos_ar import recipe as autoregressive


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    from gymnasium.spaces import Box

    from wmlearn.data.episodes import EpisodeStore

    folder, rng = tmp_path_factory.mktemp("cars") / "data", np.random.default_rng(0)
    space = Box(np.array([-1, 0, 0], np.float32), np.ones(3, np.float32))
    writer = EpisodeWriter(
        folder, space, (3, 64, 64), env="driving/car-racing", policy="mixed", state_names=STATE
    )
    for _ in range(6):
        steps = 40
        writer.write(
            Episode(
                rng.integers(0, 256, (steps + 1, 3, 64, 64), dtype=np.uint8),
                rng.uniform(0, 1, (steps, 3)).astype(np.float32),
                np.zeros(steps, np.float32),
                np.zeros(steps, bool),
                np.arange(steps) == steps - 1,
                rng.normal(size=(steps + 1, len(STATE))).astype(np.float32),
            )
        )
    return EpisodeStore(folder)


@pytest.mark.parametrize(
    ("system", "config", "name"),
    [(Cosmos, SMOKE, "cosmos"), (CosmosAR, autoregressive.SMOKE, "cosmos-ar")],
)
def test_a_run_becomes_a_checkpoint(system, config, name, store, tmp_path, monkeypatch):
    pytest.importorskip("Box2D")
    monkeypatch.setattr(measure, "POLICIES", dict(list(measure.POLICIES.items())[-3:]))
    torch.manual_seed(0)
    run = hub.save(tmp_path / "run", system(replace(config, image_size=64)), name, {"minutes": 1})
    found = measure.measure(hub.load(run), store, 2, 1, 3, 2.0, say=lambda text: None)
    assert found["tokenizer"].keys() == {"whole", "car"}
    assert found["dream"].keys() == {"4", "8"} or "32" in found["dream"]
    assert found["frames_a_second"] > 0 and len(found["closed_loop"]["metres"]) == 3
    written = json.loads(json.dumps(measure.plain(found)))
    assert written["closed_loop"]["trajectory_error"]["25"]["dream"]["n"] == 3
    folder = ship.ship(run, store, tmp_path / "shipped", 2, written)
    card = hub.read_card(folder)
    assert card["metrics"] == written and card["minutes"] == 1
    world, starts = hub.load_world(folder), hub.load_starts(folder)
    assert starts.frames.shape == (1, 9, 3, 64, 64)  # there is one held-out episode
    state, step = world.step(world.reset(starts), torch.zeros(1, 3))
    assert step.frames.shape == (1, 4, 3, 64, 64)
