"""The Git repository that a path lies in, found without git, which may not be installed."""

import os
from pathlib import Path

__all__ = ["repository_of"]


def repository_of(path: Path) -> Path | None:
    """The top of the repository that a path lies in, whether it exists or not; None where it lies in none."""
    whole = Path(os.path.realpath(path))
    for place in (whole, *whole.parents):
        if (place / ".git").exists():
            return place
    return None
