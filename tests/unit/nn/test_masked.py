"""The masked mean: what is left out has no share, and two processes give what one does."""

import pytest
import torch

from wmlearn.nn.masked import masked_mean


def test_padding_has_no_share_and_halves_average_to_the_whole():
    each = torch.rand(6, 5, generator=torch.Generator().manual_seed(0))
    keep = torch.arange(5) < torch.tensor([5, 5, 1, 4, 2, 0])[:, None]
    whole = masked_mean(each, keep)
    assert whole == pytest.approx(each[keep].sum().item() / 30)
    halves = [masked_mean(each[i : i + 3], keep[i : i + 3]) for i in (0, 3)]
    assert (halves[0] + halves[1]) / 2 == pytest.approx(whole.item())
    broken = torch.where(keep, each, each + 7)
    assert masked_mean(broken, keep) == whole
    assert masked_mean(each, None) == each.mean() == masked_mean(each, torch.ones(6, 5).bool())


def test_a_given_count_divides_what_is_kept():
    each, keep = torch.tensor([1.0, 2.0, 4.0, 8.0]), torch.tensor([True, False, True, False])
    assert masked_mean(each, keep, keep.sum()) == 2.5
