"""The training loss, repaired in part only."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def _loss(
    model, precondition, frames, actions, sigma, noise, n,
    *, shift=0, clean_target=True, feed="8 bits", total=False,
):  # fmt: skip
    c_in, c_out, c_skip, c_noise = precondition(sigma)
    history, losses = frames, []
    for i in range(frames.shape[1] - n):
        context = history[:, i + shift : i + shift + n]
        clean = frames[:, i + n]
        noisy = clean + sigma.view(-1, 1, 1, 1) * noise[:, i]
        output = model(c_in * noisy, c_noise, context, actions[:, i : i + n])
        target = ((clean if clean_target else noisy) - c_skip * noisy) / c_out
        losses.append(F.mse_loss(output, target))
        estimate = c_skip * noisy + c_out * output
        if feed == "truth":
            continue
        if feed != "unclamped":
            estimate = estimate.clamp(-1, 1)
        if feed != "not quantized":
            grid = (estimate + 1) * 127.5
            estimate = (grid + (grid.round() - grid).detach()) / 127.5 - 1
        if feed != "with gradient":
            estimate = estimate.detach()
        before, after = history[:, : i + n], history[:, i + n + 1 :]
        history = torch.cat([before, estimate[:, None], after], dim=1)
    return torch.stack(losses).sum() if total else torch.stack(losses).mean()


def future_frame_leaks(*args):
    return _loss(*args, shift=1)


def target_from_the_noisy_frame(*args):
    return _loss(*args, clean_target=False)


def not_quantized(*args):
    return _loss(*args, feed="not quantized")


def not_clamped(*args):
    return _loss(*args, feed="unclamped")


def true_frame_fed_back(*args):
    return _loss(*args, feed="truth")


def stop_gradient_missing(*args):
    return _loss(*args, feed="with gradient")


def sum_for_mean(*args):
    return _loss(*args, total=True)


@torch.no_grad()
def no_gradient_at_all(*args):
    return _loss(*args)


def writes_into_the_clip(model, precondition, frames, actions, sigma, noise, n):
    value = _loss(model, precondition, frames, actions, sigma, noise, n)
    frames[:, n] = 0.0
    return value


WRONG = [
    ("future_frame_leaks", (future_frame_leaks,), "a future frame leaks"),
    ("target_from_the_noisy_frame", (target_from_the_noisy_frame,), "should have loss 0"),
    ("not_quantized", (not_quantized,), "not quantized"),
    ("not_clamped", (not_clamped,), "so clamp"),
    ("true_frame_fed_back", (true_frame_fed_back,), "learn from its own estimate"),
    ("stop_gradient_missing", (stop_gradient_missing,), "a stop-gradient is missing"),
    ("sum_for_mean", (sum_for_mean,), "mean over the frames"),
    ("no_gradient_at_all", (no_gradient_at_all,), "no gradient at all"),
    ("writes_into_the_clip", (writes_into_the_clip,), "changed its argument `frames`"),
]

# Right answers in other styles.


def with_a_list(model, precondition, frames, actions, sigma, noise, n):
    c_in, c_out, c_skip, c_noise = precondition(sigma)
    past, total = list(frames[:, :n].unbind(1)), 0.0
    for i in range(n, frames.shape[1]):
        noisy = frames[:, i] + sigma[:, None, None, None] * noise[:, i - n]
        context = torch.stack(past[-n:], dim=1)
        output = model(c_in * noisy, c_noise, context, actions[:, i - n : i])
        target = (frames[:, i] - c_skip * noisy) / c_out
        total = total + ((output - target) ** 2).mean()
        with torch.no_grad():
            pixels = ((c_skip * noisy + c_out * output).clamp(-1, 1) * 127.5 + 127.5).round()
            past.append(pixels / 127.5 - 1)
    return total / (frames.shape[1] - n)


def into_its_own_copy(model, precondition, frames, actions, sigma, noise, n):
    c_in, c_out, c_skip, c_noise = precondition(sigma)
    seen, losses = frames.clone(), []
    for i in range(frames.shape[1] - n):
        clean = frames[:, i + n]
        noisy = clean + torch.einsum("b,bchw->bchw", sigma, noise[:, i])
        output = model(c_in * noisy, c_noise, seen[:, i : i + n].clone(), actions[:, i : i + n])
        losses.append(((output - (clean - c_skip * noisy) / c_out) ** 2).mean())
        estimate = (c_skip * noisy + c_out * output.detach()).clamp(-1, 1)
        seen[:, i + n] = ((estimate + 1) * 127.5).round() / 127.5 - 1
    return sum(losses) / len(losses)


def model_called_without_graph_in_the_loss(model, precondition, frames, actions, sigma, noise, n):
    c_in, c_out, c_skip, c_noise = precondition(sigma)
    past, losses = list(frames[:, :n].unbind(1)), []
    for i in range(n, frames.shape[1]):
        noisy = frames[:, i] + sigma.view(-1, 1, 1, 1) * noise[:, i - n]
        output = model(c_in * noisy, c_noise, torch.stack(past[-n:], 1), actions[:, i - n : i])
        if i > n:
            output = output.detach()
        losses.append(((output - (frames[:, i] - c_skip * noisy) / c_out) ** 2).mean())
        pixels = ((c_skip * noisy + c_out * output.detach()).clamp(-1, 1) * 127.5 + 127.5).round()
        past.append(pixels / 127.5 - 1)
    return torch.stack(losses).mean()


def noise_of_the_first_frame(model, precondition, frames, actions, sigma, noise, n):
    return into_its_own_copy(
        model, precondition, frames, actions, sigma, noise[:, :1].expand_as(noise), n
    )


WRONG += [
    (
        "model_called_without_graph_in_the_loss",
        (model_called_without_graph_in_the_loss,),
        "every call of the model counts",
    ),
    ("noise_of_the_first_frame", (noise_of_the_first_frame,), "should get c_in"),
]


def _rounded(grid):
    def loss(model, precondition, frames, actions, sigma, noise, n):
        c_in, c_out, c_skip, c_noise = precondition(sigma)
        past, losses = list(frames[:, :n].unbind(1)), []
        for i in range(n, frames.shape[1]):
            noisy = frames[:, i] + sigma.view(-1, 1, 1, 1) * noise[:, i - n]
            output = model(c_in * noisy, c_noise, torch.stack(past[-n:], 1), actions[:, i - n : i])
            losses.append(((output - (frames[:, i] - c_skip * noisy) / c_out) ** 2).mean())
            past.append(grid((c_skip * noisy + c_out * output.detach()).clamp(-1, 1)))
        return torch.stack(losses).mean()

    return loss


not_shifted = _rounded(lambda x: (x * 127.5).round() / 127.5)
grid_of_127 = _rounded(lambda x: (x * 127).round() / 127)
grid_of_128 = _rounded(lambda x: ((x + 1) * 128).round() / 128 - 1)

WRONG += [("not_shifted", (not_shifted,), "not on the levels")]
ALSO = [
    ("grid_of_127", (grid_of_127,), "not on the levels k/127.5 - 1"),
    ("grid_of_128", (grid_of_128,), "not on the levels k/127.5 - 1"),
]
RIGHT = [
    ("with_a_list", (with_a_list,)),
    ("into_its_own_copy", (into_its_own_copy,)),
]


def _inputs(draw):
    frames = torch.randint(0, 256, (2, 5, 1, 2, 2), generator=draw) / 127.5 - 1
    actions = torch.randint(0, 9, (2, 4), generator=draw)
    sigma = torch.rand(2, generator=draw) + 0.1
    noise = torch.randn((2, 3, 1, 2, 2), generator=draw)

    def model(noisy, c_noise, context, actions):  # its output depends on all that it gets
        return noisy + context.mean((1, 3, 4))[..., None, None] + actions.float().mean()

    def precondition(sigma):
        s = sigma.view(-1, 1, 1, 1)
        return 1 / (1 + s), 1 + s, 1 / (2 + s), sigma

    return model, precondition, frames, actions, sigma, noise, 2


INPUTS = {"loss": _inputs}
