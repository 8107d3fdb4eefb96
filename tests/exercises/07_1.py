"""One vector, whatever was done, wrong."""

from __future__ import annotations

import numpy as np
import torch


def joined(sentence, key, motion, valid, sentences, keys):
    """A right one, to go with wrong ways to withhold."""
    said = sentences[sentence] * (sentence >= 0)[:, None]
    pressed = keys[key] * (key >= 0)[:, None]
    return torch.cat([said, pressed, motion * valid, valid], dim=1)


def hidden(sentence, key, motion, valid, rows):
    """A right one, to go with wrong ways to join."""
    row = rows[:, None]
    return (
        sentence.masked_fill(rows, -1), key.masked_fill(rows, -1), motion.masked_fill(row, 0.0),
        valid & ~row,
    )  # fmt: skip


def _join(said="masked", pressed="masked", moved="masked", shown="valid", order=(0, 1, 2, 3)):
    def looked_up(number, table, how):
        if how == "wraps":
            return table[number]
        found = table[number.clamp(min=0)]
        if how == "first":
            return found
        return found * (number > 0 if how == "no zero" else number >= 0)[:, None]

    def join(sentence, key, motion, valid, sentences, keys):
        parts = [
            looked_up(sentence, sentences, said),
            looked_up(key, keys, pressed),
            motion if moved == "all" else motion * valid,
            {"valid": valid, "nonzero": motion * valid != 0, "ones": valid | True,
             "absent": ~valid}[shown].to(motion.dtype),
        ]  # fmt: skip
        return torch.cat([parts[i] for i in order], dim=1)

    return join


def _withhold(number=-1, motion=0.0, valid=True, turned=False, wipe_rest=False):
    def withhold(sentence, key, moved, shown, rows):
        rows = ~rows if turned else rows
        row = rows[:, None]
        moved = moved.masked_fill(row, 0.0) if motion is not None else moved
        if wipe_rest:
            moved = moved * shown
        return (
            sentence.masked_fill(rows, number), key.masked_fill(rows, number), moved,
            shown & ~row if valid else shown,
        )  # fmt: skip

    return withhold


def one_thing_only(sentence, key, motion, valid, sentences, keys):
    moved = motion * (sentence < 0)[:, None]
    return joined(sentence, key, moved, valid, sentences, keys)


def nothing_withheld(sentence, key, motion, valid, rows):
    return sentence, key, motion, valid


def key_left(sentence, key, motion, valid, rows):
    said, _, moved, shown = hidden(sentence, key, motion, valid, rows)
    return said, key, moved, shown


def only_the_numbers(sentence, key, motion, valid, rows):
    return hidden(sentence, key, motion, valid, rows)[:2]


def in_place(sentence, key, motion, valid, rows):
    sentence[rows] = -1
    key[rows] = -1
    return sentence, key, motion.masked_fill(rows[:, None], 0.0), valid & ~rows[:, None]


def without_valid(sentence, key, motion, valid, sentences, keys):
    return joined(sentence, key, motion, valid, sentences, keys)[:, : -motion.shape[1]]


def added(sentence, key, motion, valid, sentences, keys):
    said = sentences[sentence] * (sentence >= 0)[:, None]
    return torch.cat([said + keys[key] * (key >= 0)[:, None], motion * valid, valid], dim=1)


WRONG = [
    ("last_row", (_join(said="wraps", pressed="wraps"), hidden), "row -1 is the last row"),
    ("sentence_0_for_none", (_join(said="first", pressed="first"), hidden), "looks like sentence"),
    ("no_sentence_0", (_join(said="no zero", pressed="no zero"), hidden), "only -1 means"),
    ("masked_number_leaks", (_join(moved="all"), hidden), "leaks"),
    ("valid_first", (_join(order=(0, 1, 3, 2)), hidden), "motion comes before valid"),
    ("valid_by_value", (_join(shown="nonzero"), hidden), "a motion of 0 is a motion"),
    ("valid_turned", (_join(shown="absent"), hidden), "1 where a number is valid"),
    ("all_valid", (_join(shown="ones"), hidden), "to stand still and to be no motion"),
    ("without_valid", (without_valid, hidden), "should have shape"),
    ("in_place", (joined, in_place), "changed its argument"),
    ("nothing_withheld", (joined, nothing_withheld), "nothing is withheld"),
    ("sentence_0_withheld", (joined, _withhold(number=0)), "nobody knows the sentence"),
    ("key_left", (joined, key_left), "nobody knows the key"),
    ("valid_left", (joined, _withhold(valid=False)), "no number of a motion is valid"),
    ("motion_left", (joined, _withhold(motion=None)), "the motion should be 0"),
    ("wiped_elsewhere", (joined, _withhold(wipe_rest=True)), "should stay as it was"),
    ("only_the_numbers", (joined, only_the_numbers), "four things"),
]
ALSO = [
    ("one_thing_only", (one_thing_only, hidden), "the third part is the motion"),
    ("last_key", (_join(pressed="wraps"), hidden), "row -1 is the last row"),
    ("key_first", (_join(order=(1, 0, 2, 3)), hidden), "the order is sentence, key"),
    ("added", (added, hidden), "should have shape"),
    ("the_others_withheld", (joined, _withhold(turned=True)), "nothing is withheld"),
]


# Right answers in other styles.


def with_one_more_row(sentence, key, motion, valid, sentences, keys):
    """-1 is the last row: let it be zeros, as the library does."""
    rows = [torch.cat([t, torch.zeros_like(t[:1])])[i] for t, i in ((sentences, sentence),
                                                                   (keys, key))]  # fmt: skip
    return torch.cat([*rows, torch.where(valid, motion, 0.0), valid.to(motion)], dim=-1)


def row_by_row(sentence, key, motion, valid, sentences, keys):
    rows = []
    for i in range(len(sentence)):
        row = [sentences[sentence[i]].tolist() if sentence[i] >= 0 else [0.0] * sentences.shape[1]]
        row += [keys[key[i]].tolist() if key[i] >= 0 else [0.0] * keys.shape[1]]
        row += [[float(m) if v else 0.0 for m, v in zip(motion[i], valid[i], strict=True)]]
        rows.append(sum(row, []) + [float(v) for v in valid[i]])
    return torch.tensor(rows)


def with_numpy(sentence, key, motion, valid, rows):
    kept = ~rows.numpy()
    return (
        np.where(kept, sentence.numpy(), -1), np.where(kept, key.numpy(), -1),
        motion.numpy() * kept[:, None], valid.numpy() & kept[:, None],
    )  # fmt: skip


def on_copies(sentence, key, motion, valid, rows):
    mine = [x.clone() for x in (sentence, key, motion, valid)]
    for x, nothing in zip(mine, (-1, -1, 0, False), strict=True):
        x[rows] = nothing
    return mine


def as_onehot(sentence, key, motion, valid, sentences, keys):
    """-1 equals no number, so its row of the matrix is 0."""
    said = (sentence[:, None] == torch.arange(len(sentences))).to(sentences) @ sentences
    pressed = torch.einsum("bk,kd->bd", (key[:, None] == torch.arange(len(keys))).to(keys), keys)
    return torch.hstack([said, pressed, motion.masked_fill(~valid, 0), valid])


RIGHT = [
    ("with_one_more_row", (with_one_more_row, hidden)),
    ("row_by_row", (row_by_row, hidden)),
    ("as_onehot", (as_onehot, hidden)),
    ("with_numpy", (joined, with_numpy)),
    ("on_copies", (joined, on_copies)),
]
