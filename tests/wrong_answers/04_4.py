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
    ("writes_into_the_clip", (writes_into_the_clip,), "changed the frames in place"),
]
