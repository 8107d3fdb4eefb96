"""Settings and data that every test may use. Environment variables are set in ../conftest.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from places import ROOT

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT
