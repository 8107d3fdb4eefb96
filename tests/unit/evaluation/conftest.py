"""Recorded once: the game of ``sliding_game``."""

from __future__ import annotations

import pytest
from sliding_game import record

from wmlearn.data.episodes import EpisodeStore


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> EpisodeStore:
    return record(tmp_path_factory.mktemp("data") / "game")
