"""Files that a person names for results: whole or not at all; pipes and devices are written to, not replaced."""

import os
from pathlib import Path

from ringfence.runtime.ports import SYSTEM_FILES, Files

__all__ = ["is_stream", "write_output"]


def is_stream(path: Path) -> bool:
    """Whether something that is no plain file is there: a pipe, a device, or what `/dev/stdout` leads to."""
    place = os.path.abspath(path)
    # A name in there stays one of the system's, wherever it leads: standard output may be a plain file.
    if place.startswith(("/dev/", "/proc/")) and not place.startswith("/dev/shm/"):  # nosec B108
        return path.exists()
    return path.exists() and not (path.is_file() or path.is_dir())


def write_output(path: Path, text: str, files: Files = SYSTEM_FILES) -> None:
    """Write `text` to the file that an option names, whole or not at all.

    A pipe or a device gets the text: a new file in its place would, for root, take `/dev/null` from everybody.

    Raises:
        OSError: it cannot be written.
    """
    content = text.encode("utf-8")
    if not is_stream(path):
        files.write_atomic(path, content)
        return
    with path.open("ab") as stream:
        stream.write(content)
