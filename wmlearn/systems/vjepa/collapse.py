"""Collapse: how to see it, and the losses that prevent it without a moving target.

If every clip gets the same features, the prediction loss is zero and nothing was learned. All
functions here take features ``[n, D]`` of n tokens.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SIGREG_DIRECTIONS = 64
SIGREG_POINTS = 17
SIGREG_LIMIT = 5.0


def feature_std(features: Tensor) -> Tensor:
    """Spread of the tokens: standard deviation over tokens, mean over channels; 0 is collapse.

    For layer-normed features it is at most about 1.
    """
    return features.float().std(dim=0).mean()


def effective_rank(features: Tensor) -> Tensor:
    """Effective number of dimensions of the tokens, 1 to D: exp of their spectrum's entropy.

    Roy & Vetterli (2007), on the eigenvalues of the covariance.
    """
    x = features.float()
    x = x - x.mean(0)
    values = torch.linalg.eigvalsh(x.T @ x).clamp(min=0)
    share = values / values.sum().clamp(min=1e-20)
    return torch.exp(-(share * share.clamp(min=1e-20).log()).sum())


def vicreg(features: Tensor, spread: float = 1.0) -> Tensor:
    """Variance and covariance terms of VICReg (Bardes, Ponce & LeCun 2022, eqs. 1 to 4).

    Each channel shall vary (a hinge at standard deviation ``spread``), and no two together. The
    invariance term is the prediction loss itself. The weights are the paper's, 25 and 1.
    """
    x = features.float()
    n, channels = x.shape
    x = x - x.mean(0)
    std = torch.sqrt(x.var(0) + 1e-4)
    covariance = x.T @ x / (n - 1)
    off_diagonal = covariance.square().sum() - covariance.diagonal().square().sum()
    return 25 * F.relu(spread - std).mean() + off_diagonal / channels


def sigreg(features: Tensor, directions: Tensor) -> Tensor:
    """Sketched isotropic-Gaussian regularization (Balestriero & LeCun 2025, LeJEPA, section 4).

    Along many random directions the features shall look standard normal: the statistic of Epps &
    Pulley (1983) compares their characteristic function with the Gaussian's.

    Args:
        features: ``[n, D]``.
        directions: ``[D, K]`` of unit length (:func:`random_directions`).
    """
    t = torch.linspace(-SIGREG_LIMIT, SIGREG_LIMIT, SIGREG_POINTS, device=features.device)
    gauss = torch.exp(-t.square() / 2)
    angle = (features.float() @ directions)[..., None] * t  # [n, K, points]
    error = (angle.cos().mean(0) - gauss).square() + angle.sin().mean(0).square()
    return len(features) * torch.trapezoid(error * gauss, t).mean()


def random_directions(dim: int, generator: torch.Generator) -> Tensor:
    """``[dim, 64]``, columns of unit length."""
    return F.normalize(torch.randn(dim, SIGREG_DIRECTIONS, generator=generator), dim=0)
