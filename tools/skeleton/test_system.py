"""My Model: its loss falls, its world is a World, published names fit, what does not is refused.

The tests over the registry train, resume, repeat and share it out over two processes.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_runs import write_data
from wmlearn.systems.mymodel import PAPER, MyModel
from wmlearn.systems.mymodel.published import convert
from wmlearn.systems.mymodel.recipe import RECIPE, SMOKE

from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore
from wmlearn.world import World


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> EpisodeStore:
    folder = tmp_path_factory.mktemp("mymodel") / "data"
    return EpisodeStore(write_data("my-model", folder))


@pytest.fixture(scope="module")
def clip(store) -> Clip:
    return store.clip([(episode, 2) for episode in range(4)], PAPER.context_frames + 1)


@pytest.fixture
def system(store) -> MyModel:
    run, config = RECIPE.preset("smoke")
    return MyModel(RECIPE.complete(config, run, store))


def test_the_loss_falls(system, clip):
    optimizer = torch.optim.Adam(system.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = system.loss(clip)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_the_same_actions_give_the_same_dream_and_others_another(system, clip):
    torch.nn.init.normal_(system.network.out.weight, std=0.3)
    world = system.world()
    assert isinstance(world, World) and world.predicts_reward is False
    films = []
    for action in (0, 0, 1):
        state, film = world.reset(clip), []
        for _ in range(3):
            state, step = world.step(state, torch.full((len(clip),), action))
            film.append(step.frame)
        films.append(torch.stack(film))
    assert torch.equal(films[0], films[1]) and not torch.equal(films[0], films[2])
    assert films[0].shape[1:] == clip.frames[:, 0].shape and films[0].dtype == torch.uint8


def test_published_names_fit(system):
    ours = system.network.state_dict()
    theirs = {f"model.{name.replace('layers.', 'blocks.')}": v for name, v in ours.items()}
    assert convert(theirs).keys() == ours.keys()
    system.network.load_state_dict(convert(theirs))


def test_what_does_not_fit_is_refused(store):
    run, config = RECIPE.preset("smoke")
    with pytest.raises(ValueError, match="clip_frames=3 is too short"):
        RECIPE.complete(config, replace(run, clip_frames=3), store)
    with pytest.raises(ValueError, match="No weights named 'model"):
        convert({"other.weight": torch.zeros(1)})
    assert SMOKE.width < PAPER.width
