"""Our V-JEPA 2 gives the published implementation's numbers (facebookresearch/vjepa2).

``data/vjepa2.safetensors`` holds random weights of the published implementation under its own
parameter names, inputs, and the outputs that it gave in float32 on a CPU. With transformers
installed, its V-JEPA 2 is a second witness.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from places import REFERENCES
from safetensors import safe_open
from safetensors.torch import load_file
from torch.testing import assert_close

from wmlearn.systems.vjepa.config import EncoderConfig, PredictorConfig
from wmlearn.systems.vjepa.encoder import Encoder
from wmlearn.systems.vjepa.predictor import Predictor
from wmlearn.systems.vjepa.published import (
    convert_ac_predictor,
    convert_encoder,
    convert_predictor,
    from_transformers,
    read_weights,
)
from wmlearn.systems.vjepa2_ac.config import ACPredictorConfig
from wmlearn.systems.vjepa2_ac.predictor import ACPredictor

REFERENCE = REFERENCES / "vjepa2.safetensors"
TOLERANCE = dict(rtol=0, atol=1e-4)


@pytest.fixture(scope="module")
def reference():
    return load_file(REFERENCE)


@pytest.fixture(scope="module")
def published():
    """The published configurations, as JSON in the file's metadata."""
    with safe_open(REFERENCE, "pt") as file:
        return {name: json.loads(text) for name, text in file.metadata().items()}


@pytest.fixture(scope="module")
def sizes(published):
    numbers = published["encoder"]
    return EncoderConfig(
        image_size=numbers["img_size"],
        patch_size=numbers["patch_size"],
        frames=numbers["num_frames"],
        tubelet_size=numbers["tubelet_size"],
        dim=numbers["embed_dim"],
        depth=numbers["depth"],
        heads=numbers["num_heads"],
        mlp_ratio=numbers["mlp_ratio"],
    )


@pytest.fixture(scope="module")
def encoder(reference, sizes):
    model = Encoder(sizes)
    model.load_state_dict(convert_encoder(reference))
    return model.eval()


@pytest.fixture(scope="module")
def predictor(reference, published, sizes):
    numbers = published["predictor"]
    config = PredictorConfig(
        dim=numbers["predictor_embed_dim"],
        depth=numbers["depth"],
        heads=numbers["num_heads"],
        mask_tokens=numbers["num_mask_tokens"],
    )
    model = Predictor(config, sizes)
    model.load_state_dict(convert_predictor(reference))
    return model.eval()


def test_encoder_of_the_whole_clip(encoder, reference):
    video = reference["in.video"].transpose(1, 2)
    assert_close(encoder(video), reference["out.encoder_full"], **TOLERANCE)


def test_encoder_of_the_visible_part(encoder, reference):
    video = reference["in.video"].transpose(1, 2)
    features = encoder(video, reference["in.context_index"])
    assert_close(features, reference["out.encoder_context"], **TOLERANCE)


def test_predictor(predictor, reference):
    features = reference["out.encoder_context"]
    visible, hidden = reference["in.context_index"], reference["in.target_index"]
    guess = predictor(features, visible, hidden)
    assert_close(guess, reference["out.predictor"], **TOLERANCE)


def test_action_conditioned_predictor(reference, published):
    numbers = published["ac_predictor"]
    config = ACPredictorConfig(
        feature_dim=numbers["embed_dim"],
        grid_side=numbers["img_size"][0] // numbers["patch_size"],
        frames=numbers["num_frames"] // numbers["tubelet_size"],
        action_dim=numbers["action_embed_dim"],
        state_dim=numbers["action_embed_dim"],
        dim=numbers["predictor_embed_dim"],
        depth=numbers["depth"],
        heads=numbers["num_heads"],
    )
    model = ACPredictor(config)
    model.load_state_dict(convert_ac_predictor(reference))
    output = model(*(reference[f"ac.{name}"] for name in ("features", "actions", "states")))
    assert_close(output, reference["ac.out"], **TOLERANCE)


def test_the_released_files_layout(encoder, reference, sizes, tmp_path):
    """The .pt files nest their parts and wrap their names; other objects in them are not run."""
    nested = {"encoder": {}, "predictor": {}, "epoch": 3, "scaler": None}
    for name, value in reference.items():
        part, _, rest = name.partition(".")
        if part in ("encoder", "predictor"):
            nested[part][f"module.backbone.{rest}"] = value
    torch.save(nested, tmp_path / "vitl.pt")
    model = Encoder(sizes)
    model.load_state_dict(convert_encoder(read_weights(tmp_path / "vitl.pt")))
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


def test_code_in_a_file_is_refused(tmp_path):
    torch.save({"encoder": Path("anything")}, tmp_path / "evil.pt")
    with pytest.raises(ValueError, match="cannot be read as plain weights"):
        read_weights(tmp_path / "evil.pt")
    torch.save({"weights": torch.ones(1)}, tmp_path / "foreign.pt")
    with pytest.raises(ValueError, match="none of the parts"):
        read_weights(tmp_path / "foreign.pt")


def test_transformers_model(sizes):
    transformers = pytest.importorskip("transformers")
    config = transformers.VJEPA2Config(
        patch_size=sizes.patch_size,
        crop_size=sizes.image_size,
        frames_per_clip=sizes.frames,
        tubelet_size=sizes.tubelet_size,
        hidden_size=sizes.dim,
        num_attention_heads=sizes.heads,
        num_hidden_layers=sizes.depth,
        pred_hidden_size=36,
        pred_num_attention_heads=3,
        pred_num_hidden_layers=2,
        pred_num_mask_tokens=3,
        pred_zero_init_mask_tokens=False,
    )
    torch.manual_seed(0)
    theirs = transformers.VJEPA2Model(config).eval()
    weights = from_transformers(theirs.state_dict())
    encoder = Encoder(sizes)
    encoder.load_state_dict(convert_encoder(weights))
    predictor = Predictor(PredictorConfig(dim=36, depth=2, heads=3, mask_tokens=3), sizes)
    predictor.load_state_dict(convert_predictor(weights))

    video = torch.randn(2, sizes.frames, 3, sizes.image_size, sizes.image_size)
    order = torch.rand(2, sizes.tokens).argsort(1)
    visible, hidden = order[:, :20].sort(1).values, order[:, 20:].sort(1).values
    with torch.no_grad():
        output = theirs(pixel_values_videos=video, context_mask=[visible], target_mask=[hidden])
        features = encoder(video)
        assert_close(features, output.last_hidden_state, **TOLERANCE)
        seen = features.gather(1, visible[..., None].expand(-1, -1, sizes.dim))
        guess = predictor(seen, visible, hidden, kind=1)
    assert_close(guess, output.predictor_output.last_hidden_state, **TOLERANCE)
