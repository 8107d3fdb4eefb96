"""Metrics and their intervals, against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from wmlearn.metrics import (
    MAX_PSNR,
    Estimate,
    RandomFeatures,
    frechet_distance,
    frechet_estimate,
    mean_estimate,
    psnr,
    ssim,
)


def test_psnr_of_a_known_error():
    target = torch.full((2, 3, 3, 16, 16), 100, dtype=torch.uint8)
    torch.testing.assert_close(
        psnr(target + 5, target), torch.full((2, 3), 20 * math.log10(255 / 5)).double()
    )
    assert psnr(target, target).unique().item() == pytest.approx(MAX_PSNR)
    assert pytest.approx(58.92, abs=0.01) == MAX_PSNR
    one_wrong = target.clone()
    one_wrong[0, 0, 0, 0, 0] = 0  # MSE = 100^2 / (3 * 256)
    assert psnr(one_wrong, target)[0, 0] == pytest.approx(10 * math.log10(255**2 * 768 / 1e4))
    with pytest.raises(ValueError, match="uint8"):
        psnr(target.float(), target)
    with pytest.raises(ValueError, match="one shape"):
        psnr(target[:1], target)


def test_ssim_is_one_for_equals_and_keeps_the_batch_shape():
    frames = torch.randint(0, 256, (2, 4, 3, 16, 16), dtype=torch.uint8)
    torch.testing.assert_close(ssim(frames, frames), torch.ones(2, 4).double())
    assert ssim(255 - frames, frames).max() < 0
    with pytest.raises(ValueError, match="11 x 11"):
        ssim(frames[..., :8, :8], frames[..., :8, :8])


def test_frechet_distance_closed_forms():
    x = torch.randn(200, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(x, x.flip(0)) == pytest.approx(0, abs=1e-10)
    shift = torch.tensor([1.0, -2.0, 0.0, 0.0, 2.0], dtype=torch.float64)
    assert frechet_distance(x, x + shift) == pytest.approx(9.0)
    x = (x - x.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T, correction=0))).T
    assert frechet_distance(x, 3 * x) == pytest.approx(5 * (3 - 1) ** 2)  # covariances I and 9 I
    assert frechet_distance(1e4 + x, 1e4 + x + shift) == pytest.approx(9.0, abs=1e-6)


def test_frechet_matches_torchmetrics():
    from torchmetrics.image.fid import _compute_fid

    generator = torch.Generator().manual_seed(0)
    a = torch.randn(50, 6, generator=generator).double()
    b = (torch.randn(70, 6, generator=generator) @ torch.randn(6, 6, generator=generator)).double()
    theirs = _compute_fid(
        a.mean(0), torch.cov(a.T, correction=0), b.mean(0), torch.cov(b.T, correction=0)
    )
    assert frechet_distance(a, b) == pytest.approx(theirs.item())


def test_features_are_fixed_and_see_blur():
    frames = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8)
    extract = RandomFeatures()
    features = extract(frames)
    assert features.shape == (64, 32) and features.dtype == torch.float64
    assert torch.equal(RandomFeatures()(frames), features)
    assert RandomFeatures(1)(frames[:, :1]).shape == (64, 32)
    blurred = nn.functional.avg_pool2d(frames.float(), 3, 1, 1).to(torch.uint8)
    nearly = (frames.int() + 1).clamp(max=255).to(torch.uint8)
    same, blur = (frechet_distance(extract(x), features) for x in (nearly, blurred))
    assert blur > 20 * same
    estimate = frechet_estimate(extract(blurred)[None], features, torch.arange(64))
    assert estimate.value == pytest.approx(blur)
    assert estimate.low < blur < estimate.high


def test_bootstrap_interval_covers_and_respects_episodes():
    generator = torch.Generator().manual_seed(0)
    covered = 0
    for seed in range(200):
        values = torch.randn(30, generator=generator) + 5
        estimate = mean_estimate(values, resamples=400, seed=seed)
        covered += estimate.low <= 5 <= estimate.high
    assert 0.88 <= covered / 200 <= 0.99

    values = torch.randn(20, generator=generator).repeat_interleave(10)  # clips repeat an episode
    episodes = torch.arange(20).repeat_interleave(10)
    naive, honest = mean_estimate(values), mean_estimate(values, episodes)
    assert (honest.high - honest.low) > 2 * (naive.high - naive.low)
    assert mean_estimate(torch.ones(5), torch.zeros(5), seeds=(3,)) == Estimate(
        1.0, n=5, seeds=(3,)
    )
    with pytest.raises(ValueError, match="at least one"):
        mean_estimate(torch.empty(0))


def test_estimates_print_without_minus_zero():
    assert Estimate(-0.01, -0.04, 1.26).format(1) == "0.0 [0.0, 1.3]"
    assert str(Estimate(28.55)) in ("28.5", "28.6")
