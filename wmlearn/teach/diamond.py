"""Checks of the exercises of chapter 4, DIAMOND.

Each compares an answer with closed forms and invariances, never with a trained score. The
equations are those of Karras et al. 2022 (EDM) and Alonso et al. 2024 (DIAMOND).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wmlearn.teach.checks import Hint, close, exercise, function, require, tensor

F64 = torch.float64


@exercise("04.1", "EDM's four coefficients")
def preconditioning(coefficients: Callable) -> Iterator[str]:
    """``coefficients(sigma, sigma_data, sigma_offset) -> (c_in, c_out, c_skip, c_noise)``."""
    function(coefficients, "coefficients")
    sigma = torch.tensor([0.002, 0.1, 0.5, 1.7, 20.0], dtype=F64)
    data, offset = 0.5, 0.3
    c_in, c_out, c_skip, c_noise = _four(coefficients(sigma.clone(), data, offset), sigma)
    yield "four coefficients, one value for each sigma"

    total = sigma**2 + offset**2  # the variance of all the noise on a pixel
    variance = c_in**2 * (data**2 + total)
    if not close(variance, 1):
        require(
            not close(c_in**2 * (data**2 + sigma**2), 1),
            "c_in leaves out the offset noise: the network sees it too, so the noise on a pixel "
            "has variance sigma² + sigma_offset².",
        )
        require(
            not close(c_in**2 * (data**2 + (sigma + offset) ** 2), 1),
            "two independent noises add their variances, not their standard deviations: "
            "combine sigma and sigma_offset as the root of the sum of squares.",
        )
        require(
            not close(c_in * (data**2 + total), 1),
            "c_in divides by a variance; divide by a standard deviation (its square root).",
        )
        raise Hint(
            f"c_in · x should have variance 1 at every sigma; at sigma = {sigma[3]:g} it has "
            f"{variance[3]:.3f}. The variance of x is the data's plus the noise's."
        )
    yield "the network's input has variance 1 at every noise level"

    best = data**2 / (data**2 + total)  # minimises the variance of clean - c_skip * x
    if not close(c_skip, best, 1e-5):
        require(
            not close(c_skip, 1 - best),
            "c_skip is upside down: without noise the answer is x itself, so c_skip is near 1 "
            "for small sigma and near 0 for large sigma.",
        )
        require(
            not close(c_skip, data / (data + total.sqrt())),
            "c_skip compares standard deviations; it is a share of variances, so square both.",
        )
        require(
            not close(c_skip, data**2 / (data**2 + total.sqrt())),
            "c_skip adds a variance (sigma_data²) and a standard deviation: sigma is not squared.",
        )
        raise Hint(
            "c_skip · x should be the best linear guess of the clean image: the data's share of "
            f"the variance of x. At sigma = {sigma[3]:g} we get {best[3]:.4f}, you {c_skip[3]:.4f}."
        )
    yield "c_skip · x is the best linear guess of the clean image"

    target = ((1 - c_skip) ** 2 * data**2 + c_skip**2 * total) / c_out**2
    require(
        close(target, 1),
        "c_out should scale the target (clean - c_skip · x) / c_out to variance 1; at sigma = "
        f"{sigma[3]:g} its variance is {target[3]:.3f}. The limits help: c_out is near sigma for "
        "little noise, near sigma_data for much.",
    )
    yield "the network's target has variance 1 at every noise level"

    step = total.log() / 2
    if not close(c_noise, step / 4, 1e-5):
        require(
            not close(c_noise, sigma.log() / 4),
            "c_noise still uses the bare sigma: tell the network the whole noise level, "
            "with the offset in it.",
        )
        raise Hint("c_noise is a quarter of the natural logarithm of the whole noise level.")
    yield "c_noise is a quarter of the log of the noise level"

    *_, c_skip, _ = _four(coefficients(sigma.clone(), 0.2, 0.0), sigma)
    require(
        close(c_skip, 0.04 / (0.04 + sigma**2)),
        "with sigma_data = 0.2 and sigma_offset = 0 the answer is wrong: are 0.5 or 0.3 written "
        "into the function in place of its arguments?",
    )
    yield "other values of sigma_data and sigma_offset work too"


def _four(answer: object, sigma: Tensor) -> list[Tensor]:
    require(
        isinstance(answer, tuple | list) and len(answer) == 4,
        "return the four coefficients in this order: c_in, c_out, c_skip, c_noise.",
    )
    names = ("c_in", "c_out", "c_skip", "c_noise")
    return [tensor(value, sigma.shape, name) for value, name in zip(answer, names, strict=True)]


@exercise("04.2", "the noise schedule and an Euler sampler")
def euler_sampler(noise_levels: Callable, euler_sample: Callable) -> Iterator[str]:
    """``noise_levels(num_steps, low, high, rho)``; ``euler_sample(denoise, x, levels)``."""
    function(noise_levels, "noise_levels")
    function(euler_sample, "euler_sample")
    high, low, rho = 5.0, 2e-3, 7.0
    raw = noise_levels(6, low, high, rho)
    require(raw is not None, "noise_levels returned None: is a `return` missing?")
    require(
        len(raw) != 6,
        "the schedule has no final 0: after num_steps noise levels comes one more, sigma = 0, "
        "or the last noise is never taken away.",
    )
    levels = tensor(raw, (7,), "noise_levels(6, ...)")
    require(
        levels[0] > levels[1],
        "the schedule should fall from sigma_max to 0: sampling starts with the most noise.",
    )
    require(
        close(levels[0], high) and close(levels[5], low, 1e-6) and levels[6] == 0,
        "the schedule should start at sigma_max, come to sigma_min, and end with exactly 0.",
    )
    yield "the schedule falls from sigma_max to sigma_min, then 0"

    steps = (levels[:-1] ** (1 / rho)).diff()
    require(
        close(steps, steps.mean()),
        "the steps should be equal in sigma**(1/rho), not in sigma: interpolate the roots, then "
        "raise them to the power rho.",
    )
    require(
        close(tensor(noise_levels(1, low, high, rho), (2,), "noise_levels(1, ...)"), [high, 0.0]),
        "with one step the schedule is [sigma_max, 0].",
    )
    yield "equal steps in sigma**(1/rho)"

    mean, std = 0.4, 0.25  # for data N(mean, std²) the perfect denoiser is known
    seen: list[float] = []

    def denoise(x: Tensor, sigma: Tensor | float) -> Tensor:
        seen.append(float(torch.as_tensor(sigma).flatten()[0]))
        return (std**2 * x + seen[-1] ** 2 * mean) / (std**2 + seen[-1] ** 2)

    def run(levels: list[float]) -> Tensor:
        seen.clear()
        kept = start.clone()
        out = euler_sample(denoise, kept, torch.tensor(levels, dtype=F64))
        require(
            torch.equal(kept, start),
            "the sampler changed the noise it was given (`x += ...` works in place): write "
            "`x = x + ...`.",
        )
        require(
            0.0 not in seen,
            "the denoiser was called at sigma = 0, where nothing is left to do and the slope "
            "divides by 0: go through the pairs (levels[i], levels[i + 1]).",
        )
        return tensor(out, (5, 1), "the sample")

    start = torch.tensor([[-9.0], [-2.0], [0.1], [3.0], [8.0]], dtype=F64)
    one = run([high, 0.0])
    estimate = (std**2 * start + high**2 * mean) / (std**2 + high**2)
    if not close(one, estimate):
        require(
            not close(one, 2 * start - estimate),
            "the samples run away from the data: the step is sigma_next - sigma, a negative "
            "number.",
        )
        raise Hint(
            "one step from sigma_max to 0 should land on the denoiser's estimate itself: "
            "x + (x - D) / sigma · (0 - sigma) = D."
        )
    yield "one step gives the denoiser's estimate"

    two = run([high, 1.0, 0.0])
    require(
        seen[0] == high,
        f"the first call of the denoiser was at sigma = {seen[0]:g}, but x has noise {high:g}: "
        "use the level at the start of the step.",
    )
    require(
        len(seen) == 2,
        f"{len(seen)} calls of the denoiser for 2 steps: Euler's method needs one for each step.",
    )
    middle = start + (start - estimate) / high * (1.0 - high)
    require(
        close(two, (std**2 * middle + mean) / (std**2 + 1)),
        "the second step went wrong: its slope needs the x, the estimate and the sigma of the "
        "second step, not those of the first.",
    )
    yield "two steps agree with the closed form"

    many = run(torch.cat([torch.linspace(high, 0.01, 500), torch.zeros(1)]).tolist())
    exact = mean + (start - mean) * std / (std**2 + high**2) ** 0.5
    require(
        close(many, exact, 0.02),
        "with 500 steps, noise N(mean, std² + sigma_max²) should become data N(mean, std²).",
    )
    yield "many steps turn the noise into the data's mean and spread"


@exercise("04.3", "lambda-returns")
def lambda_returns(answer: Callable) -> Iterator[str]:
    """``answer(rewards, next_values, terminated, truncated, gamma, lam)``, all ``[B, T]``."""
    function(answer, "lambda_returns")
    generator = torch.Generator().manual_seed(0)
    shape = (3, 6)
    rewards = torch.randn(shape, generator=generator, dtype=F64)
    values = torch.randn(shape, generator=generator, dtype=F64)
    never = torch.zeros(shape, dtype=torch.bool)
    gamma = 0.9

    def run(
        rewards: Tensor, values: Tensor, terminated: Tensor, truncated: Tensor, lam: float
    ) -> Tensor:
        inputs = [x.clone() for x in (rewards, values, terminated, truncated)]
        returns = answer(*inputs, gamma, lam)
        require(
            all(map(torch.equal, inputs, (rewards, values, terminated, truncated))),
            "the function changed its inputs in place: work on a new tensor.",
        )
        return tensor(returns, shape, "the result")

    one_step = run(rewards, values, never, never, 0.0)
    if not close(one_step, rewards + gamma * values):
        require(
            not close(one_step, gamma * (rewards + gamma * values)),
            "the discount is off by one: the reward of this step is not discounted, the value "
            "after it is discounted once.",
        )
        before = torch.cat([torch.zeros(3, 1, dtype=F64), values[:, :-1]], dim=1)
        require(
            not close(one_step[:, 1:], (rewards + gamma * before)[:, 1:]),
            "the values are shifted by one step: next_values[:, t] already is the value after "
            "step t.",
        )
        raise Hint("with lambda = 0 the return of step t is r_t + gamma · next_values[:, t].")
    yield "lambda = 0: one reward, then the value"

    full = run(rewards, values, never, never, 1.0)
    expected = _mixture(rewards, values, never, never, gamma, 1.0)
    if not close(full, expected):
        along_batch = _mixture(rewards.T, values.T, never.T, never.T, gamma, 1.0).T
        require(
            not close(full, along_batch),
            "the recursion runs over the batch: time is the second axis, [B, T].",
        )
        require(
            close(full[:, -1], expected[:, -1]),
            "the last step has no later return to build on: there the value alone continues, "
            "r + gamma · next_values[:, -1], whatever lambda is.",
        )
        raise Hint(
            "with lambda = 1 the return is the discounted sum of all rewards to come, and the "
            "last value: each step back multiplies the later return by gamma once."
        )
    yield "lambda = 1: all rewards to come, then the last value"

    require(
        close(
            run(rewards, values, never, never, 0.7),
            _mixture(rewards, values, never, never, gamma, 0.7),
        ),
        "for lambda between 0 and 1, mix: (1 - lambda) of the next value and lambda of the next "
        "return, the two together discounted by gamma once.",
    )
    yield "lambda = 0.7 is the mixture of all n-step returns"

    ended = never.clone()
    ended[:, 2] = True
    returns = run(rewards, values, ended, never, 0.7)
    require(
        close(returns[:, 2], rewards[:, 2]),
        "a terminated step is the last of its episode: its return is its reward alone. Neither "
        "the next value nor the next return count.",
    )
    require(
        close(returns, _mixture(rewards, values, ended, never, gamma, 0.7)),
        "a termination at step 2 changed other steps in a wrong way: it cuts only what comes "
        "after it off what came before.",
    )
    yield "after a termination there is nothing more to win"

    returns = run(rewards, values, never, ended, 0.7)
    if not close(returns[:, 2], rewards[:, 2] + gamma * values[:, 2]):
        require(
            not close(returns[:, 2], rewards[:, 2]),
            "a truncated episode was cut, it is not over: its last step continues with the value.",
        )
        require(
            not close(returns[:, 2], rewards[:, 2] + gamma * 0.3 * values[:, 2]),
            "at a truncation no later return exists, so the value takes its share as well: all "
            "of next_values, not only (1 - lambda) of it.",
        )
        raise Hint(
            "at a truncated step another episode begins: the return is r_t + gamma · "
            "next_values[:, t], and nothing of the next step."
        )
    yield "at a truncation the value takes over"

    ends = torch.rand(shape, generator=generator) < 0.25
    cuts = torch.rand(shape, generator=generator) < 0.25
    require(
        close(
            run(rewards, values, ends, cuts, 0.95),
            _mixture(rewards, values, ends, cuts, gamma, 0.95),
        ),
        "with random ends and cuts the result is wrong: a step can be both terminated and "
        "truncated, and then it is terminated.",
    )
    yield "random ends and cuts agree with the sum over n-step returns"

    weights = values.clone().requires_grad_()
    returns = answer(rewards.clone(), weights, never, never, gamma, 0.95)
    require(
        not returns.requires_grad,
        "the returns carry a gradient: they are the critic's target, so a stop-gradient is "
        "missing (`torch.no_grad()` or `.detach()`).",
    )
    yield "no gradient flows through the target"


def _mixture(
    rewards: Tensor,
    values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    gamma: float,
    lam: float,
) -> Tensor:
    """Lambda-returns by their definition: a weighted sum of n-step returns, in plain loops."""
    out = torch.zeros_like(rewards)
    length = rewards.shape[1]
    for b in range(rewards.shape[0]):
        for t in range(length):
            total, reward_sum, discount, weight = 0.0, 0.0, 1.0, 1.0
            for k in range(t, length):
                reward_sum += discount * float(rewards[b, k])
                discount *= gamma
                alive = 0.0 if terminated[b, k] else 1.0
                n_step = reward_sum + alive * discount * float(values[b, k])
                if terminated[b, k] or truncated[b, k] or k == length - 1:
                    total += weight * n_step
                    break
                total += weight * (1 - lam) * n_step
                weight *= lam
            out[b, t] = total
    return out


@exercise("04.4", "repair the training loss")
def training_loss(loss: Callable) -> Iterator[str]:
    """``loss(model, precondition, frames, actions, sigma, noise, n)``, a scalar."""
    function(loss, "loss")
    n, batch, length = 2, 3, 5
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(0, 256, (batch, length, 1, 4, 4), generator=generator)
    frames = levels / 127.5 - 1
    actions = torch.randint(0, 9, (batch, length - 1), generator=generator)
    sigma = torch.tensor([0.3, 0.8, 1.5])
    noise = torch.randn((batch, length - n, 1, 4, 4), generator=generator)
    model = _Spy()
    c_in, c_out, c_skip, c_noise = _edm(sigma)

    def run(frames: Tensor, output: Callable) -> Tensor:
        model.watch(output)
        given = frames.clone()
        value = loss(model, _edm, given, actions.clone(), sigma.clone(), noise.clone(), n)
        require(torch.equal(given, frames), "the loss changed the frames in place: copy first.")
        require(value is not None, "the loss is None: is a `return` missing?")
        require(
            len(model.contexts) == length - n,
            f"{len(model.contexts)} calls of the model for {length - n} frames after the first n.",
        )
        return value

    value = run(frames, model.scaled)
    require(
        all(list(context.shape) == [batch, n, 1, 4, 4] for context in model.contexts),
        f"the model's context should hold n frames, [B, n, C, H, W] = {[batch, n, 1, 4, 4]}.",
    )
    require(
        not close(model.contexts[0][:, -1], frames[:, n]),
        "a future frame leaks: the context of the first call holds the very frame that the model "
        "has to predict. The context is the n frames before it.",
    )
    first = list(model.contexts)
    other = frames.clone()
    other[:, -1] = -other[:, -1]
    run(other, model.scaled)
    require(
        all(map(close, first, model.contexts)) and close(first[0], frames[:, :n]),
        "the context of a call should be the n frames before the target, oldest first, and "
        "never depend on the target or on what comes later.",
    )
    yield "the context holds only the past"

    run(frames, model.scaled)
    require(
        all(torch.equal(seen, actions[:, i : i + n]) for i, seen in enumerate(model.actions)),
        "the actions do not fit the frames: frame i + n follows from actions[:, i : i + n].",
    )
    first_noisy = frames[:, n] + _image(sigma) * noise[:, 0]
    require(
        close(model.noisy[0], c_in * first_noisy) and close(model.c_noise[0], c_noise),
        "the model should get c_in · (clean + sigma · noise), and c_noise.",
    )
    yield "actions and noisy input are right"

    def perfect(noisy: Tensor, call: int) -> Tensor:
        return (frames[:, n + call] - c_skip * (noisy / c_in)) / c_out

    best = tensor(run(frames, perfect), (), "the loss")
    require(
        best.abs() < 1e-6,
        f"a model that knows the clean frame should have loss 0, but has {best:.3g}: the target "
        "is (clean - c_skip · noisy) / c_out, with the clean frame in it.",
    )
    silent = tensor(run(frames, lambda noisy, call: torch.zeros_like(noisy)), (), "the loss")
    targets = [
        (frames[:, n + i] - c_skip * (frames[:, n + i] + _image(sigma) * noise[:, i])) / c_out
        for i in range(length - n)
    ]
    want = torch.stack(targets).square().mean()
    require(
        close(silent, want),
        f"a model that always says 0 should have loss {want:.4f}, but has {silent:.4f}: take the "
        "mean over the frames.",
    )
    yield "the loss is 0 for a perfect model, and right for a silent one"

    value = run(frames, model.scaled)
    fed = model.contexts[1][:, -1]
    estimate = (c_skip * first_noisy + c_out * model.scaled(c_in * first_noisy, 0)).detach()
    require(
        not close(fed, frames[:, n]),
        "the second context holds the true frame; the model should learn from its own estimate, "
        "as it has to when it dreams.",
    )
    require(
        fed.abs().max() <= 1 + 1e-5,
        f"a frame of value {fed.abs().max():.2f} is fed back; frames lie in [-1, 1], so clamp.",
    )
    grid = (fed + 1) * 127.5
    require(
        close(grid, grid.round(), 1e-4),
        "what is fed back is not quantised: a screen has 256 levels, so the next context should "
        "have them too, or it looks like no frame of the data.",
    )
    require(
        (fed - estimate.clamp(-1, 1)).abs().max() < 1.01 / 127.5,
        "what is fed back is not the estimate c_skip · noisy + c_out · output (in 8 bits).",
    )
    require(
        close(model.contexts[1][:, :-1], frames[:, 1:n]),
        "in the second context only the newest frame should come from the model.",
    )
    yield "the estimate, in 8 bits, is fed back"

    require(
        not any(context.requires_grad for context in model.contexts),
        "the fed-back frame carries a gradient through time: a stop-gradient is missing "
        "(`.detach()`), as the paper's code has one.",
    )
    require(
        value.requires_grad,
        "the loss has no gradient at all: only what is fed back should be detached.",
    )
    yield "the gradient stops where the estimate is fed back"


class _Spy:
    """A model that records what it is given, and answers as it is told."""

    def __init__(self) -> None:
        self.weight = torch.tensor(1.5, requires_grad=True)

    def scaled(self, noisy: Tensor, call: int) -> Tensor:
        return self.weight * noisy

    def watch(self, output: Callable) -> None:
        self.output = output
        self.noisy, self.c_noise, self.contexts, self.actions = [], [], [], []

    def __call__(self, noisy: Tensor, c_noise: Tensor, context: Tensor, actions: Tensor) -> Tensor:
        call = len(self.noisy)
        self.noisy.append(noisy.detach().clone())
        self.c_noise.append(c_noise)
        self.contexts.append(context.clone())
        self.actions.append(actions.clone())
        return self.output(noisy, call)


def _image(x: Tensor) -> Tensor:
    return x.view(-1, 1, 1, 1)


def _edm(sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """EDM's coefficients without offset noise: three for images ``[B, 1, 1, 1]``, one ``[B]``."""
    data = 0.5
    c_in = 1 / (sigma**2 + data**2).sqrt()
    c_skip = data**2 * c_in**2
    return _image(c_in), _image(sigma * data * c_in), _image(c_skip), sigma.log() / 4


@exercise("04.5", "two futures, few steps")
def two_futures(experiment: Callable) -> Iterator[str]:
    """``experiment(dream, ps, steps, samples) -> (between, rare)``, each ``[len(ps), len(steps)]``."""
    function(experiment, "experiment")
    ps, steps, samples = [0.5, 0.8, 1.0], [1, 2, 20], 4000
    calls: list[tuple] = []

    def dream(p: float, num_steps: int, samples: int) -> Tensor:
        calls.append((round(float(p), 6), int(num_steps), int(samples)))
        return _dream(p, num_steps, samples)

    answer = experiment(dream, list(ps), list(steps), samples)
    require(
        isinstance(answer, tuple | list) and len(answer) == 2,
        "return two tables: the share of samples between the futures, and of the rare future.",
    )
    shape = (len(ps), len(steps))
    between = tensor(answer[0], shape, "between")
    rare = tensor(answer[1], shape, "rare")
    yield "two tables, a row for each p, a column for each number of steps"

    wanted = [(p, n, samples) for p in ps for n in steps]
    require(
        {n for _, n, _ in calls} == set(steps),
        f"dream was called with {sorted({n for _, n, _ in calls})} steps; asked were {steps}.",
    )
    require(
        {p for p, _, _ in calls} == set(ps),
        f"dream was called with p in {sorted({p for p, _, _ in calls})}; asked were {ps}.",
    )
    require(
        set(wanted) == set(calls),
        f"dream should be called for every pair of p and steps, each time with all {samples} "
        "samples.",
    )
    yield "every pair of p and steps was tried"

    for name, table in (("between", between), ("rare", rare)):
        require(
            (table >= 0).all() and (table <= 1).all(),
            f"{name} should hold shares from 0 to 1; it goes from {table.min():g} to "
            f"{table.max():g}.",
        )
    require(
        not close(between[0], 1 - _shares(ps, steps, samples)[0][0], 0.03),
        "between seems to count the samples that did reach a future: count the others, |x| < 0.5.",
    )
    require(
        between[0, 0] > 0.9,
        f"with p = 0.5 and one step you find {between[0, 0]:.2f} of the samples between the "
        "futures. Expect nearly all: one step lands on the mean, 0. Is the table transposed, or "
        "is the mean taken before the samples are counted?",
    )
    require(
        between[0, -1] < 0.1,
        f"with p = 0.5 and 20 steps you find {between[0, -1]:.2f} of the samples between the "
        "futures; expect nearly none. Between means far from BOTH -1 and +1: |x| < 0.5.",
    )
    yield "one step blurs an open future, 20 steps do not"

    require(
        between[-1].max() < 0.02,
        "with p = 1 the future is certain, and one step finds it: the last row of between is 0.",
    )
    require(
        rare[-1].max() < 0.02,
        f"with p = 1 the future -1 never happens, but {rare[-1].max():.2f} of the samples count "
        "as it: the rare future is x < -0.5.",
    )
    yield "a certain future needs one step only"

    exact = _shares(ps, steps, samples)
    require(
        close(between, exact[0], 0.03),
        "between is not the share of samples with |x| < 0.5 in some place of the table.",
    )
    require(
        close(rare, exact[1], 0.03),
        f"rare should be the share of samples with x < -0.5: for p = 0.8 about "
        f"{', '.join(f'{x:.2f}' for x in exact[1][1])} with {steps} steps; yours "
        f"{', '.join(f'{x:.2f}' for x in rare[1])}.",
    )
    yield "two steps lose the rare future, 20 steps bring it back"


def _dream(p: float, num_steps: int, samples: int) -> Tensor:
    """Euler samples of data that is +1 with probability p, else -1, by the perfect denoiser."""
    ramp = torch.linspace(0, 1, num_steps, dtype=F64)
    low, high = 2e-3 ** (1 / 7), 5.0 ** (1 / 7)
    levels = [*((high + ramp * (low - high)) ** 7).tolist(), 0.0]
    x = 5.0 * torch.randn(samples, generator=torch.Generator().manual_seed(1), dtype=F64)
    prior = torch.logit(torch.tensor(float(p), dtype=F64)) / 2
    for sigma, sigma_next in zip(levels[:-1], levels[1:], strict=True):
        estimate = torch.tanh(x / sigma**2 + prior)
        x = x + (x - estimate) / sigma * (sigma_next - sigma)
    return x


def _shares(ps: list[float], steps: list[int], samples: int) -> tuple[Tensor, Tensor]:
    table = torch.stack([torch.stack([_dream(p, n, samples) for n in steps]) for p in ps])
    return (table.abs() < 0.5).double().mean(-1), (table < -0.5).double().mean(-1)


@exercise("04.6", "which world would you train in?")
def judgement(choose: Callable) -> Iterator[str]:
    """``choose() -> {"train_in": "A" | "B" | "C", "because": ..., "settled_by": ...}``."""
    answer = function(choose, "choose")()
    measures = ("fidelity", "controllability", "utility", "cost")
    require(
        isinstance(answer, dict) and set(answer) == {"train_in", "because", "settled_by"},
        'give a dictionary with the keys "train_in", "because" and "settled_by".',
    )
    if any(value in (None, "", ...) for value in answer.values()):
        raise NotImplementedError
    require(answer["train_in"] in ("A", "B", "C"), '"train_in" is "A", "B" or "C".')
    for key in ("because", "settled_by"):
        require(answer[key] in measures, f'"{key}" is one of {", ".join(measures)}.')
    yield "a choice and two reasons"
    require(
        answer["train_in"] != "A",
        "world A has the best PSNR, but shuffled actions cost it nothing: it ignores the player. "
        "What could a policy learn where its actions change nothing?",
    )
    require(
        answer["train_in"] != "C",
        "world C is the baseline that copies the last frame: it is sharp and cheap, and nothing "
        "ever happens in it.",
    )
    yield "a world that answers to actions"
    require(
        answer["because"] == "controllability",
        f"{answer['because']} does not speak for B: look for the column in which it wins.",
    )
    yield "for the right reason"
    require(
        answer["settled_by"] == "utility",
        f"{answer['settled_by']} is still a stand-in. What do we want in the end? The return of "
        "a policy, trained only in the dream, in the real game.",
    )
    yield "and with the right test in mind"
