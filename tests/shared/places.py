"""Where things are, for tests in any folder."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The repository."""
REFERENCES = ROOT / "tests/data"
"""Tensors that published code computed."""
