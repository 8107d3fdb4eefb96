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
