"""How hard one may search, wrong."""

from __future__ import annotations

import numpy as np
import torch


def curse(count, error):
    """A right one, to go with wrong searches."""
    return error * (count - 1) / (count + 1)


def _search(reward, judge, counts, more=0, judge_chooses=False, worst=False, best="verdict"):
    promise, verdict = [], []
    for count in counts:
        part = reward[:, : count + more]
        taken = (part.argmax(1) if worst else part.argmin(1))[:, None]
        by = judge[:, : count + more].argmin(1)[:, None] if judge_chooses else taken
        promise.append(float(reward.gather(1, taken).mean()))
        verdict.append(float(judge.gather(1, by).mean()))
    gaps = [v - p for p, v in zip(promise, verdict, strict=True)]
    place = int(np.argmin({"verdict": verdict, "promise": promise, "gap": gaps}[best]))
    return promise, verdict, counts[place]


def search(reward, judge, counts):
    """A right one, to go with wrong formulas."""
    return _search(reward, judge, counts)


def below_zero(count, error):
    return -curse(count, error)


def no_gap_at_one_end(count, error):
    return error * (1 - 1 / count)


def half_as_long(count, error):
    return error / 2 * (count - 1) / (count + 1)


def grows_for_ever(count, error):
    return error * (count - 1) / 2


def the_best_error(count, error):
    return error * count / (count + 1)


def all_the_error(count, error):
    return error if count > 1 else 0.0


def of_a_median(count, error):
    return error * (1 - 2 * 0.5 ** (1 / count)) * -1


def judge_chooses(reward, judge, counts):
    return _search(reward, judge, counts, judge_chooses=True)


def the_most(reward, judge, counts):
    return _search(reward, judge, counts, worst=True)


def one_candidate_more(reward, judge, counts):
    return _search(reward, judge, counts, more=1)


def best_by_promise(reward, judge, counts):
    return _search(reward, judge, counts, best="promise")


def best_by_gap(reward, judge, counts):
    return _search(reward, judge, counts, best="gap")


def place_in_the_list(reward, judge, counts):
    promise, verdict, best = _search(reward, judge, counts)
    return promise, verdict, counts.index(best)


def no_best(reward, judge, counts):
    return *_search(reward, judge, counts)[:2], None


def exchanged(reward, judge, counts):
    promise, verdict, best = _search(reward, judge, counts)
    return verdict, promise, best


def mean_of_all(reward, judge, counts):
    promise = [reward[:, :n].mean() for n in counts]
    return promise, *_search(reward, judge, counts)[1:]


def verdict_of_all(reward, judge, counts):
    promise, _, best = _search(reward, judge, counts)
    return promise, [judge[:, :n].mean() for n in counts], best


def one_choice_for_all_starts(reward, judge, counts):
    promise, verdict = [], []
    for count in counts:
        i = reward[:, :count].mean(0).argmin()
        promise.append(reward[:, i].mean())
        verdict.append(judge[:, i].mean())
    return promise, verdict, counts[int(torch.stack(verdict).argmin())]


def verdict_of_the_same_place(reward, judge, counts):
    promise, _, best = _search(reward, judge, counts)
    verdict = [judge[:, int(reward[0, :n].argmin())].mean() for n in counts]
    return promise, verdict, best


def always_five(reward, judge, counts):
    promise, verdict, _ = _search(reward, judge, counts)
    return promise, verdict, 5


def in_ascending_order(reward, judge, counts):
    return _search(reward, judge, sorted(counts))


def for_each_start(reward, judge, counts):
    promise = torch.stack([reward[:, :n].amin(1) for n in counts])
    return promise, promise, counts[0]


def in_place(reward, judge, counts):
    counts.sort(reverse=True)
    return _search(reward, judge, counts)


WRONG = [
    ("below_zero", (below_zero, search), "a number above 0"),
    ("no_gap_at_one_end", (no_gap_at_one_end, search), "a gap at both ends"),
    ("half_as_long", (half_as_long, search), "2 error long"),
    ("the_best_error", (the_best_error, search), "with one candidate nothing is chosen"),
    ("all_the_error", (all_the_error, search), "so that their mean is smaller"),
    ("of_a_median", (of_a_median, search), "where does the least"),
    ("judge_chooses", (curse, judge_chooses), "A judge that chooses"),
    ("the_most", (curse, the_most), "fewer steps to go are better"),
    ("one_candidate_more", (curse, one_candidate_more), "chooses its own candidate"),
    ("best_by_promise", (curse, best_by_promise), "Choose the count by the verdict"),
    ("best_by_gap", (curse, best_by_gap), "nearly nothing was searched"),
    ("place_in_the_list", (curse, place_in_the_list), "is the place in the list"),
    ("no_best", (curse, no_best), "best is None"),
    ("exchanged", (curse, exchanged), "are exchanged"),
    ("mean_of_all", (curse, mean_of_all), "not the mean of all"),
    ("verdict_of_all", (curse, verdict_of_all), "not about all"),
    ("verdict_of_the_same_place", (curse, verdict_of_the_same_place), "chose there"),
    ("always_five", (curse, always_five), "the count with the lowest verdict, not"),
    ("in_ascending_order", (curse, in_ascending_order), "counts may come in any order"),
    ("for_each_start", (curse, for_each_start), "should have shape"),
    ("in_place", (curse, in_place), "changed its argument"),
]
ALSO = [
    ("grows_for_ever", (grows_for_ever, search), "so that their mean is smaller"),
    ("one_choice_for_all_starts", (curse, one_choice_for_all_starts), "chooses its own candidate"),
]


# Right answers in other styles.


def as_an_integral(count, error):
    """E[min] = -e + 2 e times the integral of (1 - u)^count, by the midpoint rule."""
    u = (torch.arange(20_000) + 0.5).double() / 20_000
    return float(error - 2 * error * ((1 - u) ** count).mean())


def from_the_lower_end(count, error):
    return torch.tensor(error - 2 * error / (count + 1))


def with_numpy(reward, judge, counts):
    reward, judge = reward.numpy(), judge.numpy()
    taken = np.stack([reward[:, :n].argmin(1) for n in counts])
    rows = np.arange(len(reward))
    promise, verdict = reward[rows, taken].mean(1), judge[rows, taken].mean(1)
    return promise, verdict, counts[verdict.argmin()]


def running(reward, judge, counts):
    """One pass over the candidates, keeping the best so far."""
    least, taken = reward.cummin(dim=1)
    at = torch.tensor(counts) - 1
    promise, verdict = least.mean(0)[at], judge.gather(1, taken).mean(0)[at]
    return torch.stack([promise, verdict]).unbind() + (torch.tensor(counts)[verdict.argmin()],)


def start_by_start(reward, judge, counts):
    promise, verdict = [0.0] * len(counts), [0.0] * len(counts)
    for r, j in zip(reward.tolist(), judge.tolist(), strict=True):
        for i, count in enumerate(counts):
            best = min(range(count), key=r.__getitem__)
            promise[i] += r[best] / len(reward)
            verdict[i] += j[best] / len(reward)
    return promise, verdict, min(zip(verdict, counts, strict=True))[1]


RIGHT = [
    ("as_an_integral", (as_an_integral, search)),
    ("from_the_lower_end", (from_the_lower_end, search)),
    ("with_numpy", (curse, with_numpy)),
    ("running", (curse, running)),
    ("start_by_start", (curse, start_by_start)),
]
