"""Quantizers: straight-through gradients, FSQ against its reference, honest measures of usage."""

from __future__ import annotations

import pytest
import torch

from wmlearn.metrics import code_counts, fraction_used, perplexity
from wmlearn.nn.quantize import FSQ, VectorQuantizer, first_largest


def test_usage_of_an_even_and_of_a_collapsed_codebook():
    even = code_counts(torch.arange(64) % 8, 8)
    assert perplexity(even).item() == pytest.approx(8) and fraction_used(even) == 1
    collapsed = code_counts(torch.full((64,), 3), 8)
    assert perplexity(collapsed).item() == pytest.approx(1) and fraction_used(collapsed) == 1 / 8
    half = code_counts(torch.tensor([0, 0, 5, 5]), 8)
    assert perplexity(half).item() == pytest.approx(2) and fraction_used(half) == 2 / 8


def test_a_collapsed_quantizer_reports_it_and_revive_mends_it():
    torch.manual_seed(0)
    quantizer = VectorQuantizer(8, 4)
    x = torch.nn.functional.normalize(torch.randn(4096, 4), dim=-1)
    with torch.no_grad():  # all codes but one look away from the data's every vector
        quantizer.codebook.copy_(torch.tensor([[1.0, 0, 0, 0]]).repeat(8, 1))
    counts = code_counts(quantizer(x).codes, 8)
    assert perplexity(counts).item() == pytest.approx(1)
    for step in range(8):
        counts = code_counts(quantizer(x).codes, 8)
        quantizer.revive(counts, torch.Generator().manual_seed(step), spread=1.0)
    counts = code_counts(quantizer(x).codes, 8)
    assert perplexity(counts) > 4 and fraction_used(counts) == 1


def test_revive_leaves_living_codes_alone_and_is_the_same_for_the_same_generator():
    quantizer = VectorQuantizer(4, 3)
    before = quantizer.codebook.detach().clone()
    quantizer.revive(torch.tensor([5.0, 5.0, 5.0, 5.0]), torch.Generator().manual_seed(0))
    assert torch.equal(before, quantizer.codebook)
    moved = []
    for _ in range(2):
        with torch.no_grad():
            quantizer.codebook.copy_(before)
        quantizer.usage.fill_(0.25)
        for _ in range(6):
            quantizer.revive(torch.tensor([9.0, 1, 1, 0]), torch.Generator().manual_seed(1))
        moved.append(quantizer.codebook.detach().clone())
    assert torch.equal(*moved)
    assert torch.equal(moved[0][:3], before[:3]) and not torch.equal(moved[0][3], before[3])


def test_vq_takes_the_nearest_code_and_passes_gradients_straight():
    torch.manual_seed(0)
    quantizer = VectorQuantizer(16, 8)
    x = torch.randn(5, 3, 8, requires_grad=True)
    quantized = quantizer(x)
    unit = torch.nn.functional.normalize(x, dim=-1)
    codes = torch.cdist(unit.flatten(0, 1), quantizer.vectors(torch.arange(16))).argmin(-1)
    assert torch.equal(quantized.codes.flatten(), codes)
    assert torch.allclose(quantized.vectors, quantizer.vectors(quantized.codes), atol=1e-6)
    weight = torch.randn(5, 3, 8)
    (through,) = torch.autograd.grad((quantized.vectors * weight).sum(), x, retain_graph=True)
    (straight,) = torch.autograd.grad((unit * weight).sum(), x)
    assert torch.allclose(through, straight, atol=1e-6)
    quantized.loss.backward()
    assert quantizer.codebook.grad.abs().sum() > 0


@pytest.mark.parametrize("levels", [(8, 5, 5, 5), (4, 4, 3), (7,)])
def test_fsq_gives_every_code_once_and_back(levels):
    quantizer = FSQ(levels)
    codes = torch.arange(quantizer.num_codes)
    vectors = quantizer.vectors(codes)
    assert vectors.abs().max() <= 1 and len(vectors.unique(dim=0)) == quantizer.num_codes
    wide = torch.linspace(-4, 4, 2001)[:, None].expand(-1, len(levels))
    found = quantizer(wide).vectors
    for column, count in enumerate(levels):  # each coordinate takes exactly its levels
        assert len(found[:, column].unique()) == count
    quantized = quantizer(torch.randn(100, len(levels)))
    assert torch.allclose(quantizer.vectors(quantized.codes), quantized.vectors, atol=1e-6)
    assert quantized.loss == 0


def test_fsq_equals_its_reference():
    reference = pytest.importorskip("vector_quantize_pytorch").FSQ([8, 5, 5, 5])
    quantizer, x = FSQ((8, 5, 5, 5)), 3 * torch.randn(2, 50, 4)
    vectors, codes = reference(x)
    mine = quantizer(x)
    assert torch.equal(mine.codes, codes.long())
    assert torch.allclose(mine.vectors, vectors, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(5, 1024), (2, 3, 32), (7, 33)])
def test_the_first_of_the_largest_is_found_block_by_block(shape, dtype):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator).to(torch.bfloat16).to(dtype)
    x[0] = 1  # all equal: the first
    assert torch.equal(first_largest(x), x.argmax(-1))
    close = torch.zeros(64, dtype=torch.float64)
    close[3], close[40] = 1, 1 + 1e-12  # told apart in their own precision
    assert first_largest(close) == 40
