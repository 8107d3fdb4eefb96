"""Behavior cloning from videos without actions (Bruce et al. 2024, section 3.3, figure 9).

The video shows play, but not the actions. The world's latent action model infers the latent action
between every two frames; a policy learns to predict it from the frame; a few labeled transitions
map latent actions to real ones. Baselines: the *oracle*, the same network trained on the true
actions of the whole video; the same network trained on the few labeled frames alone; a policy that
ignores the frame; and random play.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore
from wmlearn.evaluation.utility import play_episodes
from wmlearn.metrics import Estimate, mean_estimate


class FrameClassifier(nn.Module):
    """Names the action from one frame: four strided convolutions.

    Args:
        classes: number of actions.
        size: H = W of a frame, a multiple of 16.
        channels: C of a frame.
    """

    def __init__(self, classes: int, size: int = 64, channels: int = 3) -> None:
        super().__init__()
        widths = (channels, 16, 32, 32, 32)
        layers: list[nn.Module] = []
        for before, after in zip(widths, widths[1:], strict=False):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(32 * (size // 16) ** 2, classes)
        )

    def forward(self, frames: Tensor) -> Tensor:
        """uint8 ``[B, C, H, W]`` -> logits ``[B, classes]``."""
        return self.layers(frames.float() / 127.5 - 1)


def train_classifier(
    frames: Tensor, labels: Tensor, classes: int, steps: int = 400, seed: int = 0
) -> FrameClassifier:
    """Trains a :class:`FrameClassifier` on frames uint8 ``[N, C, H, W]``, labels int64 ``[N]``."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = FrameClassifier(classes, frames.shape[-1], frames.shape[1])
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(steps):
        rows = torch.randint(len(frames), (64,), generator=generator)
        loss = F.cross_entropy(network(frames[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


class _Blind(nn.Module):
    """The probabilities of some labels, whatever the frame."""

    def __init__(self, labels: Tensor, classes: int) -> None:
        super().__init__()
        counts = torch.bincount(labels, minlength=classes).float()
        self.register_buffer("logits", (counts / counts.sum()).log())

    def forward(self, frames: Tensor) -> Tensor:
        return self.logits.expand(len(frames), -1)


class ClonedPolicy:
    """Samples what the network names; through a map where it names codes.

    Args:
        network: frame -> logits.
        probabilities: float ``[codes, actions]``, of the actions for each latent action; none
            for an oracle.
        seed: of the draws.
    """

    def __init__(
        self, network: nn.Module, probabilities: Tensor | None = None, seed: int = 0
    ) -> None:
        self.network, self.probabilities = network, probabilities
        self.generator = torch.Generator().manual_seed(seed)

    def reset(self, batch: int) -> None:
        pass

    @torch.inference_mode()
    def act(self, frames: Tensor) -> Tensor:
        """uint8 ``[B, C, H, W]`` -> int64 ``[B]``."""
        probabilities = self.network(frames).softmax(-1)
        if self.probabilities is not None:
            probabilities = probabilities @ self.probabilities
        return torch.multinomial(probabilities, 1, generator=self.generator)[:, 0]


def action_probabilities(
    codes: Tensor, actions: Tensor, num_codes: int, num_actions: int
) -> Tensor:
    """From labeled transitions: the probability of each action, given the latent action.

    Args:
        codes, actions: int64 ``[n]``, the few labeled ones.

    Returns:
        float ``[codes, actions]``; a code that was not seen takes the probabilities of all of them.
    """
    table = torch.zeros(num_codes, num_actions)
    table.index_put_((codes, actions), torch.ones(len(codes)), accumulate=True)
    unseen = table.sum(1, keepdim=True) == 0
    table = torch.where(unseen, table.sum(0, keepdim=True), table)
    return table / table.sum(1, keepdim=True)


@dataclass(frozen=True)
class CloningReport:
    """Mean returns in the real environment.

    Attributes:
        labeled: number of transitions with their true action.
        cloned, oracle, random: returns, with intervals over episodes.
        labels_only: of the same network, trained on the labeled transitions and nothing else.
        blind: of sampling actions with the labeled transitions' frequencies, ignoring the frame.
        share: of the oracle's gap over random that the cloned policy closes; 1 is all of it.
    """

    labeled: int
    cloned: Estimate
    oracle: Estimate
    labels_only: Estimate
    blind: Estimate
    random: Estimate
    share: float


def clone_from_video(
    world,
    video: EpisodeStore,
    labeled: int = 200,
    episodes: int = 100,
    steps: int = 400,
    seed: int = 0,
    first_level: int = 10_000,
) -> CloningReport:
    """Learns to play from a video, and plays.

    Args:
        world: has ``infer_actions`` and a Discrete ``action_space``.
        video: recorded play; its actions are used only for ``labeled`` transitions, and by the
            oracle.
        labeled: how many.
        episodes: played by each policy, on levels that are not in the video.
        steps: of training, for both networks.
        seed: of the choice of labeled transitions, of networks and draws.
        first_level: seed of the first level that is played.
    """
    frames, codes, actions = [], [], []
    for number in range(len(video)):
        episode = video[number]
        pictures = torch.from_numpy(np.array(episode.frames))
        frames.append(pictures[:-1])
        codes.append(world.infer_actions(Clip(pictures[None]))[0].cpu())
        actions.append(torch.from_numpy(np.array(episode.actions)))
    frames, codes, actions = torch.cat(frames), torch.cat(codes), torch.cat(actions)
    num_codes, num_actions = int(world.action_space.n), int(video.action_space.n)
    told = torch.randperm(len(codes), generator=torch.Generator().manual_seed(seed))[:labeled]
    probabilities = action_probabilities(codes[told], actions[told], num_codes, num_actions)
    policies = {
        "cloned": ClonedPolicy(
            train_classifier(frames, codes, num_codes, steps, seed), probabilities, seed
        ),
        "oracle": ClonedPolicy(
            train_classifier(frames, actions, num_actions, steps, seed), seed=seed
        ),
        "labels_only": ClonedPolicy(
            train_classifier(frames[told], actions[told], num_actions, steps, seed), seed=seed
        ),
        "blind": ClonedPolicy(_Blind(actions[told], num_actions), seed=seed),
        "random": "random",
    }
    options = {"size": video.frame_shape[-1], **video.info.get("env_kwargs", {})}
    returns = {
        name: mean_estimate(
            play_episodes(policy, video.info["env"], episodes, first_level, **options)
        )
        for name, policy in policies.items()
    }
    gap = returns["oracle"].value - returns["random"].value
    share = (returns["cloned"].value - returns["random"].value) / gap if gap else float("nan")
    return CloningReport(labeled=len(told), share=share, **returns)
