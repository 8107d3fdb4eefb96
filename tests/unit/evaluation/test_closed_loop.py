"""Returns of policies in the dream and in the environment: correlations and bias."""

import pytest
import torch

from wmlearn.evaluation.closed_loop import ClosedLoop

NAMES = ("a", "b", "c", "d")


def loop(dreamed, real, episodes=40, spread=0.1):
    generator = torch.Generator().manual_seed(0)

    def draw(means):
        return tuple(
            mean + spread * torch.randn(episodes, generator=generator, dtype=torch.float64)
            for mean in means
        )

    return ClosedLoop(NAMES, draw(dreamed), draw(real), steps=10)


def test_a_dream_that_pays_the_same_ranks_as_the_environment_without_bias():
    result = loop([0, 1, 2, 3], [0, 1, 2, 3])
    assert result.spearman().value == pytest.approx(1)
    assert result.pearson().value > 0.99
    bias = result.bias()
    assert bias.low < 0 < bias.high
    assert abs(bias.value) < 0.1


def test_a_dream_that_pays_twice_as_much_still_ranks_and_its_bias_shows():
    result = loop([0, 2, 4, 6], [0, 1, 2, 3])
    assert result.spearman().value == pytest.approx(1)
    assert result.bias().value == pytest.approx(1.5, abs=0.1)
    assert result.bias().low > 1


def test_a_dream_that_prefers_the_worst_policies():
    result = loop([3, 2, 1, 0], [0, 1, 2, 3])
    assert result.spearman().value == pytest.approx(-1)
    assert result.spearman().high < 0


def test_the_interval_shrinks_with_more_episodes_and_grows_where_policies_are_alike():
    few = loop([0, 1, 2, 3], [0, 1, 2, 3], episodes=5, spread=2)
    many = loop([0, 1, 2, 3], [0, 1, 2, 3], episodes=500, spread=2)

    def width(estimate):
        return estimate.high - estimate.low

    assert width(many.bias()) < width(few.bias())
    assert width(many.spearman()) < width(few.spearman())


def test_policies_that_are_all_paid_the_same_have_no_ranks():
    same = torch.ones(5, dtype=torch.float64)
    result = ClosedLoop(NAMES, (same,) * 4, tuple(same * k for k in range(4)), 10)
    assert result.spearman() is None and result.pearson() is None


def test_the_same_seed_gives_the_same_interval():
    result = loop([0, 1, 2, 3], [0, 1, 3, 2])
    assert result.spearman(seed=1) == result.spearman(seed=1)


def test_missing_returns_are_refused():
    with pytest.raises(ValueError, match="each policy"):
        ClosedLoop(NAMES, (torch.zeros(2),) * 4, (torch.zeros(2),) * 3, 10)
