"""The wmlearn command: light help, one-sentence errors, and what `lab` hands to JupyterLab."""

from __future__ import annotations

import contextlib
import inspect
import json
import re
import subprocess
import sys
import types

import pytest

import wmlearn
from wmlearn import cli
from wmlearn.cli import lab


def run(*words: str, **kwargs) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "wmlearn", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **kwargs)


HEAVY = "import sys; {}; print({{'torch', 'numpy', 'lightning'}} & set(sys.modules))"


def test_help_names_every_command():
    result = run("--help")
    assert result.returncode == 0
    assert [name for name in cli.COMMANDS if name not in result.stdout] == []


@pytest.mark.parametrize("code", ["import wmlearn", "from wmlearn import cli; cli.main([])"])
def test_import_and_help_load_nothing_heavy(code):
    command = [sys.executable, "-c", HEAVY.format(code)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == "set()", result.stderr


STARTS = {
    "list": ("from wmlearn import cli; cli.main(['list'])", {"torch", "lightning", "mujoco"}),
    "fit": ("from wmlearn import cli; cli.main(['fit', '--help'])", {"torch", "lightning"}),
    "world": (
        "import wmlearn as wm\n"
        "from wmlearn import hub\n"
        "from wmlearn.systems import SYSTEMS\n"
        "worlds = {system.name for system in SYSTEMS if system.network}\n"
        "for name in hub.list_checkpoints():\n"
        "    if hub.read_card(name)['system'] in worlds:\n"
        "        wm.load_world(name)",
        {"lightning", "torchmetrics", "transformers", "torch._dynamo"},
    ),
}


@pytest.mark.parametrize("code, slow", STARTS.values(), ids=STARTS)
def test_what_only_looks_or_plays_does_not_wait_for_what_trains(code, slow):
    """Each of these costs seconds of processor time: a list, a help and a world need none."""
    code += f"\nimport sys; print(sorted({slow} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.splitlines()[-1:] == ["[]"], result.stderr


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.strip() == f"wmlearn {wmlearn.__version__}"


def test_no_words_shows_the_help(capsys):
    assert cli.main([]) == 0
    assert "record" in capsys.readouterr().out


def test_unknown_command_is_two(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["dream"])
    assert stop.value.code == 2
    assert "'dream'" in capsys.readouterr().err


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_explains_itself(command, capsys):
    try:
        code = cli.main([command, "--help"])
    except SystemExit as stop:  # argparse leaves so
        code = stop.code
    assert not code
    assert f"wmlearn {command}" in capsys.readouterr().out


@pytest.mark.parametrize("command", [*(c for c in cli.COMMANDS if c != "lab"), "fit diamond"])
def test_a_flag_is_spelled_like_a_name_in_python(command, capsys):
    """``--max_steps``, as in ``fit(max_steps=10)``; only JupyterLab's own are passed on."""
    words = command.split()
    with contextlib.suppress(SystemExit):
        cli.main([*words, "--help"])
    flags = re.findall(r"(?<![\w-])--([\w.-]+)", capsys.readouterr().out)
    assert "help" in flags or command in ("fit", "teach", "list")
    assert [flag for flag in flags if "-" in flag] == []


def test_a_wrong_environment_is_one_sentence(tmp_path):
    result = run("record", "doom/no-such-place", "--frames", "10", "--out", str(tmp_path / "x"))
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert result.stderr.startswith("wmlearn record: ") and "doom/basic" in result.stderr


def command_that_raises(monkeypatch, error: Exception, inside: bool) -> None:
    """Puts a command `broken` in place whose error comes from inside or outside the package."""
    file = str(cli._PACKAGE / "broken.py") if inside else "elsewhere.py"
    module = types.ModuleType("wmlearn.broken")
    exec(compile("def main(argv):\n    raise error", file, "exec"), module.__dict__)
    module.error = error
    monkeypatch.setitem(sys.modules, "wmlearn.broken", module)
    monkeypatch.setitem(cli.COMMANDS, "broken", ("fails", "wmlearn.broken"))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("Use 3 frames."), "Use 3 frames."),
        (KeyError("No such game."), "No such game."),
        (FileNotFoundError("No data in x."), "No data in x."),
        (ModuleNotFoundError("No module named 'vizdoom'", name="vizdoom"), "`vizdoom`"),
    ],
)
def test_our_own_errors_are_one_line_and_two(error, sentence, monkeypatch, capsys):
    command_that_raises(monkeypatch, error, inside=True)
    assert cli.main(["broken"]) == 2
    out = capsys.readouterr().err
    assert out.startswith("wmlearn broken: ") and sentence in out and out.count("\n") == 1


def test_bugs_keep_their_traceback(monkeypatch):
    command_that_raises(monkeypatch, ValueError("shapes differ"), inside=False)
    with pytest.raises(ValueError, match="shapes differ"):
        cli.main(["broken"])


def test_traceback_on_request(monkeypatch):
    command_that_raises(monkeypatch, ValueError("Use 3 frames."), inside=True)
    monkeypatch.setenv("WMLEARN_TRACEBACK", "1")
    with pytest.raises(ValueError, match="Use 3 frames"):
        cli.main(["broken"])


def test_ctrl_c_is_no_error(monkeypatch, capsys):
    command_that_raises(monkeypatch, KeyboardInterrupt(), inside=True)
    assert cli.main(["broken"]) == 130
    assert "Stopped" in capsys.readouterr().err


def test_list_shows_what_is_there(capsys):
    assert cli.main(["list"]) == 0
    out = capsys.readouterr().out
    assert "doom/basic" in out and "diamond" in out and "diamond-doom-basic" in out


def test_list_of_one_kind(capsys):
    assert cli.main(["list", "systems"]) == 0
    out = capsys.readouterr().out
    assert "diamond" in out and "doom/basic" not in out


def test_a_flag_with_hyphens_is_understood_and_a_value_left_alone(tmp_path, capsys):
    words = ["record", "CartPole-v1", "--max-steps", "-3", "--out", str(tmp_path / "a--b-c")]
    assert cli.main(words) == 2  # past the parser
    assert "max_steps" in capsys.readouterr().err
    assert cli._underscored("--env-option=mode=a-b") == "--env_option=mode=a-b"
    assert cli._underscored("a-b") == "a-b" and cli._underscored("-h") == "-h"


def test_lab_opens_a_copy_of_chapter_0_and_passes_the_rest_on(monkeypatch, root, tmp_path, capsys):
    started = []

    class Process:
        def __init__(self, command, cwd):
            started.append((command, cwd))

        def wait(self):
            return 0

    monkeypatch.setattr(lab.subprocess, "Popen", Process)
    assert cli.main(["lab", "--folder", str(tmp_path / "mine"), "--no-browser", "--port", "9"]) == 0
    command, cwd = started[0]
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert command[-3:] == ["--no-browser", "--port", "9"]
    assert "--LabApp.default_url=/lab/tree/00_start_here.ipynb" in command
    assert cwd == tmp_path / "mine" and (cwd / "exercises/release/04_diamond.ipynb").is_file()
    assert str(cwd) in capsys.readouterr().out


def test_lab_s_copies_lie_beside_the_course_s_so_that_links_lead_to_the_same_places(root, tmp_path):
    assert lab.readers_folder(root) == root / "my-notebooks"
    assert any(word.endswith("/lab/tree/my-notebooks/00_start_here.ipynb")
               for word in lab.command([], root))  # fmt: skip
    assert "/my-notebooks/" in (root / ".gitignore").read_text().splitlines()
    assert lab.readers_folder(root, tmp_path) == tmp_path


@pytest.mark.parametrize("user", [0, 1000])
def test_lab_works_for_root_too(monkeypatch, root, user):
    monkeypatch.setattr(lab.os, "geteuid", lambda: user, raising=False)
    assert ("--allow-root" in lab.command([], root)) == (user == 0)


def test_jupyterlab_understands_the_command_line(root):
    command = lab.command(["--no-browser", "--show-config-json"], root)
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    config = json.loads(result.stdout)
    assert config["ServerApp"]["root_dir"] == str(root)
    assert config["LabApp"]["default_url"].endswith("00_start_here.ipynb")


def test_lab_without_notebooks_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr(lab, "FIRST_CHAPTER", "notebooks/not_there.ipynb")
    assert cli.main(["lab"]) == 2
    assert "pip install -e" in capsys.readouterr().err


def test_lab_without_jupyterlab_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr(lab, "find_spec", lambda name: None)
    assert cli.main(["lab"]) == 2
    assert "JupyterLab is not installed" in capsys.readouterr().err


def test_names_of_the_package():
    for name in wmlearn.__all__:
        assert getattr(wmlearn, name) is not None
    with pytest.raises(AttributeError, match="load_world"):
        _ = wmlearn.no_such_name


@pytest.mark.parametrize("name", ["play", "evaluate"])
def test_the_main_functions_are_plain_functions(name):
    function = getattr(wmlearn, name)
    assert inspect.isfunction(function)
    with pytest.raises(TypeError):  # the function's own complaint: `world` is missing
        function()
