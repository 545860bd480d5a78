"""How often this process is a fork of another, for what a child must not go on with."""

import os

__all__ = ["forks"]

#: One number, in a list so that whoever imports it sees it change. Asking the system for the process's own number at each
#: record takes longer.
forks = [0]


def _count_fork() -> None:
    forks[0] += 1


os.register_at_fork(after_in_child=_count_fork)
