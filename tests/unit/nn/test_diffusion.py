"""The diffusion toolkit: identities in float64, and the numbers of diffusers and torchcfm.

``data/samplers.safetensors`` holds what ``EDMEulerScheduler``, ``FlowMatchEulerDiscreteScheduler``
and ``DDIMScheduler`` (diffusers, Apache-2.0) and torchcfm (MIT) gave for denoisers that are
formulas; no weights.
"""

from __future__ import annotations

import json
import math

import pytest
import torch
from places import REFERENCES
from safetensors import safe_open
from safetensors.torch import load_file
from torch.testing import assert_close

from wmlearn.nn.diffusion import (
    EDM,
    Cosine,
    DiscreteVP,
    EpsilonPrediction,
    FlowPrediction,
    LogitNormal,
    LogNormal,
    RectifiedFlow,
    Uniform,
    VarianceExploding,
    VPrediction,
    XPrediction,
    expand_to,
    guided,
    karras_schedule,
    linear_schedule,
    min_snr_weight,
    output_weight,
    ramp_weight,
    sample,
    scaled_linear,
    shifted,
    step,
    zero_terminal_snr,
)

REFERENCE = REFERENCES / "samplers.safetensors"
EXACT = dict(rtol=0, atol=2e-15)
TOLERANCE = dict(rtol=1e-5, atol=1e-5)
F64 = torch.float64

PATHS = {"EDM": VarianceExploding(), "flow": RectifiedFlow(), "cosine": Cosine()}
PREDICTIONS = {
    "x": XPrediction(Cosine()),
    "eps": EpsilonPrediction(Cosine()),
    "eps, exploding": EpsilonPrediction(VarianceExploding()),
    "v": VPrediction(Cosine()),
    "flow": FlowPrediction(),
    "x on a flow": XPrediction(RectifiedFlow()),
    "EDM": EDM(sigma_data=0.4),
}


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


@pytest.fixture(scope="module")
def reference():
    return load_file(REFERENCE)


@pytest.fixture(scope="module")
def numbers():
    with safe_open(REFERENCE, "pt") as file:
        return json.loads(file.metadata()["config"])


# --- identities in float64 ------------------------------------------------------------------------


@pytest.fixture
def pair():
    """z, x_hat ``[4, 3, 2]``, and two levels ``[4]``, the second one lower."""
    level = torch.tensor([0.9, 0.6, 0.35, 0.1], dtype=F64)
    return draw(4, 3, 2), draw(4, 3, 2, seed=1), level, level * 0.7


def test_the_line_is_edm_s_euler_step(pair):
    z, x_hat, level, lower = pair
    s, t = (each.view(-1, 1, 1) for each in (level, lower))
    euler = z + (t - s) * (z - x_hat) / s  # dz / dsigma = (z - D) / sigma
    assert_close(step(VarianceExploding(), z, x_hat, level, lower), euler, **EXACT)


def test_the_line_is_rectified_flow_s_euler_step(pair):
    z, x_hat, level, lower = pair
    s, t = (each.view(-1, 1, 1) for each in (level, lower))
    velocity = (z - x_hat) / s
    euler = z + (t - s) * velocity
    assert_close(step(RectifiedFlow(), z, x_hat, level, lower), euler, **EXACT)


def test_the_line_is_ddim_with_v_prediction(pair):
    z, v, level, lower = pair
    angle, lower_angle = ((each * math.pi / 2).view(-1, 1, 1) for each in (level, lower))
    # Salimans & Ho 2022, appendix D: a step turns z in the plane of x and eps.
    turned = (angle - lower_angle).cos() * z - (angle - lower_angle).sin() * v
    x_hat = VPrediction(Cosine()).x_hat(v, z, level)
    assert_close(step(Cosine(), z, x_hat, level, lower), turned, **EXACT)


def test_edm_and_rectified_flow_are_one_process(pair):
    z, x_hat, sigma, lower = pair
    t, s = sigma / (1 + sigma), lower / (1 + lower)
    scaled = z / expand_to(1 + sigma, z)
    flow = step(RectifiedFlow(), scaled, x_hat, t, s) * expand_to(1 + lower, z)
    assert_close(flow, step(VarianceExploding(), z, x_hat, sigma, lower), **EXACT)


@pytest.mark.parametrize("name", PREDICTIONS)
@pytest.mark.parametrize("shape", [(4,), (4, 3)])
def test_a_network_that_hits_its_target_knows_the_clean_sample(name, shape):
    """Also with a noise level for each frame."""
    prediction, x, eps = PREDICTIONS[name], draw(4, 3, 2), draw(4, 3, 2, seed=1)
    level = 0.05 + 0.9 * torch.special.ndtr(draw(*shape, seed=2))
    z = prediction.path.mix(x, eps, level)
    target = prediction.target(x, eps, level)
    assert_close(prediction.x_hat(target, z, level), x, rtol=0, atol=1e-13)


def test_levels_of_frames_do_not_mix(pair):
    z, x_hat, level, lower = (torch.stack([part, part], 1) for part in pair)
    whole = step(Cosine(), z, x_hat, level, lower)
    lower[:, 1] = level[:, 1]  # the second frame stays where it is
    kept = step(Cosine(), z, x_hat, level, lower)
    assert_close(kept[:, 0], whole[:, 0], **EXACT)
    assert_close(kept[:, 1], z[:, 1], **EXACT)
    level[:, 1] = lower[:, 1] = 0  # clean frames stay clean
    assert_close(step(Cosine(), z, z, level, lower)[:, 1], z[:, 1], **EXACT)


@pytest.mark.parametrize("name", PATHS)
def test_one_step_to_zero_is_the_estimate_and_the_path_s_ends_are_right(name):
    path, x, eps = PATHS[name], draw(2, 5), draw(2, 5, seed=1)
    zero, one = torch.zeros(2, dtype=F64), torch.ones(2, dtype=F64)
    assert_close(path.mix(x, eps, zero), x, **EXACT)
    assert_close(step(path, eps, x, one, zero), x, **EXACT)
    if name != "EDM":
        assert_close(path.mix(x, eps, one), eps, **EXACT)


def test_the_exact_denoiser_of_a_normal_carries_noise_to_data():
    """Data N(mean, std^2): the ODE shrinks what is around the mean; Heun needs fewer steps."""
    mean, std, z = 0.4, 0.25, 5 * draw(5, 1)

    def denoise(z, sigma):
        sigma = sigma[0]
        return (std**2 * z + sigma**2 * mean) / (std**2 + sigma**2)

    exact = mean + (z - mean) * std / (std**2 + 25) ** 0.5
    path = VarianceExploding()
    levels = {n: karras_schedule(n, low=0.01, high=5.0).double() for n in (40, 400)}
    errors = {
        (n, order): (sample(denoise, path, z, levels[n], order) - exact).abs().max()
        for n, order in ((40, 1), (400, 1), (40, 2))
    }
    assert errors[400, 1] < 0.01
    assert errors[40, 2] < 0.15 * errors[40, 1]


def test_a_schedule_for_each_frame():
    levels = torch.tensor([[1.0, 0.4], [0.5, 0.4], [0.0, 0.0]], dtype=F64)  # [N + 1, T]
    seen = []

    def denoise(z, level):
        seen.append(level)
        return z.tanh()

    z = draw(3, 2, 4)
    both = sample(denoise, RectifiedFlow(), z, levels)
    assert [tuple(level.shape) for level in seen] == [(3, 2), (3, 2)]
    for frame in (0, 1):
        alone = sample(denoise, RectifiedFlow(), z[:, frame], levels[:, frame])
        assert_close(both[:, frame], alone, **EXACT)


def test_guidance_moves_away_from_the_unconditional_and_is_the_same_for_every_prediction():
    z, level = draw(3, 4), torch.tensor([0.3, 0.5, 0.8], dtype=F64)
    outputs = draw(6, 4, seed=3)
    prediction = VPrediction(Cosine())

    def denoise(z, level):
        return prediction.x_hat(outputs, z, level)

    mixed = outputs[3:] + 2.5 * (outputs[:3] - outputs[3:])
    wanted = prediction.x_hat(mixed, z, level)
    assert_close(guided(denoise, 2.5)(z, level), wanted, rtol=0, atol=1e-14)
    assert_close(guided(denoise, 0.0)(z, level), prediction.x_hat(outputs[3:], z, level))


# --- variances and odds, by Monte Carlo -----------------------------------------------------------


def test_edm_s_input_and_target_have_unit_variance():
    prediction, x, eps = EDM(sigma_data=0.3), 0.3 * draw(1, 200_000), draw(1, 200_000, seed=1)
    for sigma in (0.01, 0.3, 10.0):
        level = torch.tensor([sigma], dtype=F64)
        z = prediction.path.mix(x, eps, level)
        assert_close((prediction.c_in(level) * z).var().item(), 1.0, rtol=0.02, atol=0)
        target = prediction.target(x, eps, level)
        assert_close(target.var().item(), 1.0, rtol=0.02, atol=0)
        c_skip, c_out = prediction.coefficients(level)
        assert_close(c_skip, 0.09 / (0.09 + level**2))
        assert_close(c_out, level * 0.3 / (0.09 + level**2).sqrt())
        assert_close((x - c_skip * z) / c_out, target)
        # c_skip z is the best linear guess of x: what is left has nothing to do with z.
        assert abs(float((target * c_skip * z).mean() / (c_skip * z).std())) < 0.01


def test_levels_in_training_have_their_distributions():
    normal = draw(100_000)
    log = LogNormal(-0.4, 1.2, 2e-3, 20.0)(normal)
    assert log.min() >= 2e-3 and log.max() <= 20
    assert_close(log.log().mean().item(), -0.4, rtol=0, atol=0.02)
    assert_close(log.log().std().item(), 1.2, rtol=0, atol=0.02)
    logit = LogitNormal(-0.5, 0.8)(normal).logit()
    assert_close(logit.mean().item(), -0.5, rtol=0, atol=0.02)
    even = Uniform(0.2, 0.6)(normal)
    assert_close(torch.quantile(even, 0.25).item(), 0.3, rtol=0, atol=0.01)


def test_weights_turn_one_loss_into_another():
    """The error of x_hat, weighed by 1 / c_out^2, is the error of the network's output."""
    level = torch.tensor([0.02, 0.4, 0.9], dtype=F64)
    prediction = FlowPrediction()
    z, output, target = draw(3, 5), draw(3, 5, seed=1), draw(3, 5, seed=2)
    errors = prediction.x_hat(output, z, level) - prediction.x_hat(target, z, level)
    weight = output_weight(prediction, level)
    assert_close(weight, level**-2)
    assert_close(weight[:, None] * errors**2, (output - target) ** 2)
    assert output_weight(prediction, level, least=0.05)[0] == pytest.approx(400)
    assert_close(min_snr_weight(prediction.path, level, 5.0)[0].item(), 5.0)
    assert_close(min_snr_weight(prediction.path, level)[2].item(), (0.1 / 0.9) ** 2)
    assert_close(ramp_weight(torch.tensor([0.0, 1.0])), torch.tensor([1.0, 0.1]))


# --- the published schedulers ---------------------------------------------------------------------


def tanh(z, level):
    return z.tanh()


def follow(denoise, path, z, levels):
    """All points on the way, the first included."""
    points = [z]
    for level, lower in zip(levels[:-1], levels[1:], strict=True):
        at, below = level.expand(len(z)), lower.expand(len(z))
        points.append(step(path, points[-1], denoise(points[-1], at), at, below))
    return torch.stack(points)


def test_edm_sampler(reference, numbers):
    config = numbers["edm"]
    levels = karras_schedule(numbers["edm_steps"], config["sigma_min"], config["sigma_max"])
    assert_close(levels, reference["edm.sigmas"], **TOLERANCE)
    edm = EDM(sigma_data=config["sigma_data"])
    assert_close(edm.c_noise(levels[:-1]), reference["edm.timesteps_c_noise"], **TOLERANCE)

    def preconditioned(z, level):
        return edm.x_hat((expand_to(edm.c_in(level), z) * z).tanh(), z, level)

    z = reference["in.noise"] * config["sigma_max"]
    for name, denoise in (("xhat_tanh", tanh), ("precond_tanh", preconditioned)):
        points = follow(denoise, edm.path, z, levels)
        assert_close(points, reference[f"edm.{name}.latents"], **TOLERANCE)
        assert_close(sample(denoise, edm.path, z, levels), points[-1], **TOLERANCE)


@pytest.mark.parametrize("name", ["flow", "flow2", "flow_shift"])
def test_flow_sampler(reference, numbers, name):
    levels = torch.cat([reference[f"{name}.sigmas_in"], torch.zeros(1)])
    if name == "flow":
        assert_close(linear_schedule(18), levels, **TOLERANCE)
    if name == "flow_shift":
        levels = shifted(levels, numbers["shift"])
    assert_close(levels, reference[f"{name}.sigmas"], **TOLERANCE)
    flow = FlowPrediction()

    def denoise(z, level):
        velocity = (z - z.tanh()) / expand_to(level, z)
        return flow.x_hat(velocity, z, level)

    points = follow(denoise, flow.path, reference["in.noise"], levels)
    assert_close(points, reference[f"{name}.latents"], **TOLERANCE)


@pytest.fixture(scope="module")
def table(reference):
    return DiscreteVP(reference["ddim.alphas_cumprod"])


def test_the_table_of_noise(reference, numbers):
    config = numbers["ddim"]
    ours = scaled_linear(config["num_train_timesteps"], config["beta_start"], config["beta_end"])
    assert_close(zero_terminal_snr(ours), reference["ddim.alphas_cumprod"], **TOLERANCE)
    assert zero_terminal_snr(ours)[-1] == 0


def test_v_of_the_table(reference, table):
    x, noise, level = reference["v.in.x0"], reference["v.in.noise"], reference["v.in.timesteps"] + 1
    assert_close(table.mix(x, noise, level), reference["v.out.x_t"], **TOLERANCE)
    v = VPrediction(table).target(x, noise, level)
    assert_close(v, reference["v.out.velocity"], **TOLERANCE)


@pytest.mark.parametrize("num_steps", [4, 10])
def test_ddim_sampler(reference, table, num_steps):
    levels = linear_schedule(num_steps, 1000)
    assert torch.equal(levels[:-1].round().long() - 1, reference[f"ddim{num_steps}.timesteps"])
    prediction = VPrediction(table)

    def from_v(z, level):
        return prediction.x_hat(0.5 * z.tanh(), z, level)

    for name, denoise in (("xhat_tanh", tanh), ("v_tanh", from_v)):
        points = follow(denoise, table, reference["in.noise"], levels)
        assert_close(points, reference[f"ddim{num_steps}.{name}.latents"], **TOLERANCE)


def test_ddim_with_fresh_noise(reference, numbers, table):
    z, levels = reference["in.noise"], linear_schedule(4, 1000)
    points, prediction = [z], VPrediction(table)
    for i, noise in enumerate(reference["ddim_eta.in.variance_noise"]):
        level, lower = levels[i].expand(len(z)), levels[i + 1].expand(len(z))
        x_hat = prediction.x_hat(0.5 * z.tanh(), z, level)
        z = step(table, z, x_hat, level, lower, noise, numbers["ddim_eta"])
        points.append(z)
    assert_close(torch.stack(points), reference["ddim_eta.v_tanh.latents"], **TOLERANCE)


def test_flow_matching(reference):
    """torchcfm counts time the other way round: 1 is data there."""
    x, noise, level = reference["cfm.in.x1"], reference["cfm.in.x0"], 1 - reference["cfm.in.t"]
    z, u = RectifiedFlow().mix(x, noise, level), FlowPrediction().target(x, noise, level)
    assert_close(z, reference["cfm_independent.sigma0.x_t"], **TOLERANCE)
    assert_close(-u, reference["cfm_independent.sigma0.u_t"], **TOLERANCE)
    z = Cosine().mix(x, noise, level)
    assert_close(z, reference["cfm_vp.sigma0.x_t"], **TOLERANCE)
    v = VPrediction(Cosine()).target(x, noise, level)
    assert_close(-math.pi / 2 * v, reference["cfm_vp.sigma0.u_t"], **TOLERANCE)


def test_logit_normal(reference, numbers):
    for i, (loc, scale) in enumerate(numbers["logit"]):
        standard = (reference[f"sd3.in.normal.{i}"] - loc) / scale  # the file has them scaled
        ours = LogitNormal(loc, scale)(standard)
        assert_close(ours, reference[f"sd3.logit_normal_samples.{i}"], **TOLERANCE)
    weight = output_weight(FlowPrediction(), reference["sd3.sigmas"])
    assert_close(weight, reference["sd3.loss_weight.sigma_sqrt"], **TOLERANCE)


@pytest.mark.parametrize("kind", [XPrediction, EpsilonPrediction, VPrediction, FlowPrediction])
def test_at_level_0_the_estimate_is_finite_and_a_step_changes_nothing(kind):
    """Frames of a video that are given have no noise from the first step to the last."""
    prediction = kind(RectifiedFlow())
    z, level = torch.randn(2, 3, 4), torch.zeros(2, 3)
    x_hat = prediction.x_hat(torch.randn(2, 3, 4), z, level)
    assert torch.isfinite(x_hat).all()
    torch.testing.assert_close(step(prediction.path, z, x_hat, level, level), z)
