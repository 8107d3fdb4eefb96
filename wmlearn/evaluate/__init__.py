"""Is this world any good? Fidelity, controllability, utility and cost, on one card."""

from wmlearn.evaluate.card import EvaluationCard
from wmlearn.evaluate.cost import measure_cost
from wmlearn.evaluate.fidelity import frechet_distance, psnr, ssim
from wmlearn.evaluate.rollout import rollout
from wmlearn.evaluate.run import add_arguments, evaluate, run
from wmlearn.evaluate.stats import Estimate, mean_estimate
from wmlearn.evaluate.utility import play_episodes, rank_correlation

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
