"""The text box: a sentence becomes a video; an unknown word is named, and nothing is drawn."""

from __future__ import annotations

import io

import gymnasium
import pytest
from lamp_world import Lamp
from PIL import Image

from wmlearn.player import text_box
from wmlearn.player.textbox import PromptBox, PromptForm, PromptSession
from wmlearn.world import CopyLastFrame


def test_a_sentence_becomes_a_video_and_a_seed_repeats_it():
    one, two = PromptSession(Lamp(), seed=3), PromptSession(Lamp(), seed=3)
    drawn = one.draw("light")
    assert drawn.frames.shape == (5, 4, 6, 3) and drawn.frames.min() >= 200
    assert (two.draw("light").frames == drawn.frames).all()
    assert (one.draw("light").frames != drawn.frames).any(), "again is another one"
    assert one.draw("dark").frames.max() < 40 and drawn.seconds >= 0


def test_a_world_without_words_is_refused():
    with pytest.raises(ValueError, match="CopyLastFrame cannot be told"):
        PromptSession(CopyLastFrame(gymnasium.spaces.Discrete(1), (3, 4, 6)))


@pytest.mark.filterwarnings("ignore:wm.play makes a widget")
@pytest.mark.parametrize("threads", [True, False])
def test_both_boxes_draw_and_say_what_they_do_not_know(threads):
    box = text_box(Lamp(), examples=("dark",), threads=threads)
    assert isinstance(box, PromptBox if threads else PromptForm)
    told = []
    if threads:
        box._tell = lambda message, buffers=None: told.append((message, buffers))
        box._handle(box, {"type": "prompt", "text": "light"}, [])
        [(message, [video])] = told
        assert message["type"] == "video" and message["words"].startswith("5 frames")
        assert len(video) == 5 * 4 * 6 * 3
        assert box.ask("lihgt") is None
        assert told[-1][0]["type"] == "refused" and "'light'" in told[-1][0]["words"]
        assert box.config["text"] == "dark" and (box.config["height"], box.config["width"]) == (
            4,
            6,
        )
    else:
        assert box.field.value == "dark" and len(box.ask("light").frames) == 5
        picture = Image.open(io.BytesIO(box.image.value))
        assert picture.format == "GIF" and picture.n_frames >= 2
        assert box.ask("lihgt") is None and "'light'" in box.status.value
