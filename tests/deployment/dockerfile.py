"""`Dockerfile` as stages of instructions, with what follows a line's `\\` joined to it."""

import json
import re
import shlex
from dataclasses import dataclass, field

from deployment.compose_file import ROOT


@dataclass
class Stage:
    """One stage: its name (empty for the last one), what it is made from, its instructions in order."""

    name: str
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        """The texts of all instructions of one kind."""
        return [text for each, text in self.instructions if each == word]

    def variables(self) -> dict[str, str]:
        """What `ENV` sets."""
        pairs = [each.partition("=") for text in self.all("ENV") for each in shlex.split(text)]
        return {name: text for name, _, text in pairs}

    def listed(self, word: str) -> list[str]:
        """The words of an instruction in its list form."""
        (text,) = self.all(word)
        found: list[str] = json.loads(text[text.index("[") :])
        return found


def stages() -> list[Stage]:
    """The stages of the Dockerfile."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"))
    text = re.sub(r"\\\n\s*", "", text)
    found: list[Stage] = []
    for line in filter(None, text.splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(name, base))
        elif found:
            found[-1].instructions.append((word, rest))
    return found
