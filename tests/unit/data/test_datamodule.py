"""ClipDataModule: which clips are served, and to whom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from lightning.pytorch import LightningModule, Trainer

from wmlearn.data.clip import Clip
from wmlearn.data.datamodule import ClipDataModule
from wmlearn.data.episodes import Episode, EpisodeStore, EpisodeWriter

LENGTHS = [2, 5, 30, 12, 7, 9, 21, 4, 16, 11]  # frames


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> EpisodeStore:
    """Ten episodes; a frame's first two pixels are its episode and its place in it."""
    path = tmp_path_factory.mktemp("clips")
    writer = EpisodeWriter(path, Discrete(3), (1, 4, 4))
    for number, length in enumerate(LENGTHS):
        frames = np.zeros((length, 1, 4, 4), np.uint8)
        frames[:, 0, 0, 0], frames[:, 0, 0, 1] = number, np.arange(length)
        last = np.arange(length - 1) == length - 2
        writer.write(
            Episode(
                frames,
                actions=np.full(length - 1, 1 + number % 2),
                rewards=np.arange(length - 1, dtype=np.float32),
                terminated=last,
                truncated=np.zeros(length - 1, bool),
            )
        )
    return EpisodeStore(path)


def episode_of(clip: Clip) -> np.ndarray:
    return clip.frames[:, 0, 0, 0, 0].numpy()


def places(clip: Clip) -> np.ndarray:
    """int ``[B, T]``: the place of each frame in its episode."""
    return clip.frames[:, :, 0, 0, 1].numpy().astype(int)


def same(a: Clip, b: Clip) -> bool:
    return all(
        torch.equal(getattr(a, name), getattr(b, name))
        for name in ("frames", "actions", "rewards", "terminated", "truncated")
    )


def test_batches_depend_on_seed_and_step_only(store):
    data, again = ClipDataModule(store, 16, 4), ClipDataModule(store.path, 16, 4)
    assert same(data.train_batch(5), again.train_batch(5))
    assert not same(data.train_batch(5), data.train_batch(6))
    assert not same(data.train_batch(5), ClipDataModule(store, 16, 4, seed=1).train_batch(5))
    loader = iter(data.train_dataloader())
    for step in range(3):
        assert same(next(loader), data.train_batch(step))


def test_clips_are_whole_and_from_training_episodes(store):
    data = ClipDataModule(store, 64, 6, holdout=0.3)
    for step in range(5):
        clip = data.train_batch(step)
        assert (clip.frames[:, :, 0, 0, 0] == clip.frames[:, :1, 0, 0, 0]).all()
        assert (np.diff(places(clip), axis=1) == 1).all()
        assert np.array_equal(clip.rewards.numpy(), places(clip)[:, :-1])
        assert episode_of(clip).max() < 7
    assert set(episode_of(data.clips("val", 64, 6))) == {8, 9}  # 7 is too short
    assert same(data.clips("val", 8, 6, seed=3), data.clips("val", 8, 6, seed=3))
    assert not same(data.clips("val", 8, 6, seed=3), data.clips("val", 8, 6, seed=4))


@pytest.mark.parametrize("pad", [0, 3])
def test_every_start_is_equally_likely(store, pad):
    length, draws = 6, 200
    data = ClipDataModule(store, 64, length, holdout=0, pad_start=pad)
    counts: dict[tuple[int, int], int] = {}
    for step in range(draws):
        clip = data.train_batch(step)
        # a padded clip repeats place 0; its last frame tells where it starts
        for key in zip(episode_of(clip), places(clip)[:, -1] - length + 1, strict=True):
            counts[key] = counts.get(key, 0) + 1
    possible = {
        (number, start)
        for number, frames in enumerate(LENGTHS)
        for start in range(-pad, frames - length + 1)
    }
    assert set(counts) == possible
    expected = 64 * draws / len(possible)
    chi2 = sum((count - expected) ** 2 / expected for count in counts.values())
    freedom = len(possible) - 1
    assert chi2 < freedom + 5 * np.sqrt(2 * freedom)


def test_padding_repeats_the_first_frame_without_action(store):
    clip = ClipDataModule(store, 64, 6, holdout=0, pad_start=5).train_batch(0)
    place = places(clip)
    padded = place[:, -1] < 5
    assert 5 < padded.sum() < 64
    for row in np.flatnonzero(padded):
        pad = 5 - place[row, -1]
        assert (place[row, : pad + 1] == 0).all() and (clip.actions[row, :pad] == 0).all()
        assert (clip.actions[row, pad:] != 0).all()


def test_end_fraction(store):
    def share(fraction: float) -> float:
        data = ClipDataModule(store, 64, 4, holdout=0, end_fraction=fraction)
        ends = [data.train_batch(step).terminated[:, -1].float().mean() for step in range(40)]
        return float(np.mean(ends))

    plain = share(0.0)
    assert share(1.0) == 1.0
    assert share(0.5) == pytest.approx(0.5 + 0.5 * plain, abs=0.05)


def test_an_end_may_be_anywhere_in_a_padded_clip(store):
    """Else a recurrent model of the end counts frames instead of looking at them."""
    data = ClipDataModule(store, 64, 6, holdout=0, pad_end=True, end_fraction=1.0)
    ends = torch.cat([data.train_batch(step).terminated for step in range(20)])
    assert (ends.sum(1) == 1).all()
    assert ends.float().mean(0).min() > 0.1  # short episodes end early more often
    data = ClipDataModule(store, 64, 6, holdout=0, pad_end=True)
    clips = [data.train_batch(step) for step in range(20)]
    assert all(not clip.padded[:, :2].any() for clip in clips)  # one real transition at least
    assert all(clip.padded[:, -1].any() for clip in clips)
    assert not data.clips("train", 64, 6).padded.any()


@pytest.mark.parametrize("world", [2, 4])
def test_processes_share_the_joint_batch(store, world):
    data = ClipDataModule(store, 8, 4)
    for split in ("train", "val"):
        joint = data._batches(split, 0, 1)[3]
        parts = [data._batches(split, rank, world)[3] for rank in range(world)]
        assert torch.equal(torch.cat([part.frames for part in parts]), joint.frames)
        assert torch.equal(torch.cat([part.actions for part in parts]), joint.actions)
    with pytest.raises(ValueError, match="divisible by their number, 3"):
        data._batches("train", 0, 3)


def test_validation_batches_are_fixed(store):
    data = ClipDataModule(store, 8, 4, holdout=0.2, val_batches=3)
    first, second = list(data.val_dataloader()), list(data.val_dataloader())
    assert len(first) == 3 and all(map(same, first, second))
    assert not same(first[0], first[1])
    assert set(np.concatenate([*map(episode_of, first)])) == {8, 9}
    assert ClipDataModule(store, 8, 4, holdout=0).val_dataloader() == []


def test_workers_serve_the_same_batches_in_order(store):
    data = ClipDataModule(store, 8, 4, num_workers=2)
    loader = iter(data.train_dataloader())
    for step in range(5):
        assert same(next(loader), data.train_batch(step))
    del loader


class Listener(LightningModule):
    """Remembers the batches that it is trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.heard: list[Clip] = []

    def training_step(self, batch: Clip, _: int) -> torch.Tensor:
        self.heard.append(batch)
        return self.weight * batch.frames.float().mean()

    def validation_step(self, batch: Clip, _: int) -> None:
        assert len(batch) == 8

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 1e-3)


def fit(store: EpisodeStore, steps: int, folder: Path, resume: str | None = None, **kwargs):
    listener = Listener()
    trainer = Trainer(
        accelerator="cpu",
        max_steps=steps,
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        val_check_interval=2,
        limit_val_batches=1,
        num_sanity_val_steps=0,
        **kwargs,
    )
    trainer.fit(listener, ClipDataModule(store, 8, 4), ckpt_path=resume)
    trainer.save_checkpoint(folder / f"{steps}.ckpt")
    return listener.heard


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_resumed_run_goes_on_where_it_stopped(store, tmp_path, accumulate):
    kwargs = {"accumulate_grad_batches": accumulate}
    heard = fit(store, 3, tmp_path, **kwargs)
    heard += fit(store, 6, tmp_path, resume=str(tmp_path / "3.ckpt"), **kwargs)
    data = ClipDataModule(store, 8, 4)
    assert len(heard) == 6 * accumulate
    assert all(same(batch, data.train_batch(step)) for step, batch in enumerate(heard))


def test_what_cannot_be_served_is_refused(store, tmp_path):
    with pytest.raises(ValueError, match="shorter clips"):
        ClipDataModule(store, 8, 31).train_batch(0)
    with pytest.raises(ValueError, match="no split 'test'"):
        ClipDataModule(store, 8, 4).clips("test", 1, 4)
    with pytest.raises(ValueError, match="nothing in val"):
        ClipDataModule(store, 8, 4, holdout=0).clips("val", 1, 4)
    with pytest.raises(ValueError, match="holdout"):
        ClipDataModule(store, 8, 4, holdout=1)
    writer = EpisodeWriter(tmp_path, None, (1, 4, 4))
    writer.write(Episode(np.zeros((5, 1, 4, 4), np.uint8)))
    with pytest.raises(ValueError, match="too few to hold out 1"):
        ClipDataModule(tmp_path)
    assert ClipDataModule(tmp_path, 2, 3, holdout=0).train_batch(0).actions is None
