"""The running average of weights: its first steps, its decay, and that it is put in place."""

import pytest
import torch
from torch import nn

from wmlearn.recipes.average import Average


def test_it_follows_at_once_and_slowly_later():
    weight = nn.Parameter(torch.zeros(1))
    average = Average([weight], decay=0.5)
    with torch.no_grad():
        weight.fill_(1.0)
    average.update(0)  # keeps 1 / 10
    assert average.kept[0].item() == pytest.approx(0.9)
    average.update(1000)  # keeps a half
    assert average.kept[0].item() == pytest.approx(0.95)
    assert weight.item() == 1.0
    average.use()
    assert weight.item() == pytest.approx(0.95)
