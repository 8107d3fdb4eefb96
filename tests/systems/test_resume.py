"""A fit never lies: it repeats, resumes, refuses and reads nothing that could run code."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import signal
from pathlib import Path

import pytest
import torch
from small_runs import IN_A_WORLD, NAMES, small_world, write_data

import wmlearn as wm
from wmlearn import hub
from wmlearn.data.episodes import EpisodeError
from wmlearn.systems import TRAINABLE
from wmlearn.train import fit as module
from wmlearn.train import resume
from wmlearn.train.command import main
from wmlearn.train.fit import Fit, fit
from wmlearn.train.history import History

STEPS, EVERY = 8, 3  # batches
OWN = {
    # All parts at once; codes are revived at step 5, by what was counted before and after step 3.
    "genie": {"system.revive_every": 5}
    | {f"system.{part}_span": (0.0, 1.0) for part in ("tokenizer", "actions", "dynamics")},
    "searched-policy": {"system.keys": (0, 1)},  # fewer plans
}

each_system = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """name -> what to give ``fit``, without ``out``."""
    folder = tmp_path_factory.mktemp("small")
    world = small_world(folder / "world")
    made: dict[str, dict] = {}

    def of(name: str) -> dict:
        if name not in made:
            more = {"system.world": world} if name in IN_A_WORLD else {}
            steps = steps_of(name)
            made[name] = {
                "tier": "smoke",
                "data": write_data(name, folder / name),
                "max_steps": STEPS * steps,
                "checkpoint_every": EVERY * steps,
                "progress": False,
                **OWN.get(name, {}),
                **more,
            }
        return made[name]

    return of


@pytest.fixture(scope="module")
def unbroken(options, tmp_path_factory):
    """name -> its run without a break."""
    made: dict[str, Fit] = {}

    def of(name: str) -> Fit:
        if name not in made:
            made[name] = fit(name, out=tmp_path_factory.mktemp("runs") / name, **options(name))
        return made[name]

    return of


def steps_of(name: str) -> int:
    """Optimizer steps of a batch at the smoke tier."""
    recipe = TRAINABLE[name].load("recipe")
    return recipe.optimizer_steps(recipe.preset("smoke")[1])


def assert_same_run(one: Path, two: Path, stopped_at: int = -1) -> None:
    """Equal in all but the time that it took; where the second stopped, it measured once more."""
    assert (one / "model.safetensors").read_bytes() == (two / "model.safetensors").read_bytes()
    cards = [json.loads((path / "card.json").read_text()) for path in (one, two)]
    assert [card.pop("minutes") for card in cards] and cards[0] == cards[1]
    states = [resume.read(path / resume.FILE) for path in (one, two)]
    for key in states[0].keys() - {"loops", "callbacks", "epoch", "run"}:
        assert_same(states[0][key], states[1][key], key)
    rows = [rows_of(path / "history.jsonl") for path in (one, two)]
    assert rows[0] == [row for row in rows[1] if row["step"] != stopped_at]


def assert_same(one, two, where: str) -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, two), where
    elif isinstance(one, dict):
        assert one.keys() == two.keys(), where
        for key in one:
            assert_same(one[key], two[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(two), where
        for number, pair in enumerate(zip(one, two, strict=True)):
            assert_same(*pair, f"{where}.{number}")
    else:
        assert one == two, where


def rows_of(history: Path) -> list[dict]:
    lines = history.read_text().splitlines() if history.exists() else []
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


# --- what a run leaves, and a repetition -------------------------------------------------------


@each_system
def test_a_run_leaves_a_checkpoint_that_loads_again(name, unbroken):
    run = unbroken(name)
    card = hub.read_card(run.out)
    assert card["steps"] == STEPS * steps_of(name) and card["tier"] == "smoke"
    assert card["data"]["env"] == card["env"] == "made/up"
    loaded = wm.load(run.out)
    kept = run.system.state_dict()
    for key, value in loaded.state_dict().items():
        assert torch.equal(value, kept[key if key in kept else f"actor_critic.{key}"]), key


@each_system
def test_a_finished_run_repeated_changes_nothing(name, unbroken, options, monkeypatch):
    before = unbroken(name)
    files = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in before.out.iterdir()}
    monkeypatch.setattr(module, "train", lambda *args: pytest.fail("it trains"))
    monkeypatch.setattr(hub, "save", lambda *args: pytest.fail("it saves"))
    again = fit(name, out=before.out, **options(name))
    main([name, "--config", str(before.out / "config.yaml"), "--progress", "false"])
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in before.out.iterdir()} == files
    assert again.history == before.history and not again.system.training
    assert_same(again.system.state_dict(), before.system.state_dict(), "weights")


# --- killed and resumed ------------------------------------------------------------------------


def killed(name: str, kwargs: dict, die) -> None:
    """``fit`` in a process of its own that ``die(kill)`` prepares to be killed by SIGKILL."""
    process = multiprocessing.get_context("fork").Process(
        target=_fit_and_die, args=(name, kwargs, die)
    )
    process.start()
    process.join(240)
    assert process.exitcode == -signal.SIGKILL, "it ended otherwise"


def _fit_and_die(name: str, kwargs: dict, die) -> None:
    die(lambda: os.kill(os.getpid(), signal.SIGKILL))
    fit(name, **kwargs)
    os._exit(0)


def after_optimizer_step(number: int):
    """Dies when the optimizer has made so many steps and nothing else has happened."""

    def prepare(kill) -> None:
        step, done = torch.optim.AdamW.step, []

        def counted(*args, **kwargs):
            result = step(*args, **kwargs)
            done.append(1)
            if len(done) == number:
                kill()
            return result

        torch.optim.AdamW.step = counted

    return prepare


def in_the_middle_of_writing(number: int):
    """Dies when half of the state with this number is on disk."""

    def prepare(kill) -> None:
        write, done = resume.save_file, []

        def torn(tensors, path, metadata):
            write(tensors, path, metadata)
            done.append(1)
            if len(done) == number:
                os.truncate(path, path.stat().st_size // 2)
                kill()

        resume.save_file = torn

    return prepare


def before_the_checkpoint(kill) -> None:
    """Dies after the last step, before the trained model is on disk."""
    hub.save = lambda *args, **kwargs: kill()


@each_system
def test_a_run_killed_again_and_again_ends_like_an_unbroken_one(name, unbroken, options, tmp_path):
    out, each = tmp_path / "run", steps_of(name)
    kwargs = {**options(name), "out": out}

    def stands_at() -> float:
        return resume.find(out).steps / each

    killed(name, kwargs, after_optimizer_step(each * EVERY))
    assert resume.find(out) is None  # the state of step 3 is written when step 4 begins
    killed(name, kwargs, after_optimizer_step(each * (EVERY + 1) + 1))  # within step 5
    assert stands_at() == EVERY
    killed(name, kwargs, in_the_middle_of_writing(1))
    assert stands_at() == EVERY
    killed(name, kwargs, after_optimizer_step(each * (EVERY + 1)))  # the last of step 7
    assert stands_at() == 2 * EVERY
    killed(name, kwargs, before_the_checkpoint)
    assert stands_at() == STEPS and not (out / "model.safetensors").exists()
    fit(name, **kwargs)
    assert_same_run(unbroken(name).out, out)


@pytest.mark.parametrize("name", ["diamond", "vjepa"])  # one averages its weights, one in itself
def test_more_time_goes_on_where_the_time_was_up(name, unbroken, options, tmp_path):
    out = tmp_path / "run"
    kwargs = {**options(name), "out": out}
    short = fit(name, max_minutes=1e-4, **kwargs)
    stopped_at = resume.find(out).steps
    assert 0 < stopped_at < STEPS
    files = {p: p.read_bytes() for p in out.iterdir()}
    again = fit(name, max_minutes=1e-4, **kwargs)
    assert {p: p.read_bytes() for p in out.iterdir()} == files
    assert_same(again.system.state_dict(), short.system.state_dict(), "weights")
    fit(name, max_minutes=0, **kwargs)
    assert_same_run(unbroken(name).out, out, stopped_at)


def test_a_stopped_run_says_so_and_goes_on(unbroken, options, tmp_path, monkeypatch):
    kwargs = {**options("vjepa"), "out": tmp_path / "run"}
    handler = signal.getsignal(signal.SIGINT)

    def stop(self, trainer, *args) -> None:
        if trainer.global_step == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(History, "on_train_batch_end", stop)
        with pytest.raises(KeyboardInterrupt, match="same command"):
            fit("vjepa", **kwargs)
    assert signal.getsignal(signal.SIGINT) is handler  # a second one is heard, too
    assert resume.find(tmp_path / "run").steps == 3
    fit("vjepa", **kwargs)
    model = "model.safetensors"
    assert (tmp_path / "run" / model).read_bytes() == (unbroken("vjepa").out / model).read_bytes()


# --- what is refused ---------------------------------------------------------------------------


@each_system
def test_other_data_are_another_run(name, unbroken, options, tmp_path, monkeypatch):
    kwargs = options(name)
    other = {**kwargs, "data": write_data(name, tmp_path / "other", seed=1)}
    with pytest.raises(ValueError, match="a run on other data"):
        fit(name, out=unbroken(name).out, **other)
    with pytest.raises(ValueError, match=r"other settings \(batch_size, seed"):
        fit(name, out=unbroken(name).out, **kwargs, batch_size=1, seed=7)

    class Stopped(Exception):
        pass

    def folder(**kwargs) -> Path:
        def train(trainer, *args):
            raise Stopped(trainer.default_root_dir)

        monkeypatch.setattr(module, "train", train)
        with pytest.raises(Stopped) as stop:
            fit(name, **kwargs)
        return Path(str(stop.value))

    monkeypatch.chdir(tmp_path)
    moved = {**kwargs, "data": write_data(name, tmp_path / "moved")}  # the same, elsewhere
    own = folder(**kwargs)
    assert own == folder(**moved)
    others = [folder(**other), folder(**kwargs, seed=1), folder(**{**kwargs, "max_steps": 99})]
    assert len({own, *others}) == 4
    assert all(path.name.startswith(f"{name}-made-up-smoke") for path in (own, *others))


@each_system
def test_a_contradiction_with_the_data_is_refused(name, options, tmp_path):
    for asked, words in (
        ({"env": "doom/basic"}, "has env made/up, not doom/basic: leave out --env"),
        ({"image_size": 16}, r"has image_size (32|64), not 16"),
        ({"frames": 5000}, "holds 200 frames, fewer than 5000"),
    ):
        with pytest.raises(EpisodeError, match=words):
            fit(name, out=tmp_path / "run", **options(name), **asked)
    assert not (tmp_path / "run").exists()


@each_system
def test_a_misspelled_folder_is_not_recorded_into(name, options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for maker in ("record", "unpack"):
        monkeypatch.setattr(f"wmlearn.train.data.{maker}", lambda *a, **k: pytest.fail("recorded"))
    with pytest.raises(EpisodeError, match="nowhere holds no recorded episodes"):
        fit(name, **{**options(name), "data": "nowhere"})
    assert list(tmp_path.iterdir()) == []


def test_a_changed_world_is_another_run(options, unbroken, tmp_path):
    name = "actor-critic"
    kwargs = options(name)
    folder = Path(kwargs["system.world"])
    card = folder / "card.json"
    text = card.read_text()
    try:
        world = hub.load(folder)
        world.reward_end.load_state_dict(
            {k: v + 1 for k, v in world.reward_end.state_dict().items()}
        )
        unbroken(name)
        weights = (folder / "model.safetensors").read_bytes()
        hub.save(folder, world, "diamond", {})
        with pytest.raises(ValueError, match="checkpoint it stands on"):
            fit(name, out=unbroken(name).out, **kwargs)
    finally:
        card.write_text(text)
        (folder / "model.safetensors").write_bytes(weights)


def test_a_checkpoint_of_somebody_else_is_not_overwritten(options, tmp_path):
    out = small_world(tmp_path / "theirs")
    before = (tmp_path / "theirs" / "model.safetensors").read_bytes()
    with pytest.raises(ValueError, match="not the state of the run"):
        fit("diamond", out=out, **options("diamond"))
    assert (tmp_path / "theirs" / "model.safetensors").read_bytes() == before


# --- a state that wants to run code ------------------------------------------------------------


class Hostile:
    """Unpickling it makes a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_the_hostile_file_is_one(tmp_path):
    torch.save({"state_dict": Hostile(tmp_path / "ran")}, tmp_path / "x.ckpt")
    torch.load(tmp_path / "x.ckpt", weights_only=False)
    assert (tmp_path / "ran").is_dir()


@pytest.mark.parametrize("slurm", [False, True])
@pytest.mark.parametrize("file", ["last.ckpt", resume.FILE, "hpc_ckpt_1.ckpt"])
@pytest.mark.parametrize("zipped", [False, True])
def test_nothing_is_unpickled(file, zipped, slurm, options, tmp_path, monkeypatch):
    out = tmp_path / "run"
    out.mkdir()
    if zipped:
        torch.save({"state_dict": Hostile(tmp_path / "ran")}, out / file)
    else:
        (out / file).write_bytes(pickle.dumps(Hostile(tmp_path / "ran")))
    if slurm:  # where Lightning looks for a state of its own by itself
        for variable in ("SLURM_NTASKS", "SLURM_JOB_ID"):
            monkeypatch.setenv(variable, "1")
        monkeypatch.setenv("SLURM_JOB_NAME", "job")
    kwargs = {**options("vjepa"), "out": out}
    if file == "hpc_ckpt_1.ckpt" and not slurm:
        fit("vjepa", **kwargs)  # nobody asks for it
    else:
        words = "earlier version" if file == "last.ckpt" else "not the state of a run"
        with pytest.raises(ValueError, match=words) as refusal:
            fit("vjepa", **kwargs)
        assert str(refusal.value).count(". ") == 0, "one sentence"
    assert not (tmp_path / "ran").exists()


def test_a_damaged_or_foreign_state_is_refused(unbroken, tmp_path):
    whole = (unbroken("vjepa").out / resume.FILE).read_bytes()
    path = tmp_path / resume.FILE
    model = (unbroken("vjepa").out / "model.safetensors").read_bytes()
    for damaged in (b"", whole[:-10], whole[: len(whole) // 2], b"\0" * 100, model):
        path.write_bytes(damaged)
        with pytest.raises(resume.ResumeError, match="delete it to train anew"):
            resume.find(tmp_path)
    text = json.dumps({"version": 99, "state": {"dict": []}})
    resume.save_file({}, path, metadata={resume.FORMAT: text})
    with pytest.raises(resume.ResumeError, match="delete it"):
        resume.read(path)


def test_what_is_written_comes_back(tmp_path):
    shared = torch.arange(6.0)
    state = {
        "tensors": [shared, shared[2:], torch.tensor(3), torch.zeros(0, 2), shared.bfloat16()],
        "plain": {0: None, "a": (1, 2.5, True), "nested": [{"x": float("inf")}, "text"]},
        "column": torch.arange(6).view(2, 3).T,
    }
    resume.write(tmp_path / "s", state)
    again = resume.read(tmp_path / "s")
    assert_same(state, again, "state")
    assert isinstance(again["plain"]["a"], tuple) and list(again["plain"]) == [0, "a", "nested"]
    with pytest.raises(TypeError, match="A set cannot be kept"):
        resume.write(tmp_path / "s", {"x": {1, 2}})
    assert_same(state, resume.read(tmp_path / "s"), "state")  # the old file is whole
