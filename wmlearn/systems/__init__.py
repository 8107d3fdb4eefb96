"""The registry: every system of the course, and where it stands on the map.

Nothing else lists systems. ``fit``, ``load``, ``wmlearn list``, the map, the book and the tests
over all systems read this; what it names is imported when it is first used. A system that is
planned has no ``name`` yet. Figures in ``claim`` are those of the papers or, where there is no
paper, the makers' own announcement, which it then says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

SPACES = {
    "pixels": "the picture itself",
    "tokens": "a compressed code of the frame, drawn by a decoder afterwards",
    "embeddings": "features that nobody ever draws",
}
SUPERVISION = {
    "actions": "recorded play: each frame with the action that led to it",
    "passive video": "video alone, as it lies on the internet",
    "masking": "video with parts hidden, to be filled in",
}

ELSEWHERE = {  # what stands in the squares of the map that this course leaves empty
    ("tokens", "actions"): "IRIS",
    ("embeddings", "passive video"): "DINO-world",
    ("pixels", "masking"): "VideoMAE",
    ("tokens", "masking"): "MaskGIT",
}


@dataclass(frozen=True)
class System:
    """One system: its place on the map, and what builds and trains it.

    Attributes:
        title: for people.
        space: a key of ``SPACES``, what is predicted; empty for what is not a world model.
        supervision: keys of ``SUPERVISION``, what it learns from; two where it uses both.
        predicts, given: complete "It predicts ... from ...".
        claim: one sentence, the makers' own result.
        paper: authors, year and title.
        link: to the paper.
        chapter: file name of the notebook without ``.ipynb``; ``None`` as long as it has no number.
        caveat: what the square on the map hides, if anything.
        use: its primary application.
        cost: what its makers say that it took, "not published" where they do not.
        name: the word on the command line and in a checkpoint's card; empty for a planned system.
            Its folder has the same name with ``_`` for ``-``.
        module: ``"package.file:Class"`` of its ``LightningModule``, which a config builds.
        network: ``"package.file:Class"`` of the same networks under the same names, which plays and
            does not train: a plain ``nn.Module``, which does not import Lightning. A world is
            loaded with it. Empty where there is no world: ``module`` stands for it.
        config: ``"package.file:Class"`` of its frozen dataclass.
        recipe: ``"package.file:OBJECT"``, the ``Recipe`` that says how it is trained.
        judge: ``"package.file:Class"`` of what only this system is asked when it is evaluated, a
            ``wmlearn.evaluation.judge.Judge``; empty where the card's fixed parts say it all.
        published: ``"package.file:function"`` that takes a file of the authors' weights and a
            config or ``None``, and gives the module: what ``wmlearn.load_published`` calls. Empty
            where no weights are published.
    """

    title: str
    space: str = ""
    supervision: tuple[str, ...] = ()
    predicts: str = ""
    given: str = ""
    claim: str = ""
    paper: str = ""
    link: str = ""
    chapter: str | None = None
    caveat: str = ""
    use: str = ""
    cost: str = ""
    name: str = ""
    module: str = ""
    network: str = ""
    config: str = ""
    recipe: str = ""
    judge: str = ""
    published: str = ""

    def load(self, part: str) -> Any:
        """The class, or the recipe, that the attribute ``part`` names, imported now."""
        path, _, name = getattr(self, part).partition(":")
        return getattr(import_module(path), name)


SYSTEMS = (
    System(
        "DIAMOND",
        "pixels",
        ("actions",),
        "the next frame, by removing noise from it in three steps",
        "the last four frames and actions",
        "An agent trained only inside it reaches 1.46 times the human score on average over the "
        "26 games of Atari 100k (2 hours of real play a game).",
        "Alonso, Jelley, Micheli, Kanervisto, Storkey, Pearce and Fleuret (2024), "
        "Diffusion for World Modeling: Visual Details Matter in Atari",
        "https://arxiv.org/abs/2405.12399",
        chapter="04_diamond",
        use="training agents in imagination (Atari 100k)",
        cost="12 GB of GPU memory and 2.9 days on one RTX 4090 for each game and seed",
        name="diamond",
        module="wmlearn.systems.diamond.system:Diamond",
        network="wmlearn.systems.diamond.network:DiamondNetwork",
        config="wmlearn.systems.diamond.config:DiamondConfig",
        recipe="wmlearn.systems.diamond.recipe:RECIPE",
        published="wmlearn.systems.diamond.published:load",
    ),
    System(
        "GameNGen",
        "pixels",
        ("actions",),
        "the next frame of DOOM, with a fine-tuned image generator",
        "the last 64 frames and actions",
        "DOOM at 20 frames a second on one TPU, with a next-frame PSNR of 29.4 dB; raters told "
        "short clips of the real game apart only slightly better than by chance.",
        "Valevski, Leviathan, Arar and Fruchter (2024), "
        "Diffusion Models Are Real-Time Game Engines",
        "https://arxiv.org/abs/2408.14837",
        chapter="05_gamengen",
        caveat="It works on the latents of an image autoencoder and is judged on the picture.",
        use="a neural game engine",
        cost="128 TPUs (v5e) to train, one to play at 20 frames a second",
        name="gamengen",
        module="wmlearn.systems.gamengen.system:GameNGen",
        network="wmlearn.systems.gamengen.network:GameNGenNetwork",
        config="wmlearn.systems.gamengen.config:GameNGenConfig",
        recipe="wmlearn.systems.gamengen.recipe:RECIPE",
        published="wmlearn.systems.gamengen.published:load",
    ),
    System(
        "UniSim",
        "pixels",
        ("actions", "passive video"),
        "the next stretch of video",
        "past frames and an action in any form: a sentence, an arm's motion, a camera move",
        "A vision-language policy and a reinforcement-learning policy, trained only inside it, "
        "worked on real robots without further training.",
        "Yang, Du, Ghasemipour, Tompson, Kaelbling, Schuurmans and Abbeel (2023), "
        "Learning Interactive Real-World Simulators",
        "https://arxiv.org/abs/2310.06114",
        caveat="It stands on the border: its data mix clips with actions and clips without.",
        chapter="07_unisim",
        use="a simulator of interactions to train policies in",
        cost="512 TPUs (v3), 20 days, for its 5.6 billion parameters",
        name="unisim",
        module="wmlearn.systems.unisim.system:UniSim",
        network="wmlearn.systems.unisim.network:UniSimNetwork",
        config="wmlearn.systems.unisim.config:UniSimConfig",
        recipe="wmlearn.systems.unisim.recipe:RECIPE",
    ),
    System(
        "Sora",
        "pixels",
        ("passive video",),
        "a whole video, up to a minute long, all frames together",
        "a text prompt",
        "Its report proposes video generators as world simulators, and shows where this one "
        "fails, for instance at glass that shatters.",
        "Brooks, Peebles and others, OpenAI (2024), Video Generation Models as World Simulators",
        "https://openai.com/index/video-generation-models-as-world-simulators/",
        caveat="A report by its makers, without details of model or data. No actions: you cannot "
        "play it.",
        chapter="06_sora",
        use="generating video; an implicit world model",
        cost="not published",
        name="sora",
        module="wmlearn.systems.sora.system:Sora",
        network="wmlearn.systems.sora.network:SoraNetwork",
        config="wmlearn.systems.sora.config:SoraConfig",
        recipe="wmlearn.systems.sora.recipe:RECIPE",
        judge="wmlearn.chapters.ch06_sora.judge:SoraJudge",
    ),
    System(
        "Cosmos",
        "pixels",
        ("passive video",),
        "the video that follows",
        "past video and text",
        "Trained on 10,000 GPUs, on about 100 million clips cut from 20 million hours of video.",
        "NVIDIA (2025), Cosmos World Foundation Model Platform for Physical AI",
        "https://arxiv.org/abs/2501.03575",
        caveat="A family: the diffusion models (7B, 14B) stand here, the autoregressive ones "
        "(4B, 12B) predict tokens.",
        chapter="08_cosmos",
        use="simulating driving and robots (physical AI)",
        cost="10,000 GPUs; 20 million hours of video",
        name="cosmos",
        module="wmlearn.systems.cosmos.system:Cosmos",
        network="wmlearn.systems.cosmos.network:CosmosNetwork",
        config="wmlearn.systems.cosmos.config:CosmosConfig",
        recipe="wmlearn.systems.cosmos.recipe:RECIPE",
    ),
    System(
        "Cosmos AR",
        "tokens",
        ("passive video",),
        "the tokens of the video that follows, one after the other",
        "past tokens and text",
        "Video of the 4B model agrees in 3D as well as real video by one measure (Sampson error "
        "0.433 against 0.431), yet camera poses are found in fewer of its clips (36 against 56 %).",
        "NVIDIA (2025), Cosmos World Foundation Model Platform for Physical AI",
        "https://arxiv.org/abs/2501.03575",
        caveat="The other half of the Cosmos family; the diffusion models work on continuous "
        "latents.",
        chapter="08_cosmos",
        use="simulating driving and robots (physical AI)",
        cost="10,000 GPUs; 20 million hours of video",
        name="cosmos-ar",
        module="wmlearn.systems.cosmos_ar.system:CosmosAR",
        network="wmlearn.systems.cosmos_ar.network:CosmosARNetwork",
        config="wmlearn.systems.cosmos_ar.config:CosmosARConfig",
        recipe="wmlearn.systems.cosmos_ar.recipe:RECIPE",
    ),
    System(
        "Genie 1",
        "tokens",
        ("passive video",),
        "the tokens of the next frame",
        "past tokens and a latent action, which it discovered itself",
        "Playable worlds from one picture and eight actions that nobody labeled, learned from "
        "200,000 hours of platform-game video, filtered to about 30,000.",
        "Bruce, Dennis, Edwards, Parker-Holder and others (2024), "
        "Genie: Generative Interactive Environments",
        "https://arxiv.org/abs/2402.15391",
        chapter="09_genie",
        use="playable worlds from one picture; agents from unlabeled video",
        cost="11 billion parameters; 200,000 hours of video before filtering",
        name="genie",
        module="wmlearn.systems.genie.system:Genie",
        network="wmlearn.systems.genie.network:GenieNetwork",
        config="wmlearn.systems.genie.config:GenieConfig",
        recipe="wmlearn.systems.genie.recipe:RECIPE",
        judge="wmlearn.chapters.ch09_genie.judge:GenieJudge",
    ),
    System(
        "Genie 2",
        "tokens",
        ("passive video",),
        "the next latent frame of a 3D world",
        "past latents and the player's keys, starting from one picture",
        "Worlds that stay consistent for up to a minute (the makers' announcement; there is no "
        "paper).",
        "Parker-Holder and others, Google DeepMind (2024), "
        "Genie 2: A Large-Scale Foundation World Model",
        "https://deepmind.google/discover/blog/genie-2-a-large-scale-foundation-world-model/",
        caveat="Its latents are continuous, and how it came by its actions is not published.",
        use="3D worlds to train agents in",
        cost="not published",
    ),
    System(
        "Genie 3",
        "tokens",
        ("passive video",),
        "the next frame of a 3D world",
        "all that happened so far and the player's keys, starting from a text",
        "24 frames a second at 720p, consistent for a few minutes (the makers' announcement; "
        "there is no paper).",
        "Google DeepMind (2025), Genie 3: A New Frontier for World Models",
        "https://deepmind.google/discover/blog/genie-3-a-new-frontier-for-world-models/",
        caveat="The model is not published: it stands here as the successor of Genie 1 and 2.",
        use="3D worlds from a text",
        cost="not published",
    ),
    System(
        "Dreamer",
        "embeddings",
        ("actions",),
        "its own next latent state, the reward and whether the episode goes on",
        "the latent state and an action",
        "DreamerV3: one configuration for more than 150 tasks, and the first diamonds in "
        "Minecraft without human data.",
        "Hafner, Pasukonis, Ba and Lillicrap (2023), "
        "Mastering Diverse Domains through World Models",
        "https://arxiv.org/abs/2301.04104",
        caveat="A decoder redraws the pixels while it learns; in the dream nothing is drawn.",
        use="reinforcement learning with one configuration for many domains",
        cost="one GPU for each run",
    ),
    System(
        "MuZero",
        "embeddings",
        ("actions",),
        "reward, value and policy, and no observation at all",
        "a hidden state and an action",
        "As strong as AlphaZero at Go, chess and shogi without being told the rules.",
        "Schrittwieser, Antonoglou, Hubert and others (2019), "
        "Mastering Atari, Go, Chess and Shogi by Planning with a Learned Model",
        "https://arxiv.org/abs/1911.08265",
        use="planning in games",
        cost="16 TPUs to train and 1,000 to play for each board game; 8 and 32 for Atari",
    ),
    System(
        "V-JEPA 2-AC",
        "embeddings",
        ("actions",),
        "the features of the next frame",
        "past features, the arm's pose and an action",
        "After less than 62 hours of robot video it plans towards a picture of the goal, on arms "
        "and in labs it has never seen.",
        "Assran, Bardes, Fan, Garrido and others (2025), V-JEPA 2: Self-Supervised Video Models "
        "Enable Understanding, Prediction and Planning",
        "https://arxiv.org/abs/2506.09985",
        chapter="12_vjepa2_ac",
        caveat="“Unlabelled” robot video means no rewards or task names: the arm's motion is "
        "recorded.",
        use="planning for robot arms toward a picture of the goal",
        cost="under 62 hours of robot video, over an encoder of more than a million hours",
        name="vjepa2-ac",
        module="wmlearn.systems.vjepa2_ac.system:VJEPA2AC",
        network="wmlearn.systems.vjepa2_ac.network:VJEPA2ACNetwork",
        config="wmlearn.systems.vjepa2_ac.config:VJEPA2ACConfig",
        recipe="wmlearn.systems.vjepa2_ac.recipe:RECIPE",
        judge="wmlearn.chapters.ch12_vjepa2_ac.judge:VJEPA2ACJudge",
        published="wmlearn.systems.vjepa2_ac.published:load",
    ),
    System(
        "JEPA",
        "embeddings",
        ("masking",),
        "the features of one part of the input",
        "the features of another part",
        "A position paper: what cannot be predicted should not have to be, so predict features, "
        "not pixels.",
        "LeCun (2022), A Path Towards Autonomous Machine Intelligence",
        "https://openreview.net/forum?id=BZ5a1r-kVsf",
        use="an architecture; a position paper",
        cost="none was trained",
    ),
    System(
        "V-JEPA",
        "embeddings",
        ("masking",),
        "the features of hidden blocks of a video",
        "the blocks that are left",
        "With a frozen ViT-H/16, 81.9 % on Kinetics-400 and 72.2 % on Something-Something v2.",
        "Bardes, Garrido, Ponce, Chen, Rabbat, LeCun, Assran and Ballas (2024), "
        "Revisiting Feature Prediction for Learning Visual Representations from Video",
        "https://arxiv.org/abs/2404.08471",
        chapter="11_vjepa",
        use="understanding video with a frozen encoder",
        cost="2 million videos",
        name="vjepa",
        module="wmlearn.systems.vjepa.system:VJEPA",
        config="wmlearn.systems.vjepa.config:VJEPAConfig",
        recipe="wmlearn.systems.vjepa.recipe:RECIPE",
        judge="wmlearn.chapters.ch11_vjepa.judge:VJEPAJudge",
        published="wmlearn.systems.vjepa.published:load",
    ),
    System(
        "V-JEPA 2",
        "embeddings",
        ("masking",),
        "the features of hidden blocks of a video",
        "the blocks that are left",
        "The same idea on more than a million hours of video: 77.3 % on Something-Something v2.",
        "Assran, Bardes, Fan, Garrido and others (2025), V-JEPA 2: Self-Supervised Video Models "
        "Enable Understanding, Prediction and Planning",
        "https://arxiv.org/abs/2506.09985",
        chapter="11_vjepa",
        use="understanding, anticipating and planning",
        cost="more than a million hours of video",
    ),
)

AGENTS = (
    System(
        "Actor-critic in a dream",
        name="actor-critic",
        module="wmlearn.agents.actor_critic:ActorCritic",
        config="wmlearn.agents.actor_critic:ActorCriticConfig",
        recipe="wmlearn.agents.recipe:RECIPE",
        published="wmlearn.systems.diamond.published:load_policy",
    ),
    System(
        "Policy that imitates a search in a dream",
        name="searched-policy",
        recipe="wmlearn.agents.planning_recipe:RECIPE",
    ),
)

TRAINABLE = {entry.name: entry for entry in (*SYSTEMS, *AGENTS) if entry.recipe}
"""What ``wmlearn fit`` takes, by name."""
LOADABLE = {entry.name: entry for entry in (*SYSTEMS, *AGENTS) if entry.module}
"""What a checkpoint may hold, by the name in its card."""


def entry_of(module: object) -> System | None:
    """The entry that a trained module was built from; ``None`` if the registry has none for it."""
    kind = f"{type(module).__module__}:{type(module).__qualname__}"
    found = (e for e in LOADABLE.values() if kind in (e.module, e.network))
    return next(found, None)


def later(package: str, **modules: str) -> Callable[[str], Any]:
    """A package's ``__getattr__``: its names that come with Lightning, imported when asked for.

    Args:
        package: its ``__name__``.
        **modules: the file of each such name, ``Diamond="system"``.
    """

    def find(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{modules[name]}"), name)

    return find
