"""The page of the service's settings."""

from collections.abc import Iterable
from itertools import groupby

from ringfence.service.settings import Described, ServiceSettings, described

from .markdown_text import page, sentence, table

__all__ = ["settings_page"]

_HOW = """A setting is given in a YAML file, in the environment, or as a flag; a flag counts before the environment, that before
the file, and what none of them gives has its default. The file is named by `--config` or `RINGFENCE_CONFIG`; without them
`ringfence.yaml` in the working directory is read, if it is there. Relative paths in the file begin at the file's directory.

The flag of every setting is `--set NAME=VALUE`, with its dotted name; the variable is `RINGFENCE_` and the name in capitals, with `__`
for each dot. Lists may be one text with commas between. `ringfence config` prints all settings with where each is from,
and `# yaml-language-server: $schema=schemas/service-settings.v1.schema.json` in the first line lets an editor complete them.

Secrets are no settings. They are read from variables, or from files that a variable with `_FILE` at its end names, and are never
printed."""


def settings_page() -> str:
    """Return the page: settings without a section, then one table for each section."""
    rows = list(described())
    parts = [_table([each for each in rows if "." not in each.name])]
    inside = (each for each in rows if "." in each.name)
    for section, found in groupby(inside, lambda each: each.name.partition(".")[0]):
        about = ServiceSettings.model_fields[section].description or ""
        parts += [f"## {section}", sentence(about), _table(found)]
    return page("Settings of the service", _HOW, *parts)


def _table(rows: Iterable[Described]) -> str:
    return table(
        ["setting", "value", "default", "meaning"],
        [
            [f"`{each.name}`", each.kind, f"`{each.default}`" if each.default else "", each.meaning]
            for each in rows
        ],
    )
