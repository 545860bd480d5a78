"""How arguments are read: options are written out, and an unknown one is told with what was meant."""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

__all__ = ["UsageParser", "parse"]


class UsageParser(argparse.ArgumentParser):
    """A parser that takes no option by its beginning.

    A script that says `--strat` would mean something else on the day that a second option begins so.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"allow_abbrev": False, **options})

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """End with the words that nobody reads, and with what may have been meant.

        What follows an unknown option may be a secret, as after `--password`, and is not shown.
        """
        words = [word.partition("=")[0] for word in unknown if word.startswith("-")] or unknown
        self.error(f"unrecognized arguments: {', '.join(map(self._told, words))}")

    def _told(self, word: str) -> str:
        from ringfence.language.suggest import closest

        if not word.startswith("-"):
            return word
        # Without dashes, which all options have in common.
        name = word.lstrip("-")
        options = [each[2:] for each in self._option_string_actions if each.startswith("--")]
        begun = [each for each in options if each.startswith(name)]
        # One that is cut short is like many others by its letters.
        meant = begun[0] if len(begun) == 1 else closest(name, options)
        return f"{word}, did you mean `--{meant}`?" if meant else word


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Read arguments; what is unknown is refused by the command's own parser, with its usage.

    Args:
        parser: Of all commands; those that run something are named in their defaults as `read_by`.
        arguments: Those of the process.
    """
    given, unknown = parser.parse_known_args(arguments)
    if unknown:
        given.read_by.refuse(unknown)
    return given
