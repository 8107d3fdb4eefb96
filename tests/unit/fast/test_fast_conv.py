"""The fast CPU convolutions against PyTorch's own: same outputs, gradients and parameters."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from wmlearn.fast import speed_up
from wmlearn.fast import winograd as fast_conv
from wmlearn.fast.time_first import FastSTTransformer
from wmlearn.fast.upsample import FastUpsample, upsample_conv3x3
from wmlearn.fast.winograd import FastConv3x3, has_nnpack, nnpack_is_faster, winograd_is_faster
from wmlearn.nn.st_transformer import STTransformer
from wmlearn.nn.unet import Upsample
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
    fast = FastConv3x3(in_channels, out_channels, 3, padding=1)
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
    assert winograd_is_faster(x, fast.weight)
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
        assert not winograd_is_faster(y, fast.weight)
        assert_close(fast(y), plain(y), rtol=0, atol=0)
    assert not winograd_is_faster(x.double(), fast.weight.double())
    assert not winograd_is_faster(x.to("meta"), fast.weight)
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


@pytest.mark.parametrize(
    ("capability", "vendor", "faster"),
    [
        ("AVX512", "vendor_id : GenuineIntel", False),
        ("AVX512", "vendor_id : AuthenticAMD", True),
        ("AVX2", "vendor_id : GenuineIntel", True),
        ("DEFAULT", "", False),
    ],
)
def test_the_processor_decides_and_no_clock(monkeypatch, capability, vendor, faster):
    monkeypatch.setattr(fast_conv, "has_nnpack", lambda: True)
    monkeypatch.setattr(fast_conv, "_vendor", lambda: vendor)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert nnpack_is_faster.__wrapped__() == faster
    monkeypatch.setattr(fast_conv, "has_nnpack", lambda: False)
    assert not nnpack_is_faster.__wrapped__()


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
    torch.manual_seed(0)
    layer, x = Upsample(2).double(), torch.randn(1, 2, 4, 4, dtype=torch.double)
    plain = layer(x)
    reference = F.interpolate(x, scale_factor=2.0)
    reference = F.conv2d(reference, layer.conv.weight, layer.conv.bias, padding=1)
    assert_close(plain, reference)
    assert type(speed_up(layer)) is FastUpsample
    assert_close(layer(x), plain, rtol=0, atol=0)


# --- whole models ---------------------------------------------------------------------------------


def awake(model: nn.Module) -> nn.Module:
    """Layers that start at zero would hide those before them."""
    for parameter in model.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    return model


def compare(model: nn.Module, run) -> tuple[float, float]:
    """``run(model)`` before and after: error of the output, and the largest of a gradient."""

    def gradients(model):
        model.zero_grad()
        output = run(model)
        output.square().mean().backward()
        return output.detach(), {k: p.grad.clone() for k, p in model.named_parameters()}

    plain_output, plain = gradients(model)
    keys = list(model.state_dict())
    output, fast = gradients(speed_up(model))
    assert list(model.state_dict()) == keys
    errors = [(fast[name] - plain[name]).norm() / plain[name].norm() for name in plain]
    return relative_error(output, plain_output), float(max(errors))


@needs_nnpack
def test_paper_denoiser_at_64x64():
    """Output and all gradients of DIAMOND's denoiser, against plain layers."""
    torch.manual_seed(0)
    denoiser = awake(Denoiser(DenoiserConfig()))
    noisy, context = torch.randn(1, 3, 64, 64), torch.rand(1, 4, 3, 64, 64) * 2 - 1
    actions, level = torch.tensor([[0, 1, 2, 3]]), torch.tensor([0.5])
    error, gradient_error = compare(
        denoiser, lambda model: model.inner_output(noisy, level, context, actions)
    )
    assert 0 < error < 5e-4 and gradient_error < 1e-3
    kinds = {type(layer) for layer in denoiser.modules()}
    assert {FastConv3x3, FastUpsample} <= kinds


@pytest.mark.parametrize("steps", [4, 20])
def test_st_transformer(steps):
    torch.manual_seed(0)
    model, x = awake(STTransformer(32, 2, 2, space=12)), torch.randn(2, steps, 12, 32)
    error, gradient_error = compare(model, lambda model: model(x))
    assert type(model) is FastSTTransformer
    assert 0 < error < 1e-5 and gradient_error < 1e-4
    with torch.no_grad():  # and without gradients it is the textbook's
        plain = copy.deepcopy(model)
        plain.__class__ = STTransformer
        assert_close(model(x), plain(x), rtol=0, atol=0)
    conditioned = STTransformer(16, 1, 2, space=3, cond_dim=4)
    assert type(speed_up(conditioned)) is STTransformer


def test_a_second_call_changes_nothing_and_other_convolutions_stay():
    model = nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, stride=2, padding=1), nn.Conv2d(4, 4, 1)
    )
    kinds = [type(layer) for layer in speed_up(model)]
    assert kinds == [FastConv3x3, nn.Conv2d, nn.Conv2d]
    assert [type(layer) for layer in speed_up(model)] == kinds
    for options in ({"groups": 2}, {"padding_mode": "circular"}, {"dilation": 2}):
        assert type(speed_up(nn.Conv2d(4, 4, 3, padding=1, **options))) is nn.Conv2d
