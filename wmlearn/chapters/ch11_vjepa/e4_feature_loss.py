"""Exercise 11.4: repair the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from wmlearn.teach.answers import Answer, Net, Reply
from wmlearn.teach.checks import Hint, close, exercise, normal, require, seeded, tensor

BATCH, TOKENS, NUMBERS, DIM = 2, 9, 5, 4


@exercise("11.4", "repair the loss")
def feature_loss(loss: Answer, follow: Answer, *, seed: int = 0) -> Iterator[str]:
    """``loss(encoder, predictor, target, patches, visible, hidden)``; ``follow(target, encoder,
    momentum)`` changes the target in place."""
    draw = seeded(seed)
    encoder, target = (_parameters(draw) for _ in range(2))
    patches = normal(draw, BATCH, TOKENS, NUMBERS)
    order = torch.stack([torch.randperm(TOKENS, generator=draw) for _ in range(BATCH)])
    visible, hidden = order[:, :4], order[:, 4:]
    everything = torch.arange(TOKENS).expand(BATCH, -1)
    asked: list[tuple[Tensor, Tensor, Tensor]] = []
    scale = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)  # the predictor's own

    def run(predict: Callable, clip: Tensor = patches, pull: float | None = None) -> Reply:
        def predictor(features: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
            asked.append((features.detach(), visible, hidden))
            return predict(features, hidden)

        asked.clear()
        nets = Net(encoder, _features), Net(target, _features)
        reply = loss.ask(nets[0], predictor, nets[1], clip, visible, hidden, pull=pull)
        value = reply.value
        require(value is not None, "the loss is None: is a `return` missing?")
        require(
            not isinstance(value, Tensor) or value.ndim == 0,
            "the loss should be one number, shape [].",
        )
        require(len(asked) == 1, f"the predictor was called {len(asked)} times; once is enough.")
        return reply

    def number(predict: Callable) -> Tensor:
        return tensor(run(predict).value, (), "the loss")

    def mean_guess(features: Tensor, hidden: Tensor) -> Tensor:
        return scale * features.mean(1, keepdim=True).expand(-1, hidden.shape[1], -1)

    run(mean_guess)
    first = asked[0][0]
    other = patches.clone()
    other.scatter_(1, hidden[..., None].expand(-1, -1, NUMBERS), 9.0)
    run(mean_guess, other)
    require(
        close(first, asked[0][0]),
        "the mask leaks: the predictor's input changes when hidden tubelets change. Give the "
        "encoder only the visible ones, `encoder(patches, visible)`; to cut them out afterwards "
        "is too late, they have been looked at.",
    )
    require(
        first.shape == (BATCH, 4, DIM) and torch.equal(asked[0][1], visible),
        "the predictor should get the features of the visible tubelets, and their numbers.",
    )
    sees = _features(encoder, patches, visible)
    require(
        not close(first, F.layer_norm(sees, (DIM,))),
        "the encoder's features are layer-normed before the predictor gets them; only the target's "
        "are.",
    )
    require(
        close(first, sees),
        "the predictor's input is not `encoder(patches, visible)`: an encoder that is given zeros "
        "in place of the hidden tubelets sees that many tokens more.",
    )
    require(
        torch.equal(asked[0][2], hidden),
        "the loss is over the wrong tokens: the predictor should be asked for the hidden "
        "tubelets, since what is visible can be copied.",
    )
    yield "the encoder sees the visible part, the predictor is asked for the hidden one"

    raw = _take(_features(target, patches, everything), hidden)
    alone = F.layer_norm(_features(target, patches, hidden), (DIM,))
    goal = F.layer_norm(raw, (DIM,))
    silent = number(lambda features, hidden: torch.zeros(BATCH, 5, DIM))
    best = number(lambda features, hidden: goal)
    loud = number(lambda features, hidden: 2 * goal + 1)
    tamed = F.layer_norm(2 * goal + 1, (DIM,))
    require(
        not close(loud, (tamed - goal).abs().mean(), 1e-5),
        "the predictor's guess is layer-normed, so one that is twice as large counts as perfect: "
        "only the target is normalized; compare the guess as it is.",
    )
    if best.abs() > 1e-5:
        require(
            number(lambda f, h: alone).abs() > 1e-5,
            "the target network sees the hidden part alone; it should see the whole clip, so that "
            "its features know what is around them.",
        )
        require(
            number(lambda f, h: raw).abs() > 1e-5,
            "the target is not normalized: layer-norm its features over the channels, or they can "
            "shrink to make the task easy.",
        )
        mine = F.layer_norm(_features(encoder, patches, everything), (DIM,))
        require(
            number(lambda f, h: _take(mine, hidden)).abs() > 1e-5,
            "the target comes from the encoder itself; it should come from the target network, "
            "the running average.",
        )
        raise Hint(
            f"a predictor that knows the target's features has loss {best:.3g}; it should be 0: "
            "compare with the layer-normed features of the hidden tubelets, in the same order."
        )
    if not close(silent, goal.abs().mean(), 1e-4):
        require(
            not close(silent, goal.square().mean(), 1e-4),
            "that is a squared error; V-JEPA takes the absolute one (L1).",
        )
        raise Hint(
            f"a predictor that always says 0 should have loss {goal.abs().mean():.4f}, the mean "
            f"over tokens and channels; yours is {silent:.4f}."
        )
    require(
        close(loud, (goal + 1).abs().mean(), 1e-4),
        f"a guess of 2 · target + 1 should have loss {(goal + 1).abs().mean():.4f}; yours is "
        f"{loud:.4f}. Compare the guess as it is with the layer-normed target.",
    )
    yield "0 for a perfect guess; the mean L1 distance otherwise"

    reply = run(mean_guess, pull=1.0)
    to_encoder, _, to_target = reply.gradients[:3]
    require(
        getattr(reply.value, "tracked", False),
        "the loss has no gradient at all: only the target should stop it.",
    )
    require(
        not any(g is not None and g.any() for g in to_target.values()),
        "a stop-gradient is missing: the target network gets a gradient, so both can agree on "
        "features that say nothing. Use `torch.no_grad()` or `.detach()`.",
    )
    require(
        all(g is not None and g.any() for g in to_encoder.values()),
        "the encoder gets no gradient: stop it at the target, not at the encoder's features.",
    )
    yield "the gradient reaches the encoder, and stops at the target"

    for momentum in (0.9, 0.75):
        _judge_follow(follow, target, encoder, momentum)
    yield "the target follows slowly"


def _judge_follow(follow: Answer, target: dict, encoder: dict, momentum: float) -> None:
    nets = Net(target, _features), Net(encoder, _features)
    reply = follow.ask(*nets, momentum, writes=(0, 1))
    got, after = reply.arguments[:2]
    old, new = ({k: v.float() for k, v in net.items()} for net in (target, encoder))
    require(
        all(torch.equal(after[name], new[name]) for name in new),
        "follow changed the encoder: only the target follows.",
    )
    same = [name for name in old if torch.equal(got[name], old[name])]
    require(len(same) < len(old), "follow did not change the target: it works in place.")
    require(
        not same,
        f"follow left the parameter `{same[0] if same else ''}` as it was: every parameter of the "
        "target follows, not only the first.",
    )
    turned = all(close(got[k], (1 - momentum) * old[k] + momentum * new[k], 1e-5) for k in old)
    require(
        not turned,
        "the average is the wrong way round: with momentum 0.9 the target keeps nine tenths of "
        "itself and takes one tenth of the encoder.",
    )
    require(
        all(close(got[k], momentum * old[k] + (1 - momentum) * new[k], 1e-5) for k in old),
        "after follow, target = momentum · target + (1 - momentum) · encoder, for each parameter.",
    )


def _parameters(draw: torch.Generator) -> dict[str, Tensor]:
    return {"weight": normal(draw, NUMBERS, DIM), "bias": normal(draw, DIM)}


def _features(parameters: dict[str, Tensor], patches: Tensor, index: Tensor) -> Tensor:
    """Features [B, n, DIM] that depend on all tubelets that are seen, and on how many they are."""
    x = _take(patches, index)
    seen = x.mean(1, keepdim=True) + 0.1 * index.shape[1]
    return torch.tanh((x + seen) @ parameters["weight"] + parameters["bias"])


def _take(x: Tensor, index: Tensor) -> Tensor:
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[-1]))
