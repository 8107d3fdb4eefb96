"""Settings of every test and notebook kernel, whichever path pytest is called with."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

os.environ.setdefault("WMLEARN_TIER", "smoke")  # the notebooks finish in seconds
os.environ.setdefault("OMP_NUM_THREADS", "1")  # one worker a core: more threads only fight
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # a notice of every kernel


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: measures speed, so no other worker runs meanwhile")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    with _turn(alone=item.get_closest_marker("alone") is not None):
        return (yield)


@contextmanager
def _turn(alone):
    """Waits until a test may run: beside those of other workers, or alone."""
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        yield
        return
    path = Path(tempfile.gettempdir(), f"wmlearn-tests-{os.getuid()}")
    with open(f"{path}.gate", "w") as gate, open(f"{path}.running", "w") as running:
        fcntl.flock(gate, fcntl.LOCK_EX)  # who waits to be alone holds up those behind
        fcntl.flock(running, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield
