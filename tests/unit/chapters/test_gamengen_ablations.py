"""Chapter 5's trained comparisons: twins, what is said of them, and the student of one step."""

import json
from dataclasses import replace

import pytest
import torch
from doom_latents import latents
from safetensors.torch import save_file

from wmlearn.chapters.ch05_gamengen.ablations import (
    PLAN,
    Twin,
    config_of,
    dream,
    summary,
    train_twin,
)
from wmlearn.chapters.ch05_gamengen.distill import at_once, distill, facts_of, load_student
from wmlearn.chapters.ch05_gamengen.ship_denoiser import Windows
from wmlearn.systems.gamengen.config import SamplerConfig
from wmlearn.systems.gamengen.denoiser import Denoiser
from wmlearn.systems.gamengen.recipe import SMOKE
from wmlearn.systems.gamengen.system import GameNGen


def test_twins_differ_in_one_thing_and_noise_has_three_seeds():
    usual = Twin()
    for twin in PLAN:
        plain = replace(twin, seed=0)
        same = [getattr(plain, k) == getattr(usual, k) for k in ("context", "noise", "play")]
        assert sum(same) >= 2
    assert {t.seed for t in PLAN if t.noise == 0} == {
        t.seed for t in PLAN if t == Twin(seed=t.seed)
    }
    assert [t.noise for t in PLAN[:2]] == [0.7, 0.0] and PLAN[0].seed == PLAN[1].seed


def test_a_twin_is_trained_and_dreams_beside_the_real_frames():
    data = latents()
    config = replace(SMOKE.denoiser, context_frames=2)
    before = train_twin(config, data, 0, steps=1, batch=4)
    again = train_twin(config, data, 0, steps=1, batch=4)
    after = train_twin(config, data, 0, steps=3, batch=4)
    weights = [torch.cat([p.flatten() for p in d.parameters()]) for d in (before, again, after)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    system = GameNGen(SMOKE).eval()
    past, actions = torch.randn(2, 3, 4, 16, 16), torch.zeros(2, 5).long()
    frames = dream(system, after, past, actions)
    assert frames.shape == (2, 3, 3, SMOKE.image_size, SMOKE.image_size)
    assert torch.equal(dream(system, after, past, actions, at=(1, 3)), frames[:, [0, 2]])
    other = torch.cat([past[:, :1] + 1, past[:, 1:]], 1)  # three are given, it sees two
    assert torch.equal(dream(system, after, other, actions), frames)


def test_the_noise_of_a_twin_is_the_papers():
    made = config_of(Twin(8, 0.0), SMOKE.denoiser)
    assert (made.context_frames, made.context_noise, made.noise_power) == (8, 0.0, 1.0)


def test_differences_are_taken_clip_by_clip_and_seed_by_seed():
    runs = [vars(t) for t in (*PLAN[:4], Twin(seed=2))]  # the last one stands alone
    clips = torch.arange(6.0)[:, None].expand(6, 64)  # clips differ much, the difference does not
    curves = torch.stack([clips + lead for lead in (30, 27, 32, 28, 20)])
    found = summary(runs, curves, clips, torch.tensor([0, 0, 1, 1, 2, 2]))
    noise = found["noise"]
    assert noise["ahead by seed"] == [3.0, 4.0]
    assert noise["first by seed"]["8"] == [32.5, 34.5]
    last = noise["ahead"]["64"]
    assert (last.value, last.low, last.high, last.seeds) == (3.5, 3.5, 3.5, (0, 1))
    assert noise["first"]["64"].value == pytest.approx(31 + 2.5)
    assert found["episodes"] == 3 and len(found["copy curve"]) == 64


def test_a_single_step_is_the_samplers_own():
    torch.manual_seed(0)
    denoiser = Denoiser(SMOKE.denoiser).eval()
    torch.nn.init.normal_(denoiser.unet.conv_out.weight, std=0.1)
    past, noise = torch.randn(2, 2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    actions = torch.tensor([[0, 1], [2, 3]])
    drawn = denoiser.sample(past, actions, lambda *shape: noise, SamplerConfig(1, 1.0))
    assert torch.allclose(at_once(denoiser, noise, past, actions), drawn, atol=1e-5)


def test_the_student_comes_nearer_to_its_teacher():
    torch.manual_seed(0)
    teacher = Denoiser(SMOKE.denoiser)
    torch.nn.init.normal_(teacher.unet.conv_out.weight, std=0.3)
    w = Windows(latents(), 2, generator=torch.Generator().manual_seed(1))
    student, steps = distill(teacher, w, SamplerConfig(4, 1.0), seconds=2.0, batch=8, rate=2e-3)
    assert steps > 3
    past, actions, *_ = w(w.draw(16))
    noise = torch.randn(16, 4, 8, 8)
    with torch.no_grad():
        wanted = teacher.sample(past[:, :-1], actions, lambda *shape: noise, SamplerConfig(4, 1.0))
        errors = [
            (at_once(one, noise, past[:, :-1], actions) - wanted).square().mean().item()
            for one in (teacher, student)
        ]
    assert errors[1] < errors[0]


def test_a_student_is_read_from_its_file_and_the_system_stays_as_it_is(tmp_path):
    system, file = GameNGen(SMOKE), tmp_path / "student.safetensors"
    learned = Denoiser(SMOKE.denoiser)
    torch.nn.init.normal_(learned.unet.conv_out.weight, std=0.1)
    halves = {name: value.half() for name, value in learned.state_dict().items()}
    save_file(halves, file, {"facts": json.dumps({"steps": 7})})
    student, own = load_student(system, file), SMOKE.sampler.num_steps
    weights = student.denoiser.state_dict()
    assert all(torch.equal(v, halves[k].float()) for k, v in weights.items())
    assert not system.denoiser.unet.conv_out.weight.any()
    assert (student.world().sampler.num_steps, system.world().sampler.num_steps) == (1, own)
    assert facts_of(file) == {"steps": 7}
