"""Is this world any good? Fidelity, controllability, utility and cost, on one card."""

from wmlearn.evaluation.card import EvaluationCard
from wmlearn.evaluation.cost import measure_cost
from wmlearn.evaluation.evaluator import add_arguments, evaluate, run
from wmlearn.evaluation.rollout import rollout
from wmlearn.evaluation.utility import play_episodes, rank_correlation
from wmlearn.metrics import Estimate, frechet_distance, mean_estimate, psnr, ssim

__all__ = [
    "Estimate",
    "EvaluationCard",
    "add_arguments",
    "evaluate",
    "frechet_distance",
    "mean_estimate",
    "measure_cost",
    "play_episodes",
    "psnr",
    "rank_correlation",
    "rollout",
    "run",
    "ssim",
]
