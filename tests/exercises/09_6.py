"""Which codes may be keys, wrong and right."""

from __future__ import annotations

import numpy as np
import torch


def changed(a, b, mask):
    error = (a.float() - b.float()).abs().mean(2)
    return error[mask].mean() if mask.any() else 0.0


def _codes(judge, seeds=None, pull=None):
    def players_codes(dream, first, player, enemy, num_codes, idle, ratio, seed):
        def held(code):
            latents = torch.full(player.shape[:2], code)
            return dream(first, latents, seed + code if seeds else seed)

        rest, keys = held(idle), []
        for code in range(num_codes):
            frames = held(code)
            mine, theirs = (float(changed(frames, rest, m)) for m in (player, enemy))
            keys.append(judge(mine, theirs, ratio))
        return torch.tensor(keys)

    return players_codes


def _right(mine, theirs, ratio):
    return mine > 0 and mine >= ratio * theirs


codes = _codes(_right)


def wraps_in_uint8(a, b, mask):
    return (a - b).float().mean(2)[mask].mean() if mask.any() else 0.0


def the_whole_picture(a, b, mask):
    return (a.float() - b.float()).abs().mean() * mask.any()


def divided_by_all_pixels(a, b, mask):
    return ((a.float() - b.float()).abs() * mask[:, :, None]).mean()


def channels_added(a, b, mask):
    error = (a.float() - b.float()).abs().sum(2)
    return error[mask].mean() if mask.any() else 0.0


def bright_and_dark_cancel(a, b, mask):
    error = (a.float() - b.float()).mean(2)
    return error[mask].mean().abs() if mask.any() else 0.0


def clip_by_clip(a, b, mask):
    rows = [changed(x[None], y[None], m[None]) for x, y, m in zip(a, b, mask, strict=True)]
    return sum(map(float, rows)) / len(rows)


def nan_without_pixels(a, b, mask):
    return (a.float() - b.float()).abs().mean(2)[mask].mean()


def one_step_held(dream, first, player, enemy, num_codes, idle, ratio, seed):
    keys, rest = [], dream(first, torch.full(player.shape[:2], idle), seed)
    for code in range(num_codes):
        latents = torch.full(player.shape[:2], idle)
        latents[:, 0] = code
        frames = dream(first, latents, seed)
        keys.append(changed(frames, rest, player) >= ratio * changed(frames, rest, enemy))
    return torch.tensor(keys)


def never_idle(dream, first, player, enemy, num_codes, idle, ratio, seed):
    rest, keys = first[:, None].expand(-1, player.shape[1], -1, -1, -1), []
    for code in range(num_codes - 1):
        frames = dream(first, torch.full(player.shape[:2], code), seed)
        keys.append(changed(frames, rest, player) >= ratio * changed(frames, rest, enemy))
    return torch.tensor([*keys, False])


# Right answers in other styles.


def changed_in_a_loop(a, b, mask):
    total, count = 0.0, 0
    for clip, step, row, column in mask.nonzero().tolist():
        for channel in range(a.shape[2]):
            at = (clip, step, channel, row, column)
            total, count = total + abs(int(a[at]) - int(b[at])), count + 1
    return total / count if count else 0


def codes_with_numpy(dream, first, player, enemy, num_codes, idle, ratio, seed):
    held = [dream(first, torch.full(player.shape[:2], k), seed).numpy() for k in range(num_codes)]
    error = [np.abs(x.astype(float) - held[idle]).mean(2) for x in held]
    mine, theirs = (np.array([e[m.numpy()].mean() for e in error]) for m in (player, enemy))
    return (mine > 0) & (mine >= ratio * theirs)


def a_list_of_bools(dream, first, player, enemy, num_codes, idle, ratio, seed):
    made = codes(dream, first, player, enemy, num_codes, idle, ratio, seed)
    return made.tolist()


WRONG = [
    ("wraps_in_uint8", (wraps_in_uint8, codes), "3 - 5 is 254"),
    ("the_whole_picture", (the_whole_picture, codes), "the whole picture counts"),
    ("divided_by_all_pixels", (divided_by_all_pixels, codes), "by the number of all pixels"),
    ("channels_added", (channels_added, codes), "three channels are added"),
    ("bright_and_dark_cancel", (bright_and_dark_cancel, codes), "brighter and darker"),
    ("clip_by_clip", (clip_by_clip, codes), "every pixel counts the same"),
    ("nan_without_pixels", (nan_without_pixels, codes), "an empty mask) contains NaN"),
    ("another_seed_each", (changed, _codes(_right, seeds=True)), "counts as control"),
    ("whatever_moves_it", (changed, _codes(lambda m, t, r: m > 0)), "would play the enemy too"),
    ("nobody_moves", (changed, _codes(lambda m, t, r: m >= r * t)), "moves nobody is no key"),
    ("more_than", (changed, _codes(lambda m, t, r: m > r * t)), "*at least* that much"),
    (
        "the_enemys",
        (changed, _codes(lambda m, t, r: t > 0 and t >= r * m)),
        "masks of player and enemy are exchanged",
    ),
    (
        "ratio_on_the_other_side",
        (changed, _codes(lambda m, t, r: m > 0 and r * m >= t)),
        "ratio stands on the wrong side",
    ),
    ("one_step_held", (changed, one_step_held), "hold one code in a dream"),
    ("never_idle", (changed, never_idle), "try all of 0 to 13"),
]


def _measured(measure):
    def players_codes(dream, first, player, enemy, num_codes, idle, ratio, seed):
        def held(code):
            return dream(first, torch.full(player.shape[:2], code), seed)

        rest, keys = held(idle), []
        for code in range(num_codes):
            mine, theirs = (float(measure(held(code), rest, m)) for m in (player, enemy))
            keys.append(_right(mine, theirs, ratio))
        return torch.tensor(keys)

    return players_codes


last_frame = _measured(lambda a, b, m: changed(a[:, -1:], b[:, -1:], m[:, -1:]))
first_frame = _measured(lambda a, b, m: changed(a[:, :1], b[:, :1], m[:, :1]))
first_clip = _measured(lambda a, b, m: changed(a[:1], b[:1], m[:1]))
last_clip = _measured(lambda a, b, m: changed(a[-1:], b[-1:], m[-1:]))
mean_of_clips = _measured(clip_by_clip)


WRONG += [
    ("last_frame_only", (changed, last_frame), "only the last frames were"),
    ("first_frame_only", (changed, first_frame), "only the first frames were"),
    ("first_clip_only", (changed, first_clip), "only the first clip were"),
    ("last_clip_only", (changed, last_clip), "only the last clip were"),
    ("mean_of_clips", (changed, mean_of_clips), "change of each clip and then their mean"),
    ("ratio_forgotten", (changed, _codes(lambda m, t, r: m > 0 and m >= t)), "is forgotten"),
    ("ratio_two_always", (changed, _codes(lambda m, t, r: m > 0 and m >= 2 * t)), "is 2 written"),
]
RIGHT = [
    ("changed_in_a_loop", (changed_in_a_loop, a_list_of_bools)),
    ("codes_with_numpy", (changed, codes_with_numpy)),
]


def _inputs(draw):
    first = torch.randint(0, 256, (2, 1, 3, 3), generator=draw, dtype=torch.uint8)
    player, enemy = torch.rand(2, 2, 2, 3, 3, generator=draw) < 0.5
    effects = torch.randint(0, 256, (4, 2, 1, 3, 3), generator=draw, dtype=torch.uint8)

    def dream(first, latents, seed):
        return first[:, None] + effects[latents[0, 0]]

    return dream, first, player, enemy, 4, 0, 1.0, 5


INPUTS = {"players_codes": _inputs}
