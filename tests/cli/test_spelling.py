"""A misspelled word is answered in one sentence, with the word that was probably meant."""

from __future__ import annotations

import pytest

from wmlearn.cli import main
from wmlearn.spelling import meant, perhaps, unknown_option

WORDS = {
    "recrod": "did you mean 'record'?",
    "record doom/basic --framse 3": "no option --framse; did you mean --frames?",  # --out, too
    "record doom/basic --out x --policy exprt": "did you mean 'expert'?",
    "record dom/basic --out x": "Did you mean 'doom/basic'?",
    "evaluate diamond-dom-basic --data x": "Did you mean 'diamond-doom-basic'?",
    "teach relase 04": "did you mean 'release'?",
    "teach grade 04 --jbos 3": "did you mean --jobs?",
    "convert diamnd x --out y": "did you mean 'diamond'?",
    "book --frsh": "did you mean --fresh?",
    "list sytems": "did you mean 'systems'?",
    "list --everything": "--help lists those that there are.",
    "fit dimond": "did you mean 'diamond'?",
    "fit diamond --max-setps 3": "no option --max_setps; did you mean --max_steps?",
    "fit diamond --system.sampler.num_stpes=3": "did you mean --system.sampler.num_steps?",
}


@pytest.mark.parametrize("words", WORDS)
def test_the_command_that_was_meant_is_named_and_nothing_is_written(
    words, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(words.split())
    except SystemExit as end:
        code = end.code
    lines = capsys.readouterr().err.strip().splitlines()
    assert code == 2 and len(lines) <= 2
    assert lines[0].startswith("wmlearn") and WORDS[words] in lines[0]
    assert not list(tmp_path.iterdir())


def test_what_is_like_nothing_gets_the_list():
    assert meant("zzz", ["list", "fit"]) == "choose one of: list, fit."
    assert perhaps("zzz", ["list", "fit"]) == ""


def test_values_beginnings_and_what_follows_two_dashes_are_no_misspelled_options():
    options = ["--seed", "-s", "--max_steps"]
    for words in ("--seed 3", "--see=3", "-x", "-- --wrong", "wrong", "--max_steps --seed"):
        assert unknown_option(words.split(), options) is None
    assert "--sede" in unknown_option(["--sede"], options)
