"""Exercise 09.6: whose action is it?."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import Hint, close, exercise, require, seeded, tensor

STARTS, STEPS, SIZE = 3, 4, 8
# By code: how far it moves the player and the enemy at each step. Code 4 is the enemy's, 5 moves
# both alike, and 7 moves the player at the last step only.
PLAYER = torch.tensor([0, 2, 3, 0, 0, 2, 4, 0, 1, 2, 0, 0, 0, 0])
ENEMY = torch.tensor([0, 0, 1, 0, 3, 2, 2, 0, 4, 3, 0, 0, 0, 0])
CODES = len(PLAYER)
# Codes 10 to 13 shift pixels by other amounts in each clip and frame, the enemy's by one amount.
# Who looks at the last frame, the first clip or the last alone takes 10, 11 or 12 for no key, and
# who takes the mean of the clips' own means takes 13 for one: it moves a clip with few such pixels.
SHIFTS = torch.zeros(CODES, STARTS, STEPS, dtype=torch.long)
SHIFTS[10, :, :-1] = 40
SHIFTS[11, 1:] = 60
SHIFTS[12, :-1] = 60
SHIFTS[13, 1] = 36
ALIKE = torch.tensor([0] * 10 + [4, 4, 4, 3])
PLAYER_PIXELS, ENEMY_PIXELS = (20, 4, 12), (6, 18, 12)  # in each clip, of 24
ALL, FIRST, LAST = slice(None), slice(0, 1), slice(-1, None)
PARTS = {
    "the last frames": (ALL, LAST),
    "the first frames": (ALL, FIRST),
    "the first clip": (FIRST, ALL),
    "the last clip": (LAST, ALL),
}


@exercise("09.6", "whose action is it?")
def credit(changed: Answer, players_codes: Answer, *, seed: int = 0) -> Iterator[str]:
    """``changed(a, b, mask)``; ``players_codes(dream, first, player, enemy, num_codes, idle,
    ratio, seed) -> bool [num_codes]``."""
    draw = seeded(seed)
    shape = (STARTS, STEPS, 3, SIZE, SIZE)
    a, b = (torch.randint(0, 256, shape, generator=draw, dtype=torch.uint8) for _ in range(2))
    mask = torch.rand(STARTS, STEPS, SIZE, SIZE, generator=draw) < 0.2
    mask[0] = False  # in this clip there is nothing to see
    got = tensor(changed(a, b, mask), (), "changed(a, b, mask)")
    error = (a.double() - b.double()).abs()
    want = _inside(error, mask)
    if not close(got, want):
        wrapped = _inside((a - b).double(), mask)
        require(
            not close(got, wrapped),
            "in uint8, 3 - 5 is 254: turn the frames into float before you subtract.",
        )
        require(
            not close(got, error.mean()),
            "the whole picture counts; only the pixels of the mask should.",
        )
        require(
            not close(got, (error * mask[:, :, None]).mean()),
            "the change inside the mask is divided by the number of all pixels: divide by the "
            "number of those in the mask.",
        )
        require(
            not close(got, 3 * want),
            "the three channels are added: take their mean as well.",
        )
        signed = _inside(a.double() - b.double(), mask)
        require(
            not close(got, signed) and not close(got, -signed),
            "brighter and darker pixels cancel: take the absolute difference.",
        )
        raise Hint(
            f"changed should be the mean absolute difference over all pixels of the mask, "
            f"{want:.2f}, not {got:.2f}: every pixel counts the same, in whatever clip."
        )
    nothing = tensor(changed(a, b, torch.zeros_like(mask)), (), "changed(a, b, an empty mask)")
    require(nothing == 0, f"with an empty mask nothing changes: 0, not {nothing:g}.")
    yield "the mean change of the pixels in the mask"

    games = [_Game(torch.randperm(CODES, generator=draw), draw, seed) for _ in range(2)]
    for game, ratio in zip(games, (2.0, 3.0), strict=True):
        _judge_codes(players_codes, game, ratio)
        yield f"a key moves the player at least {ratio:g} times as much as the enemy"


class _Game:
    """A world with a player on the left and an enemy on the right. The enemy also moves by chance,
    which the seed decides."""

    def __init__(self, names: Tensor, draw: torch.Generator, seed: int) -> None:
        self.names = names  # of the codes: code k of the answer is row names[k] of the tables
        self.idle = int((names == 0).nonzero())
        self.seed = 100 + seed
        self.first = torch.randint(
            0, 60, (STARTS, 1, SIZE, SIZE), generator=draw, dtype=torch.uint8
        )
        self.player = torch.zeros(STARTS, STEPS, SIZE, SIZE, dtype=torch.bool)
        self.enemy = torch.zeros_like(self.player)
        for clip, counts in enumerate(zip(PLAYER_PIXELS, ENEMY_PIXELS, strict=True)):
            mine, theirs = (torch.randperm(SIZE * 3, generator=draw) < n for n in counts)
            self.player[clip, ..., :3] = mine.view(SIZE, 3)
            self.enemy[clip, ..., 5:] = theirs.view(SIZE, 3)
        self.calls: list[tuple[Tensor, int]] = []

    def dream(self, first: Tensor, latents: Tensor, seed: int) -> Tensor:
        require(
            isinstance(first, Tensor)
            and first.shape == self.first.shape
            and torch.equal(first, self.first),
            "every dream should start from the first frames that were given.",
        )
        require(
            isinstance(latents, Tensor)
            and list(latents.shape) == [STARTS, STEPS]
            and not latents.is_floating_point(),
            f"dream needs a code for each start and step, [B, T] = [{STARTS}, {STEPS}]: T is that "
            f"of the masks; it got {list(getattr(latents, 'shape', []))}.",
        )
        self.calls.append((latents, int(seed)))
        return self.play(latents, int(seed))

    def play(self, latents: Tensor, seed: int) -> Tensor:
        code = self.names[latents]
        chance = torch.randint(0, 40, (STARTS, STEPS), generator=seeded(seed))
        frames = self.first[:, None].repeat(1, STEPS, 1, 1, 1).long()
        frames[..., :3] += PLAYER[code].cumsum(1)[:, :, None, None, None]
        frames[:, -1, ..., :3] += (code[:, -1] == 7).long()[:, None, None, None]
        shift = SHIFTS[code, torch.arange(STARTS)[:, None], torch.arange(STEPS)]
        frames[..., :3] += shift[:, :, None, None, None]
        frames[..., 5:] += (ENEMY[code].cumsum(1) + ALIKE[code] + chance)[:, :, None, None, None]
        return frames.clamp(0, 255).to(torch.uint8)

    def held(self, code: int) -> Tensor:
        return torch.full((STARTS, STEPS), code)

    def changes(self, part: tuple[slice, slice] = (ALL, ALL)) -> Tensor:
        """By how much each code changes player and enemy there, [2, codes]."""
        rest, masks = self.play(self.held(self.idle), self.seed).double(), (self.player, self.enemy)
        held = (self.play(self.held(code), self.seed).double() for code in range(CODES))
        errors = [(frames - rest).abs()[part] for frames in held]
        return torch.tensor([[float(_inside(e, m[part])) for e in errors] for m in masks])


def _judge_codes(players_codes: Answer, game: _Game, ratio: float) -> None:
    masks = game.player, game.enemy
    raw = players_codes(game.dream, game.first, *masks, CODES, game.idle, ratio, game.seed)
    require(raw is not None, "players_codes returned None: is a `return` missing?")
    got = torch.as_tensor(raw)
    require(
        list(got.shape) == [CODES] and got.dtype == torch.bool,
        "players_codes should return a bool for each code, [num_codes].",
    )
    require(
        all((latents == latents[0, 0]).all() for latents, _ in game.calls),
        "hold one code in a dream, at all steps and for all starts.",
    )
    tried = {int(latents[0, 0]) for latents, _ in game.calls}
    require(
        tried == set(range(CODES)),
        f"codes {sorted(tried)} were dreamed; try all of 0 to {CODES - 1}, and the idle one to "
        "compare with.",
    )
    require(
        {seed for _, seed in game.calls} == {game.seed},
        "the dreams have different seeds: then the enemy moves differently by chance, and chance "
        "counts as control. Give every dream the same seed.",
    )
    player, enemy = game.changes()
    want = (player > 0) & (player >= ratio * enemy)
    if torch.equal(got, want):
        return
    require(
        not torch.equal(got, player > 0),
        "every code that moves the player is a key for you; one that moves the enemy nearly as "
        "much is no key: whoever pressed it would play the enemy too.",
    )
    require(
        not torch.equal(got, player >= ratio * enemy),
        "a code that moves nobody is no key: the player has to change at all.",
    )
    require(
        not torch.equal(got, (player > 0) & (player > ratio * enemy)),
        f"a code that moves the player exactly {ratio:g} times as much as the enemy is a key: *at "
        "least* that much is asked for.",
    )
    require(
        not torch.equal(got, (enemy > 0) & (enemy >= ratio * player)),
        "these are the enemy's codes: the masks of player and enemy are exchanged.",
    )
    require(
        not torch.equal(got, (player > 0) & (ratio * player >= enemy)),
        "the ratio stands on the wrong side: player >= ratio * enemy.",
    )
    require(
        not torch.equal(got, (player > 0) & (player >= enemy)),
        f"`ratio` is forgotten: it is {ratio:g} here, and a code that moves the player a little "
        "more than the enemy, or just as much, is no key.",
    )
    require(
        ratio == 2 or not torch.equal(got, (player > 0) & (player >= 2 * enemy)),
        f"`ratio` is {ratio:g} here, and codes that move the player only twice as much are keys "
        "for you: is 2 written into the function?",
    )

    def judged(player: Tensor, enemy: Tensor) -> Tensor:
        return (player > 0) & (player >= ratio * enemy)

    for name, part in PARTS.items():
        require(
            not torch.equal(got, judged(*game.changes(part))),
            f"it looks as if only {name} were measured: compare the whole dreams, all clips and "
            "all frames.",
        )
    clips = [game.changes((slice(i, i + 1), ALL)) for i in range(STARTS)]
    require(
        not torch.equal(got, judged(*torch.stack(clips).mean(0))),
        "you take the change of each clip and then their mean, so that pixels of a clip with few "
        "of them weigh more: give `changed` the whole videos and the whole mask.",
    )
    wrong = (got != want).nonzero()[0].item()
    raise Hint(
        f"code {wrong} moves the player's pixels by {player[wrong]:.2f} and the enemy's by "
        f"{enemy[wrong]:.2f} levels, beside a dream in which the idle code is held; so with ratio "
        f"{ratio:g} it should be {bool(want[wrong])}."
    )


def _inside(error: Tensor, mask: Tensor) -> Tensor:
    """The mean over the pixels of the mask and all channels."""
    return error.mean(2)[mask].mean()
