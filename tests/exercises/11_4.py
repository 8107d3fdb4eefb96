"""V-JEPA's loss and its running average, wrong."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def take(x, index):
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[-1]))


def _loss(encoder, predictor, target, patches, visible, hidden, **wrong):
    everything = torch.arange(patches.shape[1]).expand(len(patches), -1)
    if wrong.get("leaks"):
        features = take(encoder(patches, everything), visible)
    else:
        features = encoder(patches, visible)
    if wrong.get("features_normalized"):
        features = F.layer_norm(features, features.shape[-1:])
    if wrong.get("no_encoder_gradient"):
        features = features.detach()
    asked = visible if wrong.get("context") else hidden
    guess = predictor(features, visible, asked)
    if wrong.get("guess_normalized"):
        guess = F.layer_norm(guess, guess.shape[-1:])
    network = encoder if wrong.get("same_network") else target
    if wrong.get("hidden_alone"):
        goal = network(patches, hidden)
    else:
        goal = take(network(patches, everything), asked)
    if not wrong.get("raw"):
        goal = F.layer_norm(goal, goal.shape[-1:])
    if not wrong.get("gradient"):
        goal = goal.detach()
    error = guess - goal
    if wrong.get("squared"):
        return error.square().mean()
    return error.abs().sum() if wrong.get("total") else error.abs().mean()


def _wrong(**wrong):
    def loss(*args):
        return _loss(*args, **wrong)

    return loss


@torch.no_grad()
def follow(target, encoder, momentum):
    """A right one, to go with the wrong losses."""
    for old, new in zip(target.parameters(), encoder.parameters(), strict=True):
        old.lerp_(new, 1 - momentum)


@torch.no_grad()
def upside_down(target, encoder, momentum):
    for old, new in zip(target.parameters(), encoder.parameters(), strict=True):
        old.lerp_(new, momentum)


@torch.no_grad()
def encoder_follows(target, encoder, momentum):
    follow(encoder, target, momentum)


@torch.no_grad()
def copies(target, encoder, momentum):
    target.load_state_dict(encoder.state_dict())


@torch.no_grad()
def new_tensors_that_nobody_keeps(target, encoder, momentum):
    for old, new in zip(target.parameters(), encoder.parameters(), strict=True):
        old = momentum * old + (1 - momentum) * new


WRONG = [
    ("mask_leaks", (_wrong(leaks=True), follow), "the mask leaks"),
    ("context_tokens", (_wrong(context=True), follow), "over the wrong tokens"),
    ("target_sees_the_hole_only", (_wrong(hidden_alone=True), follow), "the hidden part alone"),
    ("target_not_normalized", (_wrong(raw=True), follow), "the target is not normalized"),
    ("same_network", (_wrong(same_network=True), follow), "from the encoder itself"),
    ("squared_error", (_wrong(squared=True), follow), "a squared error"),
    ("sum_for_mean", (_wrong(total=True), follow), "mean over tokens and channels"),
    ("stop_gradient_missing", (_wrong(gradient=True), follow), "a stop-gradient is missing"),
    ("no_gradient", (torch.no_grad()(_wrong()), follow), "no gradient at all"),
    (
        "stopped_at_the_encoder",
        (_wrong(no_encoder_gradient=True), follow),
        "gets no gradient: stop",
    ),
    ("upside_down", (_wrong(), upside_down), "the wrong way round"),
    ("encoder_follows", (_wrong(), encoder_follows), "follow changed the encoder"),
    ("copies", (_wrong(), copies), "for each parameter"),
    ("nothing_kept", (_wrong(), new_tensors_that_nobody_keeps), "it works in place"),
]


def zeroed_patches(encoder, predictor, target, patches, visible, hidden):
    everything = torch.arange(patches.shape[1]).expand(len(patches), -1)
    seen = torch.zeros_like(patches)
    index = visible[..., None].expand(-1, -1, patches.shape[-1])
    seen.scatter_(1, index, patches.gather(1, index))
    features = take(encoder(seen, everything), visible)
    with torch.no_grad():
        goal = target(patches, everything)
        goal = F.layer_norm(goal, goal.shape[-1:])
    return F.l1_loss(predictor(features, visible, hidden), take(goal, hidden))


@torch.no_grad()
def only_the_first(target, encoder, momentum):
    old, new = next(target.parameters()), next(encoder.parameters())
    old.lerp_(new, 1 - momentum)


# Right answers in other styles.


def with_means_by_hand(encoder, predictor, target, patches, visible, hidden):
    guess = predictor(encoder(patches, visible), visible, hidden)
    everything = torch.arange(patches.shape[1]).repeat(len(patches), 1)
    goal = target(patches, everything).detach().double()
    goal = goal - goal.mean(-1, keepdim=True)
    goal = goal / (goal.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    rows = [row[index] for row, index in zip(goal, hidden, strict=True)]
    return (guess - torch.stack(rows)).abs().mean()


def follow_by_state(target, encoder, momentum):
    new = encoder.state_dict()
    mixed = {k: momentum * v + (1 - momentum) * new[k] for k, v in target.state_dict().items()}
    target.load_state_dict(mixed)


def follow_by_data(target, encoder, momentum):
    for (_, old), (_, new) in zip(
        target.named_parameters(), encoder.named_parameters(), strict=True
    ):
        old.data.mul_(momentum).add_(new.data * (1 - momentum))


WRONG += [
    ("zeroed_patches", (zeroed_patches, follow), "an encoder that is given zeros"),
    ("only_the_first", (_wrong(), only_the_first), "not only the first"),
    ("guess_normalized", (_wrong(guess_normalized=True), follow), "compare the guess as it is"),
    ("features_normalized", (_wrong(features_normalized=True), follow), "only the target's are"),
]
RIGHT = [
    ("with_means_by_hand", (with_means_by_hand, follow_by_state)),
    ("follow_by_data", (with_means_by_hand, follow_by_data)),
]
