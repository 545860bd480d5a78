"""How arguments are read: options are written out, none with a value is given twice, an unknown one is told."""

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

__all__ = ["UsageParser", "parse"]


class UsageParser(argparse.ArgumentParser):
    """A parser that takes no option by its beginning, and none twice that has one value.

    A script that says `--strat` would mean something else on the day that a second option begins so.
    """

    def __init__(self, *arguments: Any, said: set[str] | None = None, **options: Any) -> None:
        super().__init__(*arguments, **{"allow_abbrev": False, **options})
        #: Options with a value that were read, by this parser or one above or below it.
        self.said: set[str] = set() if said is None else said
        for name in (None, "store"):
            self.register("action", name, _Once)

    def add_subparsers(self, **options: Any) -> Any:
        """Add commands, whose options count as said together with those of this parser."""
        return super().add_subparsers(
            **{"parser_class": partial(UsageParser, said=self.said), **options}
        )

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """End with the words that nobody reads, and with what may have been meant.

        What follows an unknown option may be a secret, as after `--password`, and is not shown.
        """
        words = [word.partition("=")[0] for word in unknown if word.startswith("-")] or unknown
        self.error(f"unrecognized arguments: {', '.join(map(self._told, words))}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse what is no choice: with the one that is meant where a slip shows it, else with all of them."""
        from ringfence.language.suggest import closest

        if isinstance(value, str) and action.choices is not None and value not in action.choices:
            meant = closest(value, [str(each) for each in action.choices])
            if meant:
                raise argparse.ArgumentError(
                    action, f"invalid choice: {value!r}, did you mean `{meant}`?"
                )
        super()._check_value(action, value)

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


class _Once(argparse._StoreAction):
    """Keeps the value of an option, and refuses a second one: the first would be lost without a word."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if self.option_strings and isinstance(parser, UsageParser):
            if self.option_strings[0] in parser.said:
                raise argparse.ArgumentError(
                    self, "it is given twice, and takes one value; give it once"
                )
            parser.said.add(self.option_strings[0])
        super().__call__(parser, namespace, values, option_string)


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Read arguments; what is unknown is refused by the command's own parser, with its usage.

    Args:
        parser: Of all commands; those that run something are named in their defaults as `read_by`.
        arguments: Those of the process.
    """
    if isinstance(parser, UsageParser):
        parser.said.clear()
    given, unknown = parser.parse_known_args(arguments)
    if unknown:
        given.read_by.refuse(unknown)
    return given
