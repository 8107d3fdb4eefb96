"""Behavior cloning from video: the map from few labels, and a policy that reads the frame."""

from __future__ import annotations

import torch

from wmlearn.chapters.ch09_genie.latent_cloning import (
    ClonedPolicy,
    action_probabilities,
    train_classifier,
)
from wmlearn.data.shipped import find_clips, unpack


def test_labels_give_each_code_its_button_and_unseen_codes_the_average():
    codes, actions = torch.tensor([3, 3, 3, 1]), torch.tensor([2, 2, 0, 1])
    probabilities = action_probabilities(codes, actions, num_codes=5, num_actions=3)
    assert torch.allclose(probabilities[3], torch.tensor([1 / 3, 0, 2 / 3]))
    assert torch.allclose(probabilities[1], torch.tensor([0.0, 1, 0]))
    assert torch.allclose(probabilities[0], torch.tensor([1 / 4, 1 / 4, 1 / 2]))
    assert torch.allclose(probabilities.sum(1), torch.ones(5))


def test_a_policy_learns_codes_from_frames_and_presses_their_buttons():
    torch.manual_seed(0)
    codes = torch.randint(2, (200,))
    frames = torch.randint(0, 60, (200, 3, 16, 16), dtype=torch.uint8)
    frames[codes == 1, :, :, 8:] += 150  # what code 1 looks like
    network = train_classifier(frames, codes, 2, steps=80)
    probabilities = action_probabilities(torch.tensor([0, 1]), torch.tensor([4, 2]), 2, 5)
    pressed = ClonedPolicy(network, probabilities).act(frames)
    assert (pressed == torch.tensor([4, 2])[codes]).float().mean() > 0.95
    again = ClonedPolicy(network, probabilities).act(frames)
    assert torch.equal(pressed, again)


def test_the_video_to_clone_from_is_of_a_player_who_wins(tmp_path):
    video = unpack(find_clips("procgen/coinrun", "ppo", 6000, 64), tmp_path / "play")
    won = [float(video[i].rewards.sum()) > 0 for i in range(len(video) - 1)]  # the last one is cut
    assert video.num_frames >= 5999 and sum(won) / len(won) > 0.7
