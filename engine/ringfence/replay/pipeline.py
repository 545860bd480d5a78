"""Stages of a run in threads of their own, with short queues between them; order is kept."""

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from typing import Generic, TypeVar

__all__ = ["Behind", "ahead"]

Item = TypeVar("Item")
_DEPTH = 3


class _End:
    """Closes a queue; carries what went wrong, if anything did."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def ahead(items: Iterable[Item]) -> Generator[Item, None, None]:
    """Yield `items`, the next ones being fetched in a thread meanwhile; its error is raised here."""
    waiting: queue.Queue[Item | _End] = queue.Queue(_DEPTH)
    stopped = threading.Event()

    def put(item: Item | _End) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def fetch() -> None:
        try:
            for item in items:
                if not put(item):
                    return
        except BaseException as error:  # raised in the thread that waits for it
            put(_End(error))
        else:
            put(_End())

    thread = threading.Thread(target=fetch, name="ringfence-read", daemon=True)
    thread.start()
    try:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stopped.set()
        thread.join()


class Behind(Generic[Item]):
    """Hands items to `work` in a thread of its own, in order."""

    def __init__(self, work: Callable[[Item], None]) -> None:
        self._work = work
        self._waiting: queue.Queue[Item | _End] = queue.Queue(_DEPTH)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="ringfence-write", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not isinstance(item := self._waiting.get(), _End):
            if self._error is None:
                try:
                    self._work(item)
                except BaseException as error:  # raised in the thread that hands over
                    self._error = error

    def put(self, item: Item) -> None:
        """Hand over an item; raises what went wrong with an earlier one."""
        if self._error is not None:
            raise self._error
        self._waiting.put(item)

    def close(self) -> None:
        """Wait until all is done; raises what went wrong."""
        self._waiting.put(_End())
        self._thread.join()
        if self._error is not None:
            raise self._error
