"""Every kind of file that is read, damaged in many ways by a fixed seed: a sentence, or it works.

What may come of a damaged file is one of the library's own errors, with a message, in little time;
never another exception, and never a hang.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete

from wmlearn import hub
from wmlearn.agents.actor_critic import ActorCritic, ActorCriticConfig
from wmlearn.data import shipped
from wmlearn.data.clip import Clip
from wmlearn.data.episodes import Episode, EpisodeStore, EpisodeWriter
from wmlearn.evaluation.card import EvaluationCard
from wmlearn.train import resume
from wmlearn.train.history import read_history

TIMES = 40  # damages of each file
ODD = [None, True, -1, 0, 3.5, 10**30, "", "x" * 300, "\ud800", [], {}, [[[]]], {"a": {"b": 1}}]


def _episode(seed: int) -> Episode:
    rng = np.random.default_rng(seed)
    ends = np.arange(6) == 5
    return Episode(
        rng.integers(0, 256, (7, 3, 32, 32), dtype=np.uint8),
        rng.integers(0, 4, 6),
        rng.random(6, np.float32),
        ends,
        np.zeros(6, bool),
    )


def _dataset(folder: Path) -> Path:
    writer = EpisodeWriter(folder, Discrete(4), (3, 32, 32), env="test", policy="random", hold=3.0)
    for seed in range(2):
        writer.write(_episode(seed))
    return folder


def _checkpoint(folder: Path) -> Path:
    config = ActorCriticConfig(num_actions=3, image_size=16, channels=(32,), lstm_dim=8)
    starts = Clip(
        torch.randint(256, (2, 4, 3, 16, 16), dtype=torch.uint8), torch.zeros(2, 3).long()
    )
    return hub.save(folder, ActorCritic(config), "actor-critic", {"steps": 1}, starts)


def _state(folder: Path) -> Path:
    folder.mkdir()
    state = {"weights": {"a": torch.arange(6.0)}, "step": 3, "order": [1, 2, (3, "x")]}
    resume.write(folder / "state.safetensors", state)
    return folder


def _packed(folder: Path) -> Path:
    shipped.pack(EpisodeStore(_dataset(folder / "set")), folder / "packed")
    return folder / "packed"


def _history(folder: Path) -> Path:
    folder.mkdir()
    rows = [{"step": 20 * i, "seconds": 1.5 * i, "train/loss": 1 / (i + 1)} for i in range(5)]
    (folder / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def _card(folder: Path) -> Path:
    folder.mkdir()
    results = Path(__file__).parents[2] / "assets" / "evaluations"
    (folder / "card.json").write_text(next(iter(sorted(results.glob("*.json")))).read_text())
    return folder


def _read_all(folder: Path) -> None:
    store = EpisodeStore(folder)
    for number in range(len(store)):
        _ = store[number].frames.sum()


KINDS: dict[str, tuple[Callable, str, Callable]] = {
    "checkpoint's card": (_checkpoint, "card.json", hub.load),
    "weights": (_checkpoint, "model.safetensors", hub.load),
    "starts": (_checkpoint, "starts.safetensors", hub.load_starts),
    "dataset.json": (_dataset, "dataset.json", _read_all),
    "episode": (_dataset, "episode-000001.safetensors", _read_all),
    "packed dataset.json": (_packed, "dataset.json", lambda f: shipped.unpack(f, f / "out")),
    "packed steps": (_packed, "steps.safetensors", lambda f: shipped.unpack(f, f / "out")),
    "resume state": (_state, "state.safetensors", lambda f: resume.read(f / "state.safetensors")),
    "history": (_history, "history.jsonl", lambda f: read_history(f / "history.jsonl")),
    "evaluation card": (_card, "card.json", lambda f: EvaluationCard.load(f / "card.json")),
}


def _damaged(data: bytes, rng: random.Random, is_json: bool) -> bytes:
    ways = ["cut", "flip", "insert", "empty", "deep"] + ["value", "drop"] * (4 if is_json else 0)
    way = rng.choice(ways)
    if way == "cut":
        return data[: rng.randrange(len(data))]
    if way == "flip":
        damaged = bytearray(data)
        for _ in range(rng.choice((1, 3, 20))):
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        return bytes(damaged)
    if way == "insert":
        at = rng.randrange(len(data))
        return data[:at] + rng.randbytes(rng.choice((1, 8, 200))) + data[at:]
    if way == "empty":
        return rng.choice((b"", b"\0" * len(data), b"null", b"[]", b"{}"))
    if way == "deep":
        return b'{"a":' * 100_000 if rng.random() < 0.5 else b"[" * 100_000
    document = json.loads(data.decode().splitlines()[0] if way == "history" else data)
    here = document
    while True:  # one value somewhere in the tree
        key = rng.choice(list(here) if isinstance(here, dict) else range(len(here)))
        if isinstance(here[key], dict | list) and here[key] and rng.random() < 0.7:
            here = here[key]
            continue
        if way == "drop":
            del here[key]
        else:
            here[key] = rng.choice(ODD)
        return json.dumps(document).encode()


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_a_sentence(kind, tmp_path):
    make, name, read = KINDS[kind]
    folder = make(tmp_path / "good")
    whole = (folder / name).read_bytes()
    read(folder)  # undamaged
    rng = random.Random(f"{kind} 1")
    refused = 0
    for number in range(TIMES):
        (folder / name).write_bytes(_damaged(whole, rng, name.endswith(".json")))
        begun = time.monotonic()
        try:
            read(folder)
        except (ValueError, FileNotFoundError) as error:
            assert len(str(error)) > 20 and "\n" not in str(error)[:20], (number, error)
            refused += 1
        assert time.monotonic() - begun < 10, f"damage {number} took too long"
    assert refused > TIMES / 4
