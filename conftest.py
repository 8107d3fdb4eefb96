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


PROCESSES = 2
ROOT = Path(__file__).resolve().parent


@pytest.hookimpl(tryfirst=True)  # before xdist reads what it was asked for
def pytest_cmdline_main(config):
    """``pytest`` without a path runs everything, notebooks too, in processes side by side.

    With a path it runs what was named, in its own process, so that ``--pdb`` works; ``-n 2`` and
    the like may be given with either.
    """
    option = config.option
    if config.args_source is config.ArgsSource.TESTPATHS and not option.usepdb:
        if getattr(option, "numprocesses", 0) is None:
            option.numprocesses, option.dist = PROCESSES, "loadfile"  # a notebook stays in one
    paths = [Path(config.invocation_params.dir, arg.split("::")[0]) for arg in config.args]
    if hasattr(option, "nbval") and not all(p.is_relative_to(ROOT / "tests") for p in paths):
        option.nbval_lax = option.nbval_current_env = True
        option.nbval_cell_timeout = 300


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
