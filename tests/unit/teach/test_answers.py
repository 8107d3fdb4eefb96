"""The interface between checks and answers: plain values, callbacks, gradients, writes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wmlearn.teach.answers import Answer, Changed, InProcess, Leaf, Net


def answer(function) -> Answer:
    return Answer("solve", InProcess({"solve": function}))


def test_numbers_arrive_in_float32_and_come_back_in_any_precision():
    seen = []

    def solve(x, n):
        seen.append((x.dtype, n))
        return x.double() * n, x.numpy() + 1, [1, "a", None]

    double, array, rest = answer(solve)(torch.ones(2, dtype=torch.float64), 3)
    assert seen == [(torch.float32, 3)]
    assert double.dtype == torch.float64 and torch.equal(array, torch.full((2,), 2.0))
    assert rest == [1, "a", None] and not double.tracked


@pytest.mark.parametrize(
    "write", [lambda x, y: x.add_(1), lambda x, y: y["a"].append(2)], ids=["tensor", "list inside"]
)
def test_a_write_into_an_argument_is_seen_and_the_check_keeps_its_own(write):
    x, y = torch.ones(2), {"a": [1]}

    def solve(x, first):
        return write(x, first)

    with pytest.raises(Changed, match=r"solve changed its argument `(x|first)` in place"):
        answer(solve)(x, y)
    assert torch.equal(x, torch.ones(2)) and y == {"a": [1]}


def test_a_write_that_is_wanted_comes_back():
    reply = answer(lambda x: x.add_(1)).ask(torch.zeros(2), writes=(0,))
    assert torch.equal(reply.arguments[0], torch.ones(2))


def test_a_generator_crosses_as_its_state():
    draw = torch.Generator().manual_seed(5)
    first, again = (answer(lambda g: torch.rand(2, generator=g))(draw) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(first, torch.rand(2, generator=torch.Generator().manual_seed(5)))


def test_a_callback_gets_plain_values_and_positions_or_names():
    seen = []

    def energy(x, scale):
        seen.append((x.dtype, x.requires_grad, x.tracked, scale))
        return x.sum() * scale

    got = answer(lambda f, x: (f(x, 2), f(scale=3, x=x.numpy())))(energy, torch.ones(2))
    assert [float(v) for v in got] == [4, 6] and got[0].dtype == torch.float32
    assert seen == [(torch.float64, False, False, 2), (torch.float64, False, False, 3)]


def test_what_a_callback_gives_is_a_copy():
    table = torch.zeros(3)
    with torch.no_grad():
        answer(lambda f: f().add_(1))(lambda: table)
    assert torch.equal(table, torch.zeros(3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_flow_through_callbacks_to_leaves_and_to_the_checks_own_parameters(dtype):
    weight = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    tracked = []

    def model(x, y):
        tracked.append((x.tracked, y.tracked))
        return weight * x**2 + y

    def solve(model, x, other):
        x = x.to(dtype)
        return model(model(x, other), other.detach()).sum()

    x, other = torch.tensor([1.0, 3.0]), torch.tensor([0.5, 0.5])
    reply = answer(solve).ask(model, Leaf(x), other, pull=1.0)
    a, w = x.double().requires_grad_(), torch.tensor(2.0).double().requires_grad_()
    inner = w * a**2 + other
    (w * inner**2 + other).sum().backward()
    assert torch.allclose(reply.gradients[1].double(), a.grad, rtol=1e-5)
    assert torch.allclose(weight.grad, w.grad, rtol=1e-5)
    assert tracked == [(True, False), (True, False)] and reply.value.tracked


def test_no_pull_and_no_grad_leave_no_gradient():
    weight = torch.tensor(2.0, requires_grad=True)
    solve = torch.no_grad()(lambda model, x: model(x))
    reply = answer(solve).ask(lambda x: weight * x, Leaf(torch.ones(2)), pull=1.0)
    assert reply.gradients[1] is None and weight.grad is None and not reply.value.tracked
    assert answer(lambda x: x * 2).ask(Leaf(torch.ones(2))).gradients == (None,)


def test_a_tuple_is_pulled_by_its_parts():
    solve = answer(lambda x: (x * 2, torch.tensor(3), x**2))
    assert solve.ask(Leaf(torch.ones(2)), pull=(None, None, 1.0)).gradients[0].tolist() == [2, 2]
    assert solve.ask(Leaf(torch.ones(2)), pull=(1.0, None, None)).gradients[0].tolist() == [2, 2]


def test_a_net_is_a_module_whose_parameters_come_back():
    net = Net({"weight": torch.ones(2, 2), "bias": torch.zeros(2)},
              lambda p, x: x @ p["weight"] + p["bias"])  # fmt: skip

    def solve(net, x):
        with torch.no_grad():
            for parameter in net.parameters():
                parameter += 1
        return net(x).sum()

    reply = answer(solve).ask(net, torch.ones(1, 2), pull=1.0, writes=(0,))
    assert float(reply.value) == 10  # weights of 2, a bias of 1
    assert torch.equal(reply.arguments[0]["weight"], torch.full((2, 2), 2.0))
    assert reply.gradients[0]["bias"].tolist() == [1, 1]
    assert torch.equal(net.parameters["weight"], torch.ones(2, 2))


def test_numpy_scalars_and_odd_objects():
    assert answer(lambda: np.float64(2.5))() == 2.5
    odd = object()
    assert answer(lambda: odd)() is odd
