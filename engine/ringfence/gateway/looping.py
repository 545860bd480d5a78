"""A thread that looks again and again: when it is woken, and after as long as the last look asked for."""

import threading
from collections.abc import Callable

__all__ = ["Looking"]

_AFTER_FAILURE_S = 1.0


class Looking:
    """Calls `look` from a thread of its own, one call at a time.

    Args:
        name: The thread's.
        look: Does what is due, and says after how many seconds at the latest it wants to be called again.
        failed: Told of what `look` raised; it is called again after a second.
    """

    def __init__(
        self, name: str, look: Callable[[], float], failed: Callable[[Exception], None]
    ) -> None:
        self._name, self._look, self._failed = name, look, failed
        self._woken = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look at once, and from then on; does nothing where that is so already."""
        if self._thread is None:
            self._stopping = False
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def wake(self) -> None:
        """Let the next look be now."""
        self._woken.set()

    def stop(self) -> None:
        """Return once the look that is under way has ended; there is no further one."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stopping = True
            self._woken.set()
            thread.join()

    def _run(self) -> None:
        while not self._stopping:
            self._woken.clear()
            try:
                wait_s = self._look()
            except Exception as error:
                # a service that ends at the first surprise helps nobody
                self._failed(error)
                wait_s = _AFTER_FAILURE_S
            self._woken.wait(wait_s)
