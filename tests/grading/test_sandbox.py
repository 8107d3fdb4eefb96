"""The box around a student's process, wherever Python and the library lie."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from places import ROOT

PROBE = """
import subprocess, sys
sys.path[:0] = {paths!r}
from wmlearn.grading.sandbox import find_sandbox
box = find_sandbox()
assert box.found, box.missing
with box.opened() as (command, inherited):
    code = "import os, sys; open('/tmp/mine', 'w').close(); print(sys.prefix, *os.listdir('/tmp'))"
    said = subprocess.run([*command, sys.executable, "-c", code], capture_output=True, text=True,
                          pass_fds=inherited)
    assert said.returncode == 0, said.stderr
    print(said.stdout)
"""


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("bwrap"), reason="bubblewrap")
def test_python_may_live_where_the_box_has_an_empty_folder():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        venv = Path(folder) / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        (Path(folder) / "secret").write_text("a file beside it")
        code = PROBE.format(paths=[str(ROOT), *sys.path])
        words = [venv / "bin/python", "-c", code]
        said = subprocess.run(words, capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
        prefix, *inside = said.stdout.split()
        assert prefix == str(venv)
        own = {Path(path).parts[2] for path in sys.path if path.startswith("/tmp/")}
        assert set(inside) - own == {"mine", Path(folder).name}  # writable, nothing else of /tmp
