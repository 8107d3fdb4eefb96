"""Checkpoints: what is saved comes back; what is damaged is refused in one sentence."""

from __future__ import annotations

import json
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import torch
from fading_world import landscapes

from wmlearn import hub
from wmlearn.agents.actor_critic import ActorCritic, ActorCriticConfig, Player
from wmlearn.data.clip import Clip
from wmlearn.data.likeness import Likeness

CONFIG = ActorCriticConfig(num_actions=3, image_size=16, channels=(32,), lstm_dim=8)


@pytest.fixture
def network():
    """Weights that no new network has: those begin the same each time."""
    network, generator = ActorCritic(CONFIG), torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data.normal_(generator=generator)
    return network


@pytest.fixture
def checkpoint(tmp_path, network):
    starts = Clip(
        torch.randint(256, (2, 4, 3, 16, 16), dtype=torch.uint8),
        actions=torch.zeros(2, 3, dtype=torch.int64),
    )
    return hub.save(tmp_path / "small", network, "actor-critic", {"steps": 7}, starts)


def test_round_trip(checkpoint, network):
    again = hub.load(checkpoint)
    assert again.config == CONFIG and again.card["steps"] == 7
    expected = network.state_dict()
    for name, value in again.state_dict().items():
        assert torch.equal(value, expected[name]), name
    assert hub.load_starts(checkpoint).frames.shape == (2, 4, 3, 16, 16)


def test_start_clips_of_a_video_have_words_in_place_of_actions(tmp_path, network):
    frames = torch.randint(256, (2, 4, 3, 16, 16), dtype=torch.uint8)
    starts = Clip(frames, text=("a ball", "a square"), state=torch.rand(2, 4, 5))
    again = hub.load_starts(hub.save(tmp_path / "video", network, "actor-critic", {}, starts))
    assert torch.equal(again.frames, frames) and torch.equal(again.state, starts.state)
    assert again.text == starts.text and again.actions is None


def test_half_precision_halves_the_file(tmp_path, network):
    full = hub.save(tmp_path / "full", network, "actor-critic", {})
    half = hub.save(tmp_path / "half", network, "actor-critic", {}, dtype=torch.float16)
    sizes = [(path / "model.safetensors").stat().st_size for path in (full, half)]
    assert sizes[1] < 0.6 * sizes[0]
    weight = hub.load(half).critic.weight
    assert weight.dtype == torch.float32 and torch.equal(
        weight, network.critic.weight.half().float()
    )


def test_truncated_or_tampered_weights_are_refused(checkpoint):
    path = checkpoint / "model.safetensors"
    whole = path.read_bytes()
    for damaged in (whole[:-10], whole[:-1] + bytes([whole[-1] ^ 1])):
        path.write_bytes(damaged)
        with pytest.raises(hub.CheckpointError, match=r"model\.safetensors is not the file"):
            hub.load(checkpoint)
    path.unlink()
    with pytest.raises(hub.CheckpointError, match="is missing"):
        hub.load(checkpoint)


def test_foreign_cards_are_refused(checkpoint):
    path = checkpoint / "card.json"
    good = json.loads(path.read_text())
    for change, words in (
        ({"format": "other"}, "update wmlearn"),
        ({"system": "dreamer"}, "does not know"),
        ({"config": {"num_actions": "many"}}, "not one of a actor-critic"),
        ({"config": {**good["config"], "lstm_dim": 16}}, "do not fit the config"),
    ):
        path.write_text(json.dumps({**good, **change}))
        with pytest.raises(hub.CheckpointError, match=words):
            hub.load(checkpoint)
    path.write_text("{")
    with pytest.raises(hub.CheckpointError, match="not the card"):
        hub.load(checkpoint)


def test_unknown_names_list_the_known(tmp_path, monkeypatch):
    monkeypatch.setenv("WMLEARN_ASSETS", str(tmp_path))
    monkeypatch.setenv("WMLEARN_CACHE", str(tmp_path))
    with pytest.raises(hub.CheckpointError, match="the weights are in assets/checkpoints of"):
        hub.load("no-such-world")
    monkeypatch.undo()
    with pytest.raises(hub.CheckpointError, match="shipped names .*diamond-doom-basic"):
        hub.load("no-such-world")


@pytest.fixture
def address(checkpoint, monkeypatch, tmp_path):
    """A server on this machine that publishes ``small``; assets are empty, the cache is new."""
    requests = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            requests.append(self.path)

    handler = partial(Handler, directory=str(checkpoint.parent))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("WMLEARN_ASSETS", str(tmp_path / "no-assets"))
    monkeypatch.setenv("WMLEARN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("WMLEARN_WEIGHTS", f"http://127.0.0.1:{server.server_port}")
    yield requests
    server.shutdown()
    server.server_close()


def test_a_published_checkpoint_is_fetched_once(address, checkpoint):
    for _ in range(2):
        again = hub.load("small")
        assert again.card["steps"] == 7
        assert hub.load_starts("small").frames.shape == (2, 4, 3, 16, 16)
    names = ["card.json", "model.safetensors", "starts.safetensors"]
    assert address == [f"/small/{name}" for name in names]


@pytest.mark.parametrize("file", ["model.safetensors", "starts.safetensors"])
def test_what_differs_from_its_card_is_not_used_and_not_kept(address, checkpoint, file, tmp_path):
    whole = (checkpoint / file).read_bytes()
    (checkpoint / file).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ConnectionError, match="not the file that its card describes"):
        hub.load("small")
    assert not (tmp_path / "cache/checkpoints/small/card.json").exists()
    assert not (tmp_path / "cache/checkpoints/small" / file).exists()
    (checkpoint / file).write_bytes(whole)
    assert hub.load("small").card["steps"] == 7  # and nothing stands in its way later


def test_a_card_cannot_write_elsewhere(address, checkpoint, tmp_path):
    card = json.loads((checkpoint / "card.json").read_text())
    card["files"] = {"../outside": card["sha256"]}
    (checkpoint / "card.json").write_text(json.dumps(card))
    with pytest.raises(hub.CheckpointError, match="lacks"):
        hub.load("small")
    assert not (tmp_path / "cache/checkpoints/outside").exists()


def test_an_address_that_is_silent_or_has_no_such_name_says_so(address, monkeypatch):
    with pytest.raises(hub.CheckpointError, match="no checkpoint 'other'"):
        hub.load("other")
    monkeypatch.setenv("WMLEARN_WEIGHTS", "http://127.0.0.1:1")
    with pytest.raises(ConnectionError, match="cannot be reached"):
        hub.load("small")


def test_tampered_starts_are_refused(checkpoint):
    path = checkpoint / "starts.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(hub.CheckpointError, match="not the file that card.json describes"):
        hub.load_starts(checkpoint)


def test_a_likeness_comes_back_and_is_checked(tmp_path, network):
    measure = Likeness.of_frames(landscapes(200, seed=0), landscapes(50, seed=1))
    folder = hub.save(tmp_path / "like", network, "actor-critic", {}, likeness=measure)
    frames = landscapes(5, seed=2)
    assert torch.allclose(hub.load_likeness(folder)(frames), measure(frames))
    path = folder / "likeness.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(hub.CheckpointError, match="not the file"):
        hub.load_likeness(folder)


def test_a_checkpoint_without_a_likeness_has_none(checkpoint):
    assert hub.load_likeness(checkpoint) is None


def test_a_policy_is_no_world(checkpoint):
    with pytest.raises(hub.CheckpointError, match="not a world"):
        hub.load_world(checkpoint)


def test_every_shipped_checkpoint_loads():
    names = hub.list_checkpoints()
    assert "diamond-doom-basic" in names
    for name in names:
        card = hub.load(name).card
        wanted = {"tier", "steps", "hardware", "minutes", "data", "seed", "commit", "metrics"}
        assert wanted <= card.keys(), (name, wanted - card.keys())


def test_a_player_repeats_itself_with_its_seed():
    frames = torch.randint(256, (4, 3, 16, 16), dtype=torch.uint8)
    network = ActorCritic(CONFIG)

    def play(seed):
        player = Player(network, seed=seed)
        player.reset(4)
        return [player.act(frames).tolist() for _ in range(5)]

    assert play(0) == play(0) != play(1)
