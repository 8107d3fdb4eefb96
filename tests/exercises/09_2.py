"""Perplexity and the meaning of latents, wrong."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F


def _share(codes, num_codes):
    return torch.bincount(codes.flatten(), minlength=num_codes) / codes.numel()


def perplexity(codes, num_codes):
    return torch.special.entr(_share(codes, num_codes)).sum().exp()


def _table(latents, actions, num_latents, num_actions):
    pairs = latents * num_actions + actions
    table = torch.bincount(pairs, minlength=num_latents * num_actions)
    return table.view(num_latents, num_actions)


def _names(latents, actions, num_latents, num_actions):
    table = _table(latents, actions, num_latents, num_actions)
    names = table.argmax(dim=1)
    names[table.sum(dim=1) == 0] = table.sum(dim=0).argmax()
    return names


def accuracy(tl, ta, el, ea, num_latents, num_actions):
    return (_names(tl, ta, num_latents, num_actions)[el] == ea).float().mean()


def always_one(codes, num_codes):
    each = F.one_hot(codes, num_codes).float()
    return torch.special.entr(each).sum(-1).exp().mean()


def entropy_only(codes, num_codes):
    return torch.special.entr(_share(codes, num_codes)).sum()


def mixed_bases(codes, num_codes):
    share = _share(codes, num_codes).clamp(min=1e-12)
    return (-share * share.log2()).sum().exp()


def counts_the_codes(codes, num_codes):
    return (_share(codes, num_codes) > 0).float().sum()


def zero_log_zero(codes, num_codes):
    share = _share(codes, num_codes)
    return (-share * share.log()).sum().exp()


def map_made_on_test_data(tl, ta, el, ea, num_latents, num_actions):
    return accuracy(el, ea, el, ea, num_latents, num_actions)


def scored_on_training_data(tl, ta, el, ea, num_latents, num_actions):
    return accuracy(tl, ta, tl, ta, num_latents, num_actions)


def latents_taken_for_actions(tl, ta, el, ea, num_latents, num_actions):
    return (el == ea).float().mean()


def map_backwards(tl, ta, el, ea, num_latents, num_actions):
    latent_of = _table(tl, ta, num_latents, num_actions).argmax(dim=0)
    return (latent_of[ea] == el).float().mean()


def unseen_gets_action_zero(tl, ta, el, ea, num_latents, num_actions):
    names = _table(tl, ta, num_latents, num_actions).argmax(dim=1)
    return (names[el] == ea).float().mean()


WRONG = [
    ("always_one", (always_one, accuracy), "but have 1, and so would any"),
    ("entropy_only", (entropy_only, accuracy), "this is the entropy"),
    ("mixed_bases", (mixed_bases, accuracy), "has base 2"),
    ("counts_the_codes", (counts_the_codes, accuracy), "rare ones should count for less"),
    ("zero_log_zero", (zero_log_zero, accuracy), "NaN"),
    ("map_made_on_test_data", (perplexity, map_made_on_test_data), "it then flatters itself"),
    ("scored_on_training_data", (perplexity, scored_on_training_data), "on the training data:"),
    (
        "latents_taken_for_actions",
        (perplexity, latents_taken_for_actions),
        "latent 2 need not mean action 2",
    ),
    ("map_backwards", (perplexity, map_backwards), "from action to latent"),
    ("unseen_gets_action_zero", (perplexity, unseen_gets_action_zero), "has no action of its own"),
]


def _named(train_latents, train_actions, num_latents, num_actions):
    table = torch.zeros(num_latents, num_actions)
    for latent, action in zip(train_latents.tolist(), train_actions.tolist(), strict=True):
        table[latent, action] += 1
    return table


def unseen_gets_the_tests_majority(tl, ta, sl, sa, nl, na):
    table = _named(tl, ta, nl, na)
    names = table.argmax(1)
    names[table.sum(1) == 0] = torch.bincount(sa, minlength=na).argmax()
    return (names[sl] == sa).float().mean()


def one_name_each(tl, ta, sl, sa, nl, na):
    table, names = _named(tl, ta, nl, na), torch.zeros(nl, dtype=torch.long)
    names[:] = table.sum(0).argmax()
    for _ in range(min(nl, na)):
        place = int(table.argmax())
        latent, action = divmod(place, na)
        names[latent] = action
        table[latent], table[:, action] = -1, -1
    return (names[sl] == sa).float().mean()


# Right answers in other styles.


def perplexity_in_a_loop(codes, num_codes):
    total, entropy = codes.numel(), 0.0
    for k in range(num_codes):
        share = (codes == k).sum().item() / total
        entropy -= share * math.log(share) if share else 0.0
    return math.exp(entropy)


def accuracy_by_dictionary(tl, ta, sl, sa, nl, na):
    seen = {}
    for latent, action in zip(tl.tolist(), ta.tolist(), strict=True):
        seen.setdefault(latent, []).append(action)

    def most(actions):
        return max(set(actions), key=actions.count)

    fallback = most(ta.tolist())
    names = [most(seen[k]) if k in seen else fallback for k in range(nl)]
    right = [names[k] == a for k, a in zip(sl.tolist(), sa.tolist(), strict=True)]
    return np.mean(right)


WRONG += [
    (
        "unseen_gets_the_tests_majority",
        (perplexity, unseen_gets_the_tests_majority),
        "most frequent action of the *test*",
    ),
    ("one_name_each", (perplexity, one_name_each), "each latent is named alone"),
]


def divided_by_the_actions_frequency(tl, ta, sl, sa, nl, na):
    table = _named(tl, ta, nl, na)
    names = (table / table.sum(0)).argmax(1)
    names[table.sum(1) == 0] = table.sum(0).argmax()
    return (names[sl] == sa).float().mean()


WRONG += [
    (
        "divided_by_the_actions_frequency",
        (perplexity, divided_by_the_actions_frequency),
        "divided by how often each action occurs",
    ),
]
RIGHT = [("in_loops", (perplexity_in_a_loop, accuracy_by_dictionary))]


def _inputs(draw):
    size = int(torch.randint(2, 12, (), generator=draw))
    return torch.randint(0, size, (4, 5), generator=draw), size


INPUTS = {"perplexity": _inputs}
