"""What a misspelled word was probably meant to be."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import NoReturn

_CHOICE = re.compile(r"invalid choice: '?(?P<word>[^']*?)'? \(choose from (?P<known>.*)\)")


def meant(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: what is like it, or all that there is."""
    known = list(known)
    close = get_close_matches(word, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"choose one of: {', '.join(known)}."


def perhaps(word: str, known: Iterable[str]) -> str:
    """A sentence to add where a known word is like this one; otherwise nothing."""
    close = get_close_matches(word, list(known), n=1)
    return f" Did you mean '{close[0]}'?" if close else ""


def unknown_option(argv: Sequence[str], options: Iterable[str]) -> str | None:
    """A sentence about the first word that begins with ``--`` and is no option.

    Args:
        argv: words of a command line; after a lone ``--`` nothing is an option.
        options: those that there are, such as ``--seed``; a beginning of one counts as it.
    """
    options = [option for option in options if option.startswith("--")]
    if not options:
        return None
    for word in argv:
        name = word.partition("=")[0]
        if name == "--":
            return None
        if name.startswith("--") and not any(option.startswith(name) for option in options):
            close = get_close_matches(name[2:], [option[2:] for option in options], n=1)
            hint = f"did you mean --{close[0]}?" if close else "--help lists those that there are."
            return f"There is no option {name}; {hint}"
    return None


class Parser(argparse.ArgumentParser):
    """``argparse.ArgumentParser`` that complains in one sentence, and says what was meant."""

    def parse_known_args(self, args=None, namespace=None):  # a misspelling before what is missing
        args = sys.argv[1:] if args is None else args
        if self._subparsers is None:
            if complaint := unknown_option(args, self._option_string_actions):
                self.error(complaint)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Prints the sentence and ends the program with 2."""
        if found := _CHOICE.search(message):
            known = [name.strip(" '") for name in found["known"].split(",")]
            message = f"There is no '{found['word']}' here: {meant(found['word'], known)}"
        message = message[0].upper() + message[1:]
        end = "" if message.endswith((".", "?")) else "."
        self.exit(2, f"{self.prog}: {message}{end}\nHow it is used: {self.prog} --help\n")
