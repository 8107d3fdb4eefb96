"""V-JEPA trains through ``wmlearn fit`` and loads again (resuming: test_resume.py)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import wmlearn as wm
from wmlearn.chapters.ch11_vjepa.motion import extract
from wmlearn.data.episodes import Episode, EpisodeStore, EpisodeWriter
from wmlearn.systems.vjepa import VJEPA
from wmlearn.systems.vjepa.recipe import RECIPE
from wmlearn.train.fit import fit


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Sixteen short videos of drifting stripes."""
    path = tmp_path_factory.mktemp("data") / "stripes"
    writer = EpisodeWriter(path, None, (3, 64, 64), env="clips/metaworld")
    x = np.arange(64)
    for number in range(16):
        frames = [
            np.broadcast_to(128 + 100 * np.sin((x + t * (number % 5)) / 5), (3, 64, 64))
            for t in range(16)
        ]
        writer.write(Episode(np.stack(frames).astype(np.uint8)))
    return str(path)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    out = str(tmp_path_factory.mktemp("runs") / "vjepa")
    return fit("vjepa", tier="smoke", data=data, out=out, progress=False)


def test_a_run_leaves_a_checkpoint_with_features(trained):
    system = wm.load(trained.out)
    assert isinstance(system, VJEPA) and system.card["steps"] == 4
    clip = trained.store.clip([(0, 0), (1, 1)], length=15)
    features = extract(system, clip)
    assert features.shape == (2, 64, system.config.encoder.dim)
    torch.testing.assert_close(features, extract(trained.system, clip))
    names = {"val/prediction", "val/feature_std", "val/effective_rank"}
    assert names <= set(trained.history)
    assert not system.target_encoder.blocks[0].norm1.weight.requires_grad


def test_data_that_do_not_fit_are_refused(data):
    run, config = RECIPE.preset("smoke")
    with pytest.raises(ValueError, match="clip_frames=9 is too short"):
        RECIPE.complete(config, replace(run, clip_frames=9), EpisodeStore(data))
    odd = replace(config, encoder=replace(config.encoder, patch_size=24))
    with pytest.raises(ValueError, match="patches of 24 pixels"):
        RECIPE.complete(odd, run, EpisodeStore(data))
