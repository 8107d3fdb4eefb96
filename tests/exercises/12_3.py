"""The cross-entropy method, wrong."""

from __future__ import annotations

import torch


def _cem(energy, mean, std, samples, elites, iterations, least, generator, *, box=True, best=False,
         new_mean="elites", new_std="elites", floor=True, fresh=True, each=True):  # fmt: skip
    begin, spread = mean, std
    for _ in range(iterations):
        shape = (samples, *mean.shape) if each else mean.shape
        noise = torch.randn(shape, generator=generator, dtype=mean.dtype).expand(
            samples, *mean.shape
        )
        plans = (mean if fresh else begin) + (std if fresh else spread) * noise
        plans = plans.clamp(-1, 1) if box else plans
        order = energy(plans).topk(elites, largest=best).indices
        elite = plans[order]
        mean = {"elites": elite.mean(0), "all": plans.mean(0), "best": elite[0]}[new_mean]
        std = {
            "elites": elite.std(0, correction=0),
            "all": plans.std(0, correction=0),
            "sample": elite.std(0),
            "variance": elite.var(0, correction=0),
            "kept": std,
        }[new_std]
        std = std.clamp(min=least) if floor else std
    return mean, std


def largest_energy(*args):
    return _cem(*args, best=True)


def mean_of_all_samples(*args):
    return _cem(*args, new_mean="all")


def best_plan_alone(*args):
    return _cem(*args, new_mean="best")


def std_of_all_samples(*args):
    return _cem(*args, new_std="all")


def std_never_changes(*args):
    return _cem(*args, new_std="kept")


def variance_for_std(*args):
    return _cem(*args, new_std="variance")


def divides_by_one_less(*args):
    return _cem(*args, new_std="sample")


def std_not_clamped(*args):
    return _cem(*args, floor=False)


def leaves_the_box(*args):
    return _cem(*args, box=False)


def one_noise_for_all(*args):
    return _cem(*args, each=False)


def begins_anew_each_round(*args):
    return _cem(*args, fresh=False)


def asks_one_by_one(energy, *args):
    return _cem(lambda plans: torch.cat([energy(plan[None]) for plan in plans]), *args)


WRONG = [
    ("largest_energy", (largest_energy,), "*largest* energy"),
    ("mean_of_all_samples", (mean_of_all_samples,), "new mean is that of all samples"),
    ("best_plan_alone", (best_plan_alone,), "the single best plan"),
    ("std_of_all_samples", (std_of_all_samples,), "new spread is that of all samples"),
    ("std_never_changes", (std_never_changes,), "stays as it was"),
    ("variance_for_std", (variance_for_std,), "spread is a variance"),
    ("divides_by_one_less", (divides_by_one_less,), "Take correction=0"),
    ("std_not_clamped", (std_not_clamped,), "though it shall stay at least"),
    ("leaves_the_box", (leaves_the_box,), "so clamp what is drawn"),
    ("one_noise_for_all", (one_noise_for_all,), "all plans of a round are the same"),
    ("begins_anew_each_round", (begins_anew_each_round,), "begin with the last one's result"),
    ("asks_one_by_one", (asks_one_by_one,), "of all samples together"),
]


def one_noise_for_all_rounds(energy, mean, std, samples, elites, iterations, least, generator):
    noise = torch.randn(samples, *mean.shape, generator=generator)
    for _ in range(iterations):
        plans = (mean + std * noise).clamp(-1, 1)
        elite = plans[energy(plans).topk(elites, largest=False).indices]
        mean, std = elite.mean(0), elite.std(0, correction=0).clamp(min=least)
    return mean, std


def best_rounds_mean(energy, mean, std, samples, elites, iterations, least, generator):
    best = (float("inf"), mean, std)
    for _ in range(iterations):
        noise = torch.randn(samples, *mean.shape, generator=generator)
        plans = (mean + std * noise).clamp(-1, 1)
        energies, order = energy(plans).topk(elites, largest=False)
        elite = plans[order]
        mean, std = elite.mean(0), elite.std(0, correction=0).clamp(min=least)
        if energies.mean() < best[0]:
            best = (energies.mean(), mean, std)
    return best[1:]


def fewer_samples_each_round(energy, mean, std, samples, elites, iterations, least, generator):
    for _ in range(iterations):
        noise = torch.randn(samples, *mean.shape, generator=generator)
        plans = (mean + std * noise).clamp(-1, 1)
        elite = plans[energy(plans).topk(elites, largest=False).indices]
        mean, std = elite.mean(0), elite.std(0, correction=0).clamp(min=least)
        samples = max(elites, samples - 10)
    return mean, std


def scaled_into_the_box(energy, mean, std, samples, elites, iterations, least, generator):
    for _ in range(iterations):
        noise = torch.randn(samples, *mean.shape, generator=generator)
        plans = torch.tanh(mean + std * noise)
        elite = plans[energy(plans).topk(elites, largest=False).indices]
        mean, std = elite.mean(0), elite.std(0, correction=0).clamp(min=least)
    return mean, std


def clamped_at_the_end_alone(energy, mean, std, samples, elites, iterations, least, generator):
    for _ in range(iterations):
        noise = torch.randn(samples, *mean.shape, generator=generator)
        plans = (mean + std * noise).clamp(-1, 1)
        best = plans[energy(plans).topk(elites, largest=False).indices]
        mean, std = best.mean(0), best.std(0, correction=0)
    return mean, std.clamp(min=least)


def _uniform(stretch):
    def cem(energy, mean, std, samples, elites, iterations, least, generator):
        for _ in range(iterations):
            noise = stretch(torch.rand(samples, *mean.shape, generator=generator))
            plans = (mean + std * noise).clamp(-1, 1)
            best = plans[energy(plans).topk(elites, largest=False).indices]
            mean, std = best.mean(0), best.std(0, correction=0).clamp(min=least)
        return mean, std

    return cem


# Right answers in other styles.


def sorted_in_float64(energy, mean, std, samples, elites, iterations, least, generator):
    mean, std = mean.double(), std.double()
    for _ in range(iterations):
        noise = torch.randn((samples, *mean.shape), generator=generator, dtype=torch.float64)
        plans = torch.clip(mean + std * noise, -1.0, 1.0)
        elite = plans[torch.argsort(energy(plans))[:elites]]
        mean = sum(elite) / elites
        std = ((elite - mean) ** 2).mean(0).sqrt().clamp(min=least)
    return mean, std


def in_place_on_copies(energy, mean, std, samples, elites, iterations, least, generator):
    mean, std = mean.clone(), std.clone()
    for _ in range(iterations):
        plans = torch.empty(samples, *mean.shape).normal_(generator=generator)
        plans.mul_(std).add_(mean).clamp_(-1, 1)
        elite = plans[energy(plans.clone()).argsort()[:elites]]
        mean.copy_(elite.mean(0))
        std.copy_(elite.std(0, unbiased=False)).clamp_(min=least)
    return mean, std


WRONG += [
    ("one_noise_for_all_rounds", (one_noise_for_all_rounds,), "noise of an earlier round"),
    ("best_rounds_mean", (best_rounds_mean,), "that of the *last* round"),
    ("fewer_samples_each_round", (fewer_samples_each_round,), "every round draws 200 plans"),
    ("scaled_into_the_box", (scaled_into_the_box,), "without scaling the others"),
    ("clamped_at_the_end_alone", (clamped_at_the_end_alone,), "Clamp it in every round"),
    ("uniform_noise", (_uniform(lambda u: 2 * u - 1),), "the noise is not *normal*"),
]
ALSO = [
    ("uniform_from_0_to_1", (_uniform(lambda u: u),), "the noise is not *normal*"),
    (
        "uniform_of_variance_1",
        (_uniform(lambda u: 12**0.5 * (u - 0.5)),),
        "the noise is not *normal*",
    ),
]
RIGHT = [
    ("sorted_in_float64", (sorted_in_float64,)),
    ("in_place_on_copies", (in_place_on_copies,)),
]
