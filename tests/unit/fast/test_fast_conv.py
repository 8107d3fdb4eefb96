"""The fast CPU convolutions against PyTorch's own: same outputs, gradients and parameters."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from wmlearn.fast import winograd as fast_conv
from wmlearn.fast.winograd import (
    FastConv3x3,
    has_nnpack,
    nnpack_is_faster,
    upsample_conv3x3,
    winograd_pays,
)
from wmlearn.systems.diamond.config import DenoiserConfig
from wmlearn.systems.diamond.denoiser import Denoiser

needs_nnpack = pytest.mark.skipif(not has_nnpack(), reason="this PyTorch build has no NNPACK")


@pytest.fixture(autouse=True)
def nnpack_pays(monkeypatch):
    """The tests see NNPACK's results on any processor, also where it would not be chosen."""
    monkeypatch.setattr(fast_conv, "nnpack_is_faster", lambda: fast_conv.has_nnpack())


def relative_error(ours: torch.Tensor, reference: torch.Tensor) -> float:
    """Largest difference, in standard deviations of the reference."""
    ours, reference = ours.detach(), reference.detach()
    return float((ours - reference).abs().max() / reference.std())


def pair(in_channels: int, out_channels: int) -> tuple[FastConv3x3, nn.Conv2d]:
    torch.manual_seed(0)
    fast = FastConv3x3(in_channels, out_channels)
    plain = nn.Conv2d(in_channels, out_channels, 3, padding=1)
    plain.load_state_dict(fast.state_dict())
    return fast, plain


@needs_nnpack
@pytest.mark.parametrize(
    ("shape", "out_channels"),
    [
        ((2, 16, 64, 64), 8),  # image by image
        ((1, 15, 64, 64), 16),
        ((1, 8, 32, 32), 8),
        ((9, 8, 32, 32), 16),  # in columns of four, and a rest
        ((3, 8, 33, 47), 8),
        ((2, 8, 40, 64), 3),
        ((5, 4, 70, 75), 4),
    ],
)
@pytest.mark.parametrize("needs_x", [True, False])
def test_equals_plain_convolution(shape, out_channels, needs_x):
    fast, plain = pair(shape[1], out_channels)
    torch.manual_seed(1)
    x = torch.randn(shape, requires_grad=needs_x)
    assert winograd_pays(x, fast.weight)
    ours, reference = fast(x), plain(x)
    assert 0 < relative_error(ours, reference) < 2e-4  # 0 would mean that it was not used
    grad = torch.randn_like(reference)
    inputs = ([x] if needs_x else []) + [*fast.parameters()]
    ours = torch.autograd.grad(ours, inputs, grad)
    inputs = ([x] if needs_x else []) + [*plain.parameters()]
    for a, b in zip(ours, torch.autograd.grad(reference, inputs, grad), strict=True):
        assert relative_error(a, b) < 2e-4


@needs_nnpack
def test_any_memory_layout_and_frozen_parameters():
    fast, plain = pair(8, 8)
    x = torch.randn(2, 8, 64, 64)
    x = x.to(memory_format=torch.channels_last).requires_grad_()
    assert relative_error(fast(x), plain(x)) < 2e-4
    (ours,) = torch.autograd.grad(fast(x).sum(), x)  # an expanded gradient
    (reference,) = torch.autograd.grad(plain(x).sum(), x)
    assert relative_error(ours, reference) < 2e-4
    fast.weight.requires_grad_(False)
    fast(x).square().sum().backward()
    assert fast.weight.grad is None
    assert fast.bias.grad is not None
    with torch.inference_mode():
        assert relative_error(fast(x), plain(x)) < 2e-4


@needs_nnpack
def test_second_derivative():
    fast, plain = pair(4, 4)
    x = torch.randn(1, 4, 64, 64, requires_grad=True)

    def penalty(conv):
        (grad,) = torch.autograd.grad(conv(x).square().sum(), x, create_graph=True)
        return torch.autograd.grad(grad.square().sum(), conv.weight)[0]

    assert relative_error(penalty(fast), penalty(plain)) < 2e-4


@needs_nnpack
def test_plain_convolution_where_it_does_not_pay():
    fast, plain = pair(4, 4)
    x = torch.randn(4, 4, 64, 64)
    small = x[:, :, :16, :16].contiguous()
    for y in (small, x[:, :, :, :31]):
        assert not winograd_pays(y, fast.weight)
        assert_close(fast(y), plain(y), rtol=0, atol=0)
    assert not winograd_pays(x.double(), fast.weight.double())
    assert not winograd_pays(x.to("meta"), fast.weight)
    with torch.autocast("cpu", torch.bfloat16):
        assert_close(fast(x), plain(x), rtol=0, atol=0)
    ours = torch.func.grad(lambda x: fast(x).square().sum())(x)
    assert_close(ours, torch.func.grad(lambda x: plain(x).square().sum())(x))
    assert_close(torch.vmap(fast)(x[None]), torch.vmap(plain)(x[None]))
    assert "nnpack" not in str(torch.export.export(fast, (x,)).graph)


def test_without_nnpack(monkeypatch):
    fast, plain = pair(4, 4)
    x = torch.randn(2, 4, 64, 64)
    monkeypatch.setattr(fast_conv, "has_nnpack", lambda: False)
    assert_close(fast(x), plain(x), rtol=0, atol=0)


@needs_nnpack
@pytest.mark.parametrize(("plain", "nnpack"), [(2.0, 1.0), (1.0, 2.0)])
def test_the_faster_one_is_chosen(monkeypatch, plain, nnpack):
    times = iter([plain, nnpack])
    monkeypatch.setattr(fast_conv, "_best_time", lambda function: next(times))
    assert nnpack_is_faster.__wrapped__() == (nnpack < plain)


def test_old_build_has_no_private_function(monkeypatch):
    monkeypatch.delattr(torch, "_nnpack_spatial_convolution")
    assert not has_nnpack.__wrapped__()


def test_copies_and_state_dict():
    fast, plain = pair(4, 4)
    assert fast.state_dict().keys() == plain.state_dict().keys()
    assert type(copy.deepcopy(fast)) is FastConv3x3
    x = torch.randn(1, 4, 64, 64)
    assert_close(copy.deepcopy(fast)(x), fast(x), rtol=0, atol=0)
    assert_close(fast(x), fast(x), rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(2, 8, 8, 8), (1, 4, 5, 7), (2, 4, 1, 1)])
@pytest.mark.parametrize("bias", [True, False])
def test_upsampling(shape, bias):
    torch.manual_seed(0)
    x = torch.randn(shape, requires_grad=True)
    inputs = [x, torch.randn(6, shape[1], 3, 3, requires_grad=True)]
    if bias:
        inputs.append(torch.randn(6, requires_grad=True))
    b = inputs[2] if bias else None
    ours = upsample_conv3x3(x, inputs[1], b)
    reference = F.conv2d(F.interpolate(x, scale_factor=2.0), inputs[1], b, padding=1)
    assert_close(ours, reference, rtol=0, atol=3e-5)
    grad = torch.randn_like(reference)
    ours = torch.autograd.grad(ours, inputs, grad)
    for a, b in zip(ours, torch.autograd.grad(reference, inputs, grad), strict=True):
        assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_upsampling_elsewhere_is_plain():
    x, weight = torch.randn(1, 2, 4, 4, dtype=torch.double), torch.randn(2, 2, 3, 3).double()
    reference = F.conv2d(F.interpolate(x, scale_factor=2.0), weight, padding=1)
    assert_close(upsample_conv3x3(x, weight, None), reference, rtol=0, atol=0)


@needs_nnpack
def test_paper_denoiser_at_64x64(monkeypatch):
    """Output and all gradients of DIAMOND's denoiser, against plain convolutions everywhere."""
    torch.manual_seed(0)
    denoiser = Denoiser(DenoiserConfig())
    for parameter in denoiser.parameters():
        if not parameter.any():  # layers that start at zero would hide those before them
            nn.init.normal_(parameter, std=0.02)
    noisy, context = torch.randn(1, 3, 64, 64), torch.rand(1, 4, 3, 64, 64) * 2 - 1
    actions, c = torch.tensor([[0, 1, 2, 3]]), denoiser.precondition(torch.tensor([0.5]))

    def run():
        denoiser.zero_grad()
        output = denoiser.inner_output(noisy, c, context, actions)
        F.mse_loss(output, noisy).backward()
        return output.detach(), {k: p.grad.clone() for k, p in denoiser.named_parameters()}

    output, gradients = run()
    monkeypatch.setattr(fast_conv, "_is_eager_cpu", lambda x, weight: False)
    plain_output, plain_gradients = run()
    assert 0 < relative_error(output, plain_output) < 5e-4
    for name, gradient in gradients.items():
        error = (gradient - plain_gradients[name]).norm() / plain_gradients[name].norm()
        assert error < 1e-3, name
