"""A hundred million clips, wrong."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F


def _deduplicate(
    vectors, cluster, quality, nearer, unit=True, inside=True, order="best", others="stay"
):
    u = F.normalize(vectors, dim=1) if unit else vectors
    near = u @ u.T >= nearer
    near = near & (cluster[:, None] == cluster) if inside else near
    ways = {
        "best": quality.argsort(descending=True),
        "worst": quality.argsort(),
        "first": torch.arange(len(u)),
    }
    stays, seen = torch.zeros(len(u), dtype=torch.bool), torch.zeros(len(u), dtype=torch.bool)
    for i in ways[order]:
        stays[i] = not (near[i] & (stays if others == "stay" else seen)).any()
        seen[i] = True
    return stays


def dedup(*args):
    """A right one, to go with wrong scores."""
    return _deduplicate(*args)


def _score(stays, group, least=1, whole=True):
    right = gone = surplus = 0
    for g in set(group.tolist()):
        own = [not bool(s) for s, k in zip(stays, group, strict=True) if k == g]
        copies = max(0, len(own) - least) if least else (len(own) if len(own) > 1 else 0)
        gone += sum(own)
        right += min(sum(own), copies) if whole else (sum(own) if len(own) > 1 else 0)
        surplus += copies
    return right / gone if gone else 1.0, right / surplus if surplus else 1.0


def judged(stays, group):
    """A right one, to go with wrong deduplication."""
    return _score(stays, group)


def products(*args):
    return _deduplicate(*args, unit=False)


def across_clusters(*args):
    return _deduplicate(*args, inside=False)


def the_worst(*args):
    return _deduplicate(*args, order="worst")


def the_first(*args):
    return _deduplicate(*args, order="first")


def like_any_better_one(*args):
    return _deduplicate(*args, others="seen")


def like_itself(vectors, cluster, quality, nearer):
    u = F.normalize(vectors, dim=1)
    return ~((u @ u.T >= nearer) & (cluster[:, None] == cluster)).any(1)


def what_goes(*args):
    return ~_deduplicate(*args)


def all_copies_go(vectors, cluster, quality, nearer):
    u = F.normalize(vectors, dim=1)
    near = (u @ u.T >= nearer) & (cluster[:, None] == cluster)
    return near.sum(1) == 1


def numbers_of_clips(*args):
    return _deduplicate(*args).nonzero()[:, 0]


def by_distance(vectors, cluster, quality, nearer):
    near = (torch.cdist(vectors, vectors) <= 1 - nearer) & (cluster[:, None] == cluster)
    stays = torch.zeros(len(vectors), dtype=torch.bool)
    for i in quality.argsort(descending=True):
        stays[i] = not (near[i] & stays).any()
    return stays


def one_of_each_cluster(vectors, cluster, quality, nearer):
    return torch.stack([quality[i] == quality[cluster == c].max() for i, c in enumerate(cluster)])


def in_place(vectors, cluster, quality, nearer):
    vectors /= vectors.norm(dim=1, keepdim=True)
    return _deduplicate(vectors, cluster, quality, nearer)


def in_order_of_quality(vectors, cluster, quality, nearer):
    return _deduplicate(vectors, cluster, quality, nearer)[quality.argsort(descending=True)]


def only_above(vectors, cluster, quality, nearer):
    u = F.normalize(vectors, dim=1)
    alike = (u @ u.T > nearer) & (cluster[:, None] == cluster)
    stays = torch.zeros(len(vectors), dtype=torch.bool)
    for i in quality.argsort(descending=True):
        stays[i] = not (alike[i] & stays).any()
    return stays


def exchanged(stays, group):
    return judged(stays, group)[::-1]


def whole_groups(stays, group):
    return _score(stays, group, least=0)


def all_gone_is_right(stays, group):
    return _score(stays, group, whole=False)


def divides_by_nothing(stays, group):
    gone = int((~stays).sum())
    surplus = len(group) - len(group.unique())
    right = sum(
        min(int((~stays[group == g]).sum()), int((group == g).sum()) - 1) for g in group.unique()
    )
    return right / gone, right / surplus


def nothing_found_is_nothing(stays, group):
    precision, recall = judged(stays, group)
    return precision if not stays.all() else 0.0, recall


def no_copy_is_nothing(stays, group):
    precision, recall = judged(stays, group)
    return precision, recall if len(group.unique()) < len(group) else 0.0


def precision_alone(stays, group):
    return judged(stays, group)[0]


def of_what_stays(stays, group):
    return judged(~stays, group)


WRONG = [
    ("products", (products, judged), "long vectors look alike"),
    ("across_clusters", (across_clusters, judged), "of *another* cluster"),
    ("the_worst", (the_worst, judged), "the lowest quality: begin"),
    ("the_first", (the_first, judged), "whatever order they come in"),
    ("like_any_better_one", (like_any_better_one, judged), "which is gone itself"),
    ("like_itself", (like_itself, judged), "every clip is like itself"),
    ("what_goes", (what_goes, judged), "the other way round"),
    ("all_copies_go", (all_copies_go, judged), "none is left"),
    ("numbers_of_clips", (numbers_of_clips, judged), "not numbers of clips"),
    ("by_distance", (by_distance, judged), "point the same way, one of them longer"),
    ("one_of_each_cluster", (one_of_each_cluster, judged), "in different directions"),
    ("in_place", (in_place, judged), "changed its argument"),
    ("in_order_of_quality", (in_order_of_quality, judged), "is in the order of quality"),
    ("only_above", (only_above, judged), "alike from `nearer` on"),
    ("exchanged", (dedup, exchanged), "the two are in the wrong order"),
    ("whole_groups", (dedup, whole_groups), "n - 1 are too many"),
    ("all_gone_is_right", (dedup, all_gone_is_right), "you count all as right"),
    ("divides_by_nothing", (dedup, divides_by_nothing), "ZeroDivisionError"),
    ("nothing_found_is_nothing", (dedup, nothing_found_is_nothing), "nothing wrongly"),
    ("no_copy_is_nothing", (dedup, no_copy_is_nothing), "none is missed"),
    ("precision_alone", (dedup, precision_alone), "two numbers"),
]
ALSO = [("of_what_stays", (dedup, of_what_stays), "")]


# Right answers in other styles.


def a_cluster_at_a_time(vectors, cluster, quality, nearer):
    stays = np.zeros(len(vectors), dtype=bool)
    x = vectors.double().numpy()
    for c in np.unique(cluster.numpy()):
        own = np.flatnonzero(cluster.numpy() == c)
        kept = []
        for i in own[np.argsort(-quality.numpy()[own])]:
            lengths = np.linalg.norm(x[i]) * np.linalg.norm(x[kept], axis=1) if kept else 1
            if not kept or (x[kept] @ x[i] / lengths < nearer).all():
                kept.append(i)
        stays[kept] = True
    return stays


def as_a_list(vectors, cluster, quality, nearer):
    kept = []
    for i in sorted(range(len(vectors)), key=lambda i: -float(quality[i])):
        same = [j for j in kept if cluster[j] == cluster[i]]
        near = [F.cosine_similarity(vectors[i], vectors[j], dim=0) >= nearer for j in same]
        kept += [] if any(near) else [i]
    return [i in kept for i in range(len(vectors))]


def with_a_small_number_added(vectors, cluster, quality, nearer):
    u = vectors / (vectors.norm(dim=1, keepdim=True) + 1e-6)
    return _deduplicate(u, cluster, quality, nearer, unit=False)


def by_squared_distance(vectors, cluster, quality, nearer):
    u = F.normalize(vectors, dim=1)
    alike = 1 - torch.cdist(u, u) ** 2 / 2 >= nearer
    stays = torch.zeros(len(vectors), dtype=torch.bool)
    for i in quality.argsort(descending=True):
        stays[i] = not (alike[i] & (cluster == cluster[i]) & stays).any()
    return stays


def with_bincount(stays, group):
    sizes, gone = torch.bincount(group), torch.bincount(group, weights=(~stays).double())
    right = torch.minimum(gone, (sizes - 1).clamp(min=0)).sum()
    found, surplus = gone.sum(), (sizes - 1).clamp(min=0).sum()
    one = torch.ones(())
    return (
        torch.where(found > 0, right / found.clamp(min=1), one),
        torch.where(surplus > 0, right / surplus.clamp(min=1), one),
    )


RIGHT = [
    ("a_cluster_at_a_time", (a_cluster_at_a_time, with_bincount)),
    ("as_a_list", (as_a_list, judged)),
    ("by_squared_distance", (by_squared_distance, judged)),
    ("with_a_small_number_added", (with_a_small_number_added, judged)),
]


def _a_mask_and_groups(draw):
    return torch.rand(12, generator=draw) < 0.5, torch.randint(5, (12,), generator=draw)


def _clips(draw):
    cluster, quality = torch.randint(3, (12,), generator=draw), torch.randperm(12, generator=draw)
    return torch.randn(12, 3, generator=draw), cluster, quality, 0.8


INPUTS = {"score": _a_mask_and_groups, "deduplicate": _clips}
