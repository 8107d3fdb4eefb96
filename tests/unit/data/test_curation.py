"""The five functions of curation, each on a heap of which everything is known."""

from __future__ import annotations

import tarfile

import numpy as np
import pytest

from wmlearn.data.curation import (
    SHARES,
    Shot,
    agreement,
    caption,
    change,
    deduplicate,
    keep,
    make_raw,
    motion,
    shard,
    split,
    still_edges,
    vector,
)


def episode(seed: int, frames: int = 240, speed: float = 1.0) -> np.ndarray:
    """A window that slides over a picture of blobs: uint8 ``[T, 3, 64, 64]``."""
    rng = np.random.default_rng(seed)
    wide = 64 + int(frames * speed) + 2
    coarse = rng.uniform(0, 255, (3, 9, wide // 8 + 2))
    picture = np.repeat(np.repeat(coarse, 8, 1), 8, 2)[:, :64, :wide]
    begins = (np.arange(frames) * speed).astype(int)
    return np.stack([picture[:, :, b : b + 64] for b in begins]).astype(np.uint8)


@pytest.fixture(scope="module")
def raw():
    return make_raw([episode(seed) for seed in range(12)], 100, 5, seed=0)


def stretches(raw):
    for number, (film, cuts, kinds) in enumerate(zip(raw.films, raw.cuts, raw.kinds, strict=True)):
        edges = [0, *cuts, len(film)]
        for begin, end, kind in zip(edges, edges[1:], kinds, strict=False):
            yield Shot(film[begin:end], number, begin), kind


def test_the_heap_has_its_shares_and_repeats_by_its_seed(raw):
    kinds = [kind for kinds in raw.kinds for kind in kinds]
    assert len(kinds) == 100 and len(raw.films) == 20
    for kind, share in SHARES.items():
        assert abs(kinds.count(kind) / 100 - share) < 0.13
    again = make_raw([episode(seed) for seed in range(12)], 100, 5, seed=0)
    assert all(np.array_equal(a, b) for a, b in zip(raw.films, again.films, strict=True))


def test_cuts_are_found_and_motion_is_none(raw):
    found, true = set(), set()
    for number, (film, cuts) in enumerate(zip(raw.films, raw.cuts, strict=True)):
        shots = split(film, number)
        assert sum(len(shot.frames) for shot in shots) == len(film)
        found |= {(number, shot.begin) for shot in shots if shot.begin}
        true |= {(number, cut) for cut in cuts}
    assert agreement(found, true)["f1"] > 0.9
    assert len(split(episode(50))) == 1
    slide, other = episode(1, 40), episode(2, 40)
    film = np.concatenate([slide, other])
    assert [shot.begin for shot in split(film, 3)] == [0, 40]
    assert split(film, 3)[1].film == 3


def test_a_shift_is_no_change():
    film = episode(0, 20)
    plain = np.abs(film[1:].astype(float) - film[:-1]).mean()
    assert change(film)[3:].mean() < plain and change(np.repeat(film[:1], 5, 0)).max() == 0


def test_each_fault_is_named(raw):
    said = {kind: [] for kind in SHARES}
    for shot, kind in stretches(raw):
        said[kind].append(keep(shot, most_motion=1e3))
    assert said["still"].count("still") == len(said["still"]) > 5
    assert said["overlay"].count("overlay") > 0.9 * len(said["overlay"])
    assert said["good"].count("") > 0.9 * len(said["good"])
    clean = episode(3, 40)
    assert keep(Shot(clean), most_motion=1e3) == ""
    assert keep(Shot(clean[:10])) == "short"
    assert keep(Shot(clean), most_motion=0.5) == "fast"


def test_motion_and_still_edges_measure_what_they_say():
    slow, fast = Shot(episode(4, 40, 0.5)), Shot(episode(4, 40, 3.0))
    assert motion(fast).mean() > 2 * motion(slow).mean() > 0
    assert still_edges(slow) < 0.005
    logo = slow.frames.copy()
    logo[:, :, 2:10, 2:14] = np.where((np.arange(12) // 2) % 2, 255, 0)
    assert still_edges(Shot(logo)) > 0.006


def test_duplicates_are_found_in_spite_of_noise(raw):
    pairs = [(shot, kind) for shot, kind in stretches(raw) if kind in ("good", "duplicate")]
    shots = [shot for shot, _ in pairs]
    stay = deduplicate(shots)
    copies = sum(kind == "duplicate" for _, kind in pairs)
    assert len(stay) == len(shots) - copies  # of a copy and what it repeats, the first stays
    assert stay == sorted(stay) and stay[0] == 0
    assert np.linalg.norm(vector(shots[0])) == pytest.approx(1, abs=1e-4)


def test_captions_say_which_way():
    film = episode(5, 60, 1.0)
    left, right = caption(Shot(film)), caption(Shot(film[::-1]))
    ways = {left.caption.split(", ")[-1], right.caption.split(", ")[-1]}
    assert ways == {"turning left", "turning right"}
    assert caption(Shot(np.repeat(film[:1], 20, 0))).caption == "slow motion"


def test_shards_hold_every_shot_once(tmp_path):
    shots = [caption(Shot(episode(seed, 17))) for seed in range(5)]
    paths = shard(shots, tmp_path / "out", each=2)
    assert [path.name for path in paths] == [f"shard-0000{i}.tar" for i in range(3)]
    names = []
    for path in paths:
        with tarfile.open(path) as tar:
            names += tar.getnames()
            text = tar.extractfile(tar.getnames()[1]).read().decode()
            assert "motion" in text
    assert len(names) == 10 and len(set(names)) == 10


def test_agreement_counts():
    found = agreement({1, 2, 3}, {2, 3, 4, 5})
    assert found["precision"] == pytest.approx(2 / 3) and found["recall"] == 0.5
    assert found["f1"] == pytest.approx(4 / 7)
    assert agreement(set(), {1})["f1"] == 0
