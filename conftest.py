"""Settings of every test and notebook kernel, whichever path pytest is called with."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("WMLEARN_TIER", "smoke")  # the notebooks finish in seconds
os.environ.setdefault("OMP_NUM_THREADS", "1")  # one worker a core: more threads only fight
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # a notice of every kernel


PROCESSES = 2
LONGEST_FIRST = ("notebooks", "tests/systems", "tests/grading", "tests/browser", "tests/envs")
ROOT = Path(__file__).resolve().parent


def pytest_addoption(parser):
    parser.addoption("--no-skips", action="store_true", help="what would be skipped fails")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    return _not_skipped((yield), item.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return _not_skipped((yield), collector.config)


def _not_skipped(report, config):
    if report.skipped and not hasattr(report, "wasxfail") and config.getoption("no_skips"):
        report.outcome = "failed"
        report.longrepr = f"skipped in spite of --no-skips: {report.longrepr}"
    return report


@pytest.hookimpl(tryfirst=True)  # before xdist reads what it was asked for
def pytest_cmdline_main(config):
    """``pytest`` without a path runs everything, notebooks too, in processes side by side.

    With a path it runs what was named, in its own process, so that ``--pdb`` works; ``-n 2`` and
    the like may be given with either.
    """
    option = config.option
    a_worker = "PYTEST_XDIST_WORKER" in os.environ  # it would start workers of its own
    whole = config.args_source is config.ArgsSource.TESTPATHS
    if whole and not option.usepdb and not a_worker:
        if getattr(option, "numprocesses", 0) is None:
            option.numprocesses, option.dist = PROCESSES, "loadfile"  # a notebook stays in one
            option.loadscopereorder = False  # the order is ours, see below
    paths = [Path(config.invocation_params.dir, arg.split("::")[0]) for arg in config.args]
    if hasattr(option, "nbval") and not all(p.is_relative_to(ROOT / "tests") for p in paths):
        option.nbval_lax = option.nbval_current_env = True
        option.nbval_cell_timeout = 300


def pytest_collection_modifyitems(items):
    """Long files come first, the unit ring last: at the end no process waits long for another."""

    def rank(item):
        place = Path(os.path.relpath(item.path, ROOT)).as_posix()
        early = [n for n, folder in enumerate(LONGEST_FIRST) if place.startswith(folder + "/")]
        return early[0] if early else len(LONGEST_FIRST) + place.startswith("tests/unit/")

    items.sort(key=rank)
