"""Layers sorted once and an LSTM's single step: the same numbers, also after a change."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from wmlearn.fast import speed_up
from wmlearn.fast.lstm import FastLSTM
from wmlearn.fast.packed import PackedConv2d, PackedLinear, can_pack, packed


@pytest.fixture
def net():
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3, padding=1), nn.SiLU(), nn.Conv2d(8, 4, 3, stride=2), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(4 * 7 * 7, 5)).eval()


@torch.no_grad()
def test_the_twin_computes_the_same_and_follows_what_is_learned(net):
    assert can_pack(torch.float32) and can_pack(torch.bfloat16)  # or this tests nothing
    twin, x = packed(net, torch.float32), torch.randn(2, 3, 16, 16)
    assert [type(layer) for layer in net[:3:2]] == [nn.Conv2d] * 2
    assert [type(layer) for layer in twin[:3:2]] == [PackedConv2d] * 2
    assert all(a is b for a, b in zip(net.parameters(), twin.parameters(), strict=True))
    assert_close(twin(x), net(x), rtol=1e-5, atol=1e-5)
    before = net(x)
    net[0].weight.mul_(2)
    net[2].bias.add_(1)
    assert not torch.allclose(net(x), before, atol=1e-2)
    assert_close(twin(x), net(x), rtol=1e-5, atol=1e-5)
    assert_close(twin(x[:1]), net(x[:1]), rtol=1e-5, atol=1e-5)  # another shape


@torch.no_grad()
def test_in_half_precision_only_the_convolutions_are_rounded(net):
    net = net[:3]
    twin, x = packed(net, torch.bfloat16), torch.randn(2, 3, 16, 16)
    out, exact = twin(x), net(x)
    assert out.dtype == torch.bfloat16 and net[0].weight.dtype == torch.float32
    error = (out.float() - exact).std() / exact.std()
    assert 1e-4 < error < 2e-2


@torch.no_grad()
def test_linear_layers_take_and_give_the_same_precision_and_follow_what_is_learned(monkeypatch):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(12, 40), nn.GELU(), nn.Linear(40, 6, bias=False))
    twin, x = packed(net, torch.bfloat16, (nn.Linear,)), torch.randn(2, 5, 12)
    assert [type(layer) for layer in twin[::2]] == [PackedLinear] * 2
    assert torch.equal(twin(x), net(x))  # so little work is done as it was
    monkeypatch.setattr("wmlearn.fast.packed.WORTH_IT", 0)
    for _ in range(2):
        for rows in (x, x[0], x[0, :1]):
            out, exact = twin(rows), net(rows)
            assert out.dtype == torch.float32 and out.shape == exact.shape
            assert 1e-5 < (out - exact).std() / x.std() < 2e-2
        net[0].bias.add_(1)
        net[2].weight.mul_(-2)
    assert type(packed(net, torch.bfloat16)[0]) is nn.Linear  # only what is asked for
    with torch.enable_grad():
        twin(x).sum().backward()
    assert net[2].weight.grad is not None


def test_with_gradients_or_copied_it_still_computes(net):
    twin, x = packed(net, torch.float32), torch.randn(2, 3, 16, 16)
    twin(x).sum().backward()
    assert net[0].weight.grad is not None
    with torch.no_grad():
        twin(x)
        again = copy.deepcopy(twin)
        net[0].weight.zero_()
        assert not torch.allclose(again(x), twin(x))
        assert_close(twin(x), net(x), rtol=1e-5, atol=1e-5)


def test_without_the_kernels_the_module_itself_plays(net, monkeypatch):
    monkeypatch.setattr("wmlearn.fast.packed.can_pack", lambda compute: False)
    assert packed(net, torch.float32) is net


@pytest.mark.parametrize("batch", [1, 3])
def test_a_single_step_of_an_lstm_is_that_of_the_sequence(batch):
    torch.manual_seed(0)
    lstm = nn.LSTM(6, 5, batch_first=True)
    fast = speed_up(copy.deepcopy(lstm))
    assert type(fast) is FastLSTM
    x, state = torch.randn(batch, 4, 6), None
    with torch.no_grad():
        expected, (h, c) = lstm(x)
        for t in range(4):
            y, state = fast(x[:, t : t + 1], state)
            assert_close(y[:, 0], expected[:, t], rtol=1e-5, atol=1e-6)
        assert_close(state, (h, c), rtol=1e-5, atol=1e-6)
        assert_close(fast(x)[0], expected)


def test_other_lstms_stay_as_they_are():
    for kind in (dict(num_layers=2), dict(bidirectional=True), dict(proj_size=3)):
        assert type(speed_up(nn.LSTM(6, 5, batch_first=True, **kind))) is nn.LSTM


@torch.inference_mode()
def test_its_arithmetic_can_be_counted():
    twin = packed(nn.Conv2d(3, 4, 3, padding=1), torch.float32)
    with FlopCounterMode(display=False) as counter:
        twin(torch.ones(2, 3, 8, 8))
    assert counter.get_total_flops() == 2 * (3 * 4 * 9) * 2 * 8 * 8
