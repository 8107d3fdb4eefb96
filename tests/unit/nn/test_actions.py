"""Actions as vectors."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from wmlearn.nn.actions import action_embedding


def test_numbers_are_brought_to_one_range_and_one_that_cannot_vary_says_nothing():
    layer = action_embedding(5, 0, ((-2.0, 2.0), (0.0, 8.0), (3.0, 3.0)))
    out = layer(torch.tensor([[2.0, 0.0, 3.0], [0.0, 4.0, 3.0]]))
    assert_close(out[0], layer.weight[:, 0] - layer.weight[:, 1] + layer.bias)
    assert_close(out[1], layer.bias)


def test_a_choice_is_a_row_of_a_table():
    table = action_embedding(5, 3)
    assert_close(table(torch.tensor([2, 0])), table.weight[[2, 0]])
