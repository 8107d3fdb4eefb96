"""Evaluate a system: fidelity, controllability, utility and cost, beside baselines, on one card."""

from wmlearn.evaluation.card import EvaluationCard, Row, Section
from wmlearn.evaluation.command import add_arguments, run
from wmlearn.evaluation.cost import measure_cost
from wmlearn.evaluation.evaluator import evaluate
from wmlearn.evaluation.judge import Case, Judge, Verdict
from wmlearn.evaluation.rollout import rollout
from wmlearn.evaluation.utility import play_episodes, rank_correlation
from wmlearn.metrics import Estimate, frechet_distance, mean_estimate, psnr, ssim

__all__ = [
    "Case",
    "Estimate",
    "EvaluationCard",
    "Judge",
    "Row",
    "Section",
    "Verdict",
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
