"""Runs a chapter from its source and stores the outputs, without times and widget state.

    python tools/run_chapter.py notebooks/NN_name.ipynb

The tier is that of WMLEARN_TIER, the laptop's by default. Runs and recordings go to a temporary
folder. A run that differs by more than half from the header's minutes or memory fails.
(nbconvert with ``store_widget_state=False`` breaks at the first Output widget.)
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient


def main() -> None:
    path = Path(sys.argv[1])
    os.environ["WMLEARN_STRICT"] = "1"  # read by the last cell
    notebook = jupytext.read(path.parent / "src" / f"{path.stem}.py")
    metadata = nbformat.read(path, as_version=4).metadata if path.exists() else notebook.metadata
    notebook.metadata = metadata
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(
            notebook,
            timeout=1200,
            kernel_name="python3",
            record_timing=False,
            resources={"metadata": {"path": folder}},
        ).execute()
    notebook.metadata = {key: value for key, value in metadata.items() if key != "widgets"}
    nbformat.write(notebook, path)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
