"""What is measured, written once: PSNR, SSIM, feature distance, code usage, and estimates.

Definitions (frames are uint8, 0..255):

- PSNR of one frame: 10 log10(255^2 / MSE), the mean square error over its pixels and channels.
  An error below the rounding of 8-bit numbers (variance 1/12) is no error, so that the MSE counts
  as at least 1/12 and an exact copy scores 58.9 dB instead of infinity. "PSNR at horizon h"
  is the mean over clips of the PSNR of the h-th predicted frame against the true h-th frame.
- SSIM: Wang et al. 2004, 11 x 11 Gaussian window, mean over pixels, channels and clips.
- Feature distance: the Frechet distance between Gaussians fitted to features of two sets of
  frames (Heusel et al. 2017, "FID"). The weights of the usual Inception network cannot be shipped,
  so that the features are those of a small convolutional net with fixed *random* weights, defined
  below. It sees blur, noise and wrong colors, not meaning; its values compare only with other
  values of this same extractor, at the same number of frames.
- Code usage: of a quantizer's K codes, the share that occurs, and the perplexity of their
  distribution.
- Estimate: a mean with its 95% interval from a bootstrap over whole episodes (cluster bootstrap).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MAX_PSNR = 10 * math.log10(255**2 * 12)
"""58.9 dB: the PSNR of an exact copy, see above."""


def psnr(prediction: Tensor, target: Tensor) -> Tensor:
    """PSNR in dB of each frame: uint8 ``[..., C, H, W]`` twice -> float64 ``[...]``."""
    _check(prediction, target)
    error = prediction.float() - target.float()
    mse = error.square().mean(dim=(-3, -2, -1)).double().clamp(min=1 / 12)
    return 10 * torch.log10(255**2 / mse)


def ssim(prediction: Tensor, target: Tensor) -> Tensor:
    """SSIM of each frame, -1..1: uint8 ``[..., C, H, W]`` twice, at least 11 x 11 -> ``[...]``."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    _check(prediction, target)
    if min(target.shape[-2:]) < 11:
        raise ValueError(f"SSIM needs frames of at least 11 x 11; got {list(target.shape[-2:])}.")
    batch = target.shape[:-3]
    prediction, target = (x.flatten(0, -4).float() / 255 for x in (prediction, target))
    values = structural_similarity_index_measure(
        prediction, target, data_range=1.0, reduction="none"
    )
    return values.double().reshape(batch)


class RandomFeatures(nn.Module):
    """The extractor of the feature distance: three convolutions with fixed random weights.

    Kernel 4, stride 2, leaky ReLU; He-normal weights drawn from seed 0, no biases. The feature is
    the spatial mean of each layer's channels, 8 + 12 + 12 = 32 numbers, times 30 so that typical
    distances are near 1.

    Args:
        channels: of the frames.
    """

    widths = (8, 12, 12)

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        inputs = (channels, *self.widths[:-1])
        for layer, (fan_in, fan_out) in enumerate(zip(inputs, self.widths, strict=True)):
            weight = torch.randn(fan_out, fan_in, 4, 4, generator=generator)
            self.register_buffer(f"weight{layer}", weight * math.sqrt(2 / (fan_in * 16)))

    @torch.inference_mode()
    def forward(self, frames: Tensor) -> Tensor:
        """uint8 ``[..., C, H, W]`` -> float64 ``[..., 32]``."""
        x = frames.flatten(0, -4).float() / 127.5 - 1
        means = []
        for layer in range(len(self.widths)):
            x = F.leaky_relu(F.conv2d(x, getattr(self, f"weight{layer}"), stride=2, padding=1), 0.2)
            means.append(x.mean((-2, -1)))
        return 30 * torch.cat(means, -1).double().reshape(*frames.shape[:-3], -1)


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Squared Frechet distance of Gaussians fitted to two sets of features, in float64.

    ``|mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2))`` (Dowson & Landau 1982), with biased
    covariances. It is 0 for identical sets, and on average above 0 for two finite samples of one
    distribution: compare only values from equal numbers of frames.

    Args:
        a, b: ``[n, d]`` and ``[m, d]``.
    """
    ones = (torch.ones(1, len(x), dtype=torch.float64) for x in (a, b))
    return _frechet(a.double(), b.double(), *ones).item()


def frechet_estimate(
    dream: Tensor,
    real: Tensor,
    groups: Tensor,
    resamples: int = 200,
    seed: int = 0,
    seeds: Sequence[int] = (),
) -> Estimate:
    """Frechet distance with a 95% bootstrap interval over episodes.

    Both sets are resampled together. Resampling repeats items and so shifts the distance up;
    the interval is moved back by that shift (and cut at 0).

    Args:
        dream: ``[S, n, d]``: the distance is computed for each of S seeds and averaged, so that
            it has the same number of frames, and the same bias, whatever the number of seeds.
        real: ``[n, d]``.
        groups: int64 ``[n]``, the episode of each clip.
        seeds: for ``Estimate.seeds``.
    """
    value = sum(frechet_distance(one, real) for one in dream) / len(dream)
    if len(groups.unique()) < 2:
        return Estimate(value, n=len(real), seeds=tuple(seeds))
    weights = bootstrap_weights(groups, resamples, seed)
    each = sum(_frechet(one.double(), real.double(), weights, weights) for one in dream)
    each = each / len(dream)
    bounds = torch.quantile(each, torch.tensor([0.025, 0.975], dtype=torch.float64))
    low, high = (bounds + value - each.mean()).clamp(min=0).tolist()
    return Estimate(value, low, high, len(real), tuple(seeds))


def _frechet(a: Tensor, b: Tensor, weights_a: Tensor, weights_b: Tensor) -> Tensor:
    """Frechet distance for each row of weights: ``[n, d], [m, d], [R, n], [R, m] -> [R]``."""
    (mean_a, root_a, trace_a), (mean_b, root_b, trace_b) = (
        _gaussian(a, weights_a),
        _gaussian(b, weights_b),
    )
    # tr (S_a S_b)^(1/2) is the sum of the singular values of S_a^(1/2) S_b^(1/2).
    overlap = torch.linalg.svdvals(root_a @ root_b).sum(-1)
    distance = (mean_a - mean_b).square().sum(-1) + trace_a + trace_b - 2 * overlap
    return distance.clamp(min=0)


def _gaussian(x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weighted mean ``[R, d]``, root of the covariance ``[R, d, d]`` and its trace ``[R]``."""
    share = weights / weights.sum(1, keepdim=True)
    center = x.mean(0)
    x = x - center  # so that E[xx'] - mean mean' loses no digits
    mean = share @ x
    second = (share @ (x[:, :, None] * x[:, None, :]).flatten(1)).unflatten(1, (x.shape[1], -1))
    covariance = second - mean[:, :, None] * mean[:, None, :]
    values, vectors = torch.linalg.eigh(covariance)
    values = values.clamp(min=0)
    root = (vectors * values.sqrt()[:, None, :]) @ vectors.mT
    return mean + center, root, values.sum(-1)


def code_counts(codes: Tensor, num_codes: int) -> Tensor:
    """Frequency of each code: int64 ``[...]`` -> float32 ``[K]``."""
    counts = torch.zeros(num_codes, device=codes.device)
    flat = codes.flatten()
    return counts.index_add_(0, flat, torch.ones_like(flat, dtype=torch.float32))


def perplexity(counts: Tensor) -> Tensor:
    """exp of the entropy of the codes' distribution: K if all are used alike, 1 if collapsed."""
    share = counts / counts.sum().clamp(min=1)
    return torch.special.entr(share).sum().exp()


def fraction_used(counts: Tensor) -> Tensor:
    """Share of the K codes that occur at all."""
    return (counts > 0).float().mean()


def _check(prediction: Tensor, target: Tensor) -> None:
    if prediction.dtype != torch.uint8 or target.dtype != torch.uint8:
        raise ValueError(
            f"Frames must be uint8, 0..255; got {prediction.dtype} and {target.dtype}."
        )
    if prediction.shape != target.shape:
        raise ValueError(
            f"Prediction and target must have one shape; got {list(prediction.shape)} "
            f"and {list(target.shape)}."
        )


@dataclass(frozen=True)
class Estimate:
    """A measured number and its 95% interval; ``None`` bounds when no interval can be given.

    Attributes:
        n: how many values (clips, episodes, ...) it is made of; ``None`` where nobody counted.
        seeds: over which each of these values is a mean; empty where nothing was drawn.
    """

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    seeds: tuple[int, ...] = ()

    def format(self, digits: int = 1) -> str:
        """``28.6 [27.9, 29.3]``."""
        value, low, high = (  # + 0.0 turns -0.0 into 0.0
            "" if x is None else f"{round(x, digits) + 0.0:.{digits}f}"
            for x in (self.value, self.low, self.high)
        )
        return f"{value} [{low}, {high}]" if low and high else value

    def __str__(self) -> str:
        return self.format()


def bootstrap_weights(groups: Tensor, resamples: int = 2000, seed: int = 0) -> Tensor:
    """How often each item is drawn when whole groups are drawn with replacement.

    Clips of one episode resemble each other, so that it is episodes that are drawn, not clips
    (cluster bootstrap).

    Args:
        groups: int64 ``[n]``, the episode that each item comes from.

    Returns:
        float64 ``[resamples, n]``, counts; every row has at least one positive entry.
    """
    _, member = groups.unique(return_inverse=True)
    count = int(member.max()) + 1
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(count, (resamples, count), generator=generator)
    times = torch.zeros(resamples, count, dtype=torch.float64)
    times.scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.float64))
    return times[:, member]


def mean_estimate(
    values: Tensor,
    groups: Tensor | None = None,
    resamples: int = 2000,
    seed: int = 0,
    seeds: Sequence[int] = (),
) -> Estimate:
    """The mean of ``values`` with a 95% percentile bootstrap interval.

    Args:
        values: ``[n]``, n >= 1.
        groups: int64 ``[n]``, the episode of each value; without it each value is its own.
        seeds: for ``Estimate.seeds``.

    Returns:
        Without bounds where there is only one group: one episode says nothing about the spread.
    """
    values = torch.as_tensor(values, dtype=torch.float64).cpu().flatten()
    groups = torch.arange(len(values)) if groups is None else groups.cpu()
    if len(values) == 0 or len(groups) != len(values):
        raise ValueError(
            f"An estimate needs at least one value and one group per value; "
            f"got {len(values)} values and {len(groups)} groups."
        )
    mean = values.mean().item()
    if len(groups.unique()) < 2 or not math.isfinite(mean):
        return Estimate(mean, n=len(values), seeds=tuple(seeds))
    weights = bootstrap_weights(groups, resamples, seed)
    means = weights @ values / weights.sum(1)
    low, high = torch.quantile(means, torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return Estimate(mean, low, high, len(values), tuple(seeds))
