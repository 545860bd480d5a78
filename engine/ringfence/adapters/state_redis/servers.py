"""Finds the server that holds the books, and asks it.

All keys of one set of books lie in one slot, so that at any time one node of a cluster holds them. Any node
that is asked knows which one: it answers with its address and does nothing.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from redis.exceptions import AskError, ClusterDownError, MovedError, NoScriptError, RedisError

from ringfence.adapters.state_redis.connections import Command, Connections
from ringfence.adapters.state_redis.counts import Counts
from ringfence.adapters.state_redis.faults import RequestError, refusal
from ringfence.adapters.state_redis.scripts import Script
from ringfence.adapters.state_redis.settings import RedisSettings

__all__ = ["Servers"]

Address = tuple[str, int]
# Times that a request is passed on; a slot that moves is found with two.
_MOST_HOPS = 6


class Servers:
    """The server, or the nodes of the cluster, that hold one set of books. Safe to use from several threads.

    Args:
        timeout_ms: How long to wait for a connection, and for an answer.
    """

    def __init__(self, settings: RedisSettings, timeout_ms: int, counts: Counts) -> None:
        self._settings = settings
        self._timeout_ms = timeout_ms
        self._counts = counts
        self._nodes: dict[Address, Connections] = {}
        self._known: tuple[Address, ...] = settings.nodes
        self._at = self._known[0]
        self._learned = not settings.cluster

    def run(
        self, operation: str, script: Script, keys: tuple[str, ...], values: Iterable[Any] = ()
    ) -> Any:
        """Run a script and give its answer.

        Raises:
            StateUnavailableError: the server cannot be asked in time, refuses, or has too few replicas.
        """
        operands = (len(keys), *keys, *values)
        wait = self._settings.wait_replicas if script.replicated else 0
        # `WAIT` covers what was done on its own connection; after an error there is nothing to wait for.
        waits: tuple[Command, ...] = (
            (("WAIT", wait, max(1, self._timeout_ms // 2)),) if wait else ()
        )
        with self._counted(operation):
            answers = self._route((("EVALSHA", script.digest, *operands), *waits))
            if isinstance(answers[0], NoScriptError):
                answers = self._route((("EVAL", script.text, *operands), *waits))
            self._raise_error(answers)
            if wait and answers[1] < wait:
                raise RequestError(
                    "replicas",
                    f"{answers[1]} of {wait} replicas took over the event in time",
                    "mend the replicas, or set a lower `wait_replicas`",
                    sent=True,
                )
        return answers[0]

    def ask(self, operation: str, *commands: Command) -> list[Any]:
        """Send commands and give the answers; one that the server refuses is an error among them.

        Raises:
            StateUnavailableError: the server cannot be asked in time.
        """
        with self._counted(operation):
            return self._route(commands, to_error=False)

    def command(self, operation: str, command: Command) -> Any:
        """Send one command and give its answer.

        Raises:
            StateUnavailableError: the server cannot be asked in time, or refuses.
        """
        with self._counted(operation):
            answers = self._route((command,))
            self._raise_error(answers)
        return answers[0]

    def close(self) -> None:
        """Close the connections; another request opens one."""
        for node in list(self._nodes.values()):
            node.close()

    @contextmanager
    def _counted(self, operation: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        except RequestError as fault:
            self._counts.error(fault.kind)
            raise
        finally:
            self._counts.request(operation, time.perf_counter() - begun)

    def _raise_error(self, answers: list[Any]) -> None:
        for answer in answers:
            if isinstance(answer, RedisError):
                raise refusal(self._node(self._at).where, answer) from None

    def _route(self, commands: tuple[Command, ...], *, to_error: bool = True) -> list[Any]:
        if not self._settings.cluster:
            return self._node(self._at).ask(commands, to_error=to_error)
        untried = [address for address in self._known if address != self._at]
        failed: dict[Address, RequestError] = {}
        address, asking = self._at, False
        latest = time.perf_counter() + self._timeout_ms / 1_000
        for _ in range(_MOST_HOPS + len(untried)):
            node = self._node(address)
            sent = (("ASKING",), *commands) if asking else commands
            try:
                first, *more = node.ask(sent, to_error=to_error)[asking:]
            except RequestError as fault:
                if fault.sent:
                    raise
                failed[address] = fault
            else:
                if isinstance(first, AskError):
                    # `MOVED` is for good; `ASK` for this once, while the slot is being moved.
                    asking = not isinstance(first, MovedError)
                    self._learned = self._learned and asking
                    # A node that does not know how it is reached leaves its host out.
                    address = (first.host or address[0], first.port)
                elif isinstance(first, ClusterDownError):
                    failed[address] = refusal(node.where, first)
                else:
                    if not asking:
                        self._at = address
                        self._learn(node)
                    return [first, *more]
            if address in failed:
                # Nothing was done there, and another node may say who holds the books by now.
                if not untried or time.perf_counter() > latest:
                    raise failed[address]
                address, asking = untried.pop(), False
        raise RequestError(
            "cluster", "the nodes of the cluster do not agree who holds the books", sent=False
        )

    def _node(self, address: Address) -> Connections:
        node = self._nodes.get(address)
        if node is None:
            made = Connections(address, self._settings, self._timeout_ms / 1_000, self._counts)
            node = self._nodes.setdefault(address, made)
        return node

    # Who else is there, for the day that this node is not.
    def _learn(self, node: Connections) -> None:
        if self._learned:
            return
        self._learned = True
        with suppress(RequestError):
            (ranges,) = node.ask((("CLUSTER", "SLOTS"),))
            if isinstance(ranges, list):
                found = {
                    (host.decode() or node.address[0], port)
                    for _, _, *members in ranges
                    for host, port, *_ in members
                    if host is not None
                }
                self._known = tuple(sorted(found | set(self._settings.nodes)))
