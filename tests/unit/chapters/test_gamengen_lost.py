"""Chapter 5: bearings of monsters, and how many of them a memory would place."""

import math

import pytest
import torch

from wmlearn.chapters.ch05_gamengen.lost import bearings, column, known, to_be_known
from wmlearn.envs.doom import HUD_STATE


def state(angle, x=None, height=0.2):
    """One row of labels: a monster at ``x`` (0..1) in the picture, or none."""
    row = torch.zeros(len(HUD_STATE))
    row[HUD_STATE.index("angle")] = angle
    if x is not None:
        first = HUD_STATE.index("enemy0_x")
        row[first : first + 4] = torch.tensor([x, 0.4, 0.1, height])
    return row


def test_what_stands_ahead_has_the_players_angle_and_the_edge_is_45_degrees_aside():
    there, seen = bearings(torch.stack([state(30, 0.5), state(30, 0.0), state(30, 1.0), state(30)]))
    assert there[:3, 0].tolist() == pytest.approx([30, 75, -15], abs=1e-4)
    assert seen[:, 0].tolist() == [True, True, True, False]


@pytest.mark.parametrize("turn", [-40.0, -10.0, 0.0, 25.0])
def test_a_bearing_is_seen_again_where_geometry_says(turn):
    bearing = torch.tensor([350.0])
    place = column(bearing, bearing + turn)
    assert place.item() == pytest.approx(32 + 32 * math.tan(math.radians(turn)), abs=1e-3)
    again, _ = bearings(state((350.0 + turn) % 360, place.item() / 64)[None])
    assert (again[0, 0].item() - 350) % 360 == pytest.approx(0, abs=1e-2)


def test_behind_is_nowhere():
    assert column(torch.tensor([180.0]), torch.tensor([0.0])).isinf().all()


def test_a_monster_is_known_if_it_was_seen_within_the_memory():
    """Seen in frame 0 only, at bearing 0; the player turns away and comes back."""
    frames = [state(0, 0.5), state(90), state(180), state(10, 0.5 + 0.5 * math.tan(0.1745))]
    clip = torch.stack(frames)[None]
    assert [x.item() for x in to_be_known(clip, now=2, past=3)] == [1, 1]
    assert [x.item() for x in to_be_known(clip, now=2, past=2)] == [0, 1]


def test_a_monster_that_walked_more_than_six_pixels_is_not_in_its_place():
    clip = torch.stack([state(0, 0.5), state(0, 0.5 + 7 / 64)])[None]
    assert to_be_known(clip, now=0, past=1)[0].item() == 0
    near = torch.stack([state(0, 0.5), state(0, 0.5 + 5 / 64)])[None]
    assert to_be_known(near, now=0, past=1)[0].item() == 1


def test_a_longer_memory_never_knows_less():
    draw = torch.Generator().manual_seed(0)
    angles = torch.randint(0, 360, (6, 20), generator=draw)
    places = torch.rand(6, 20, generator=draw)
    clips = torch.stack(
        [
            torch.stack([state(float(a), float(x)) for a, x in zip(*pair, strict=True)])
            for pair in zip(angles, places, strict=True)
        ]
    )
    found = known(clips, 9, torch.arange(6), steps=(1, 8))
    for rows in found.values():
        shares = [rows[past].value for past in (1, 4, 10)]  # ten frames are known
        assert shares == sorted(shares)
        assert rows["monsters"] > 0
