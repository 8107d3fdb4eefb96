"""Delta PSNR, wrong."""

from __future__ import annotations

import torch

from wmlearn.metrics import psnr


def _dreams(dream, frames, inferred, other):
    return dream(frames[:, 0], inferred), dream(frames[:, 0], other)


def _random(inferred, num_actions, generator):
    return torch.randint(num_actions, inferred.shape, generator=generator)


def sign_turned(dream, frames, inferred, step, num_actions, generator):
    other = _random(inferred, num_actions, generator)
    right, wrong = _dreams(dream, frames, inferred, other)
    real = frames[:, step]
    return (psnr(wrong[:, step - 1], real) - psnr(right[:, step - 1], real)).mean()


def mean_over_the_steps(dream, frames, inferred, step, num_actions, generator):
    other = _random(inferred, num_actions, generator)
    right, wrong = _dreams(dream, frames, inferred, other)
    return (psnr(right, frames[:, 1:]) - psnr(wrong, frames[:, 1:])).mean()


def one_step_late(dream, frames, inferred, step, num_actions, generator):
    other = _random(inferred, num_actions, generator)
    right, wrong = _dreams(dream, frames, inferred, other)
    real = frames[:, step + 1]
    return (psnr(right[:, step], real) - psnr(wrong[:, step], real)).mean()


def pooled_error(dream, frames, inferred, step, num_actions, generator):
    other = _random(inferred, num_actions, generator)
    errors = [
        (made[:, step - 1].double() - frames[:, step].double()).square().mean()
        for made in _dreams(dream, frames, inferred, other)
    ]
    return 10 * torch.log10(errors[1] / errors[0])


def the_two_dreams_compared(dream, frames, inferred, step, num_actions, generator):
    other = _random(inferred, num_actions, generator)
    right, wrong = _dreams(dream, frames, inferred, other)
    return -psnr(right[:, step - 1], wrong[:, step - 1]).mean()


def _measured(dream, frames, inferred, step, other):
    real = frames[:, step]
    right, wrong = _dreams(dream, frames, inferred, other)
    return (psnr(right[:, step - 1], real) - psnr(wrong[:, step - 1], real)).mean()


def shuffled_in_time(dream, frames, inferred, step, num_actions, generator):
    order = torch.randperm(inferred.shape[1], generator=generator)
    return _measured(dream, frames, inferred, step, inferred[:, order])


def one_draw_for_all_clips(dream, frames, inferred, step, num_actions, generator):
    other = torch.randint(num_actions, inferred.shape[1:], generator=generator)
    return _measured(dream, frames, inferred, step, other.expand_as(inferred))


def some_codes_only(dream, frames, inferred, step, num_actions, generator):
    other = torch.randint(num_actions // 2, inferred.shape, generator=generator)
    return _measured(dream, frames, inferred, step, other)


def generator_ignored(dream, frames, inferred, step, num_actions, generator):
    own = torch.Generator().manual_seed(0)
    other = torch.randint(num_actions, inferred.shape, generator=own)
    return _measured(dream, frames, inferred, step, other)


def starts_from_the_second_frame(dream, frames, inferred, step, num_actions, generator):
    other = _random(inferred, num_actions, generator)
    real = frames[:, step]
    right, wrong = (dream(frames[:, 1], latents) for latents in (inferred, other))
    return (psnr(right[:, step - 1], real) - psnr(wrong[:, step - 1], real)).mean()


WRONG = [
    ("sign_turned", (sign_turned,), "the sign is turned"),
    ("mean_over_the_steps", (mean_over_the_steps,), "the paper looks at one step"),
    ("one_step_late", (one_step_late,), "off by one"),
    ("pooled_error", (pooled_error,), "pooled before the logarithm"),
    ("the_two_dreams_compared", (the_two_dreams_compared,), "the two dreams with each other"),
    ("shuffled_in_time", (shuffled_in_time,), "in another order"),
    ("one_draw_for_all_clips", (one_draw_for_all_clips,), "all clips get the same"),
    ("some_codes_only", (some_codes_only,), "leave out some codes"),
    ("generator_ignored", (generator_ignored,), "another seed gives the same number"),
    ("starts_from_the_second_frame", (starts_from_the_second_frame,), "start from the first"),
]


def one_latent_held(dream, frames, inferred, step, num_actions, generator):
    other = torch.randint(num_actions, (len(inferred), 1), generator=generator)
    return _measured(dream, frames, inferred, step, other.expand_as(inferred).contiguous())


def never_the_inferred(dream, frames, inferred, step, num_actions, generator):
    shift = torch.randint(1, num_actions, inferred.shape, generator=generator)
    return _measured(dream, frames, inferred, step, (inferred + shift) % num_actions)


def random_from_the_step_on(dream, frames, inferred, step, num_actions, generator):
    other = inferred.clone()
    other[:, step - 1 :] = _random(inferred, num_actions, generator)[:, step - 1 :]
    return _measured(dream, frames, inferred, step, other)


def size_of_each_gain(dream, frames, inferred, step, num_actions, generator):
    other = _random(inferred, num_actions, generator)
    right, wrong = _dreams(dream, frames, inferred, other)
    real = frames[:, step]
    return (psnr(right[:, step - 1], real) - psnr(wrong[:, step - 1], real)).abs().mean()


# Right answers in other styles.


def only_as_far_as_needed(dream, frames, inferred, step, num_actions, generator):
    other = torch.randint(num_actions, (len(inferred), step), generator=generator)
    right, wrong = dream(frames[:, 0], inferred[:, :step]), dream(frames[:, 0], other)
    gains = psnr(right[:, -1], frames[:, step]) - psnr(wrong[:, -1], frames[:, step])
    return gains.double().mean()


def dreams_each_twice(dream, frames, inferred, step, num_actions, generator):
    other = (torch.rand(inferred.shape, generator=generator) * num_actions).long()
    gains = []
    for clip in range(len(inferred)):
        a, b = (psnr(dream(frames[:, 0], x)[clip, step - 1], frames[clip, step]).item()
                for x in (inferred, other))  # fmt: skip
        gains.append(a - b)
    return sum(gains) / len(gains)


WRONG += [
    ("one_latent_held", (one_latent_held,), "held for a whole clip"),
    ("never_the_inferred", (never_the_inferred,), "never equal the inferred"),
    ("random_from_the_step_on", (random_from_the_step_on,), "some steps keep their inferred"),
    ("size_of_each_gain", (size_of_each_gain,), "take no absolute value"),
]


def always_eight_codes(dream, frames, inferred, step, num_actions, generator):
    other = torch.randint(8, inferred.shape, generator=generator)
    return _measured(dream, frames, inferred, step, other)


def as_many_codes_as_were_inferred(dream, frames, inferred, step, num_actions, generator):
    other = torch.randint(int(inferred.max()) + 1, inferred.shape, generator=generator)
    return _measured(dream, frames, inferred, step, other)


def picked_from_the_inferred(dream, frames, inferred, step, num_actions, generator):
    places = torch.randint(inferred.numel(), inferred.shape, generator=generator)
    return _measured(dream, frames, inferred, step, inferred.flatten()[places])


def rounded(dream, frames, inferred, step, num_actions, generator):
    other = (torch.rand(inferred.shape, generator=generator) * num_actions).round().long()
    return _measured(dream, frames, inferred, step, other.clamp(max=num_actions - 1))


def from_a_normal(dream, frames, inferred, step, num_actions, generator):
    other = (torch.randn(inferred.shape, generator=generator) * num_actions / 2).long().abs()
    return _measured(dream, frames, inferred, step, other.clamp(max=num_actions - 1))


def step_four_always(dream, frames, inferred, step, num_actions, generator):
    return _measured(dream, frames, inferred, 4, _random(inferred, num_actions, generator))


def last_step_always(dream, frames, inferred, step, num_actions, generator):
    return _at(dream, frames, inferred, -1, num_actions, generator)


def _at(dream, frames, inferred, at, num_actions, generator):
    right, wrong = _dreams(dream, frames, inferred, _random(inferred, num_actions, generator))
    return (psnr(right[:, at], frames[:, at]) - psnr(wrong[:, at], frames[:, at])).mean()


WRONG += [
    ("always_eight_codes", (always_eight_codes,), "num_actions is 5 here"),
    (
        "as_many_codes_as_were_inferred",
        (as_many_codes_as_were_inferred,),
        "not the largest inferred latent",
    ),
    ("picked_from_the_inferred", (picked_from_the_inferred,), "are picked from the inferred ones"),
    ("rounded", (rounded,), "of 5 codes that should be equally likely"),
    ("step_four_always", (step_four_always,), "you give the value of step 4"),
    ("last_step_always", (last_step_always,), "you give the value of step 5"),
]
ALSO = [("from_a_normal", (from_a_normal,), "equally likely")]
RIGHT = [
    ("only_as_far_as_needed", (only_as_far_as_needed,)),
    ("dreams_each_twice", (dreams_each_twice,)),
]
