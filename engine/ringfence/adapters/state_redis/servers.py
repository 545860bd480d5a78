"""Finds the server that holds the books, and asks it.

All keys of one set of books lie in one slot, so that at any time one node of a cluster holds them. Any node
that is asked knows which one: it answers with its address and does nothing.
"""

import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from redis.exceptions import AskError, MovedError, NoScriptError, RedisError

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
        wait = self._settings.wait_replicas if script.writes else 0
        # Whatever was written waits on this connection, so the answer to `WAIT` covers it.
        waits: tuple[Command, ...] = (
            (("WAIT", wait, max(1, self._timeout_ms // 2)),) if wait else ()
        )
        begun = time.perf_counter()
        try:
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
        except RequestError as fault:
            self._counts.error(fault.kind)
            raise
        finally:
            self._counts.request(operation, time.perf_counter() - begun)
        return answers[0]

    def ask(self, operation: str, *commands: Command) -> list[Any]:
        """Send commands and give the answers; one that the server refuses is an error among them.

        Raises:
            StateUnavailableError: the server cannot be asked in time.
        """
        begun = time.perf_counter()
        try:
            return self._route(commands)
        except RequestError as fault:
            self._counts.error(fault.kind)
            raise
        finally:
            self._counts.request(operation, time.perf_counter() - begun)

    def command(self, operation: str, command: Command) -> Any:
        """Send one command and give its answer.

        Raises:
            StateUnavailableError: the server cannot be asked in time, or refuses.
        """
        answers = self.ask(operation, command)
        self._raise_error(answers)
        return answers[0]

    def close(self) -> None:
        """Close the connections."""
        for node in list(self._nodes.values()):
            node.close()

    def _raise_error(self, answers: list[Any]) -> None:
        for answer in answers:
            if isinstance(answer, RedisError):
                raise refusal(self._node(self._at).where, answer) from None

    def _route(self, commands: tuple[Command, ...]) -> list[Any]:
        if not self._settings.cluster:
            return self._node(self._at).ask(commands)
        untried = [address for address in self._known if address != self._at]
        address, asking = self._at, False
        for _ in range(_MOST_HOPS + len(untried)):
            node = self._node(address)
            try:
                answers = node.ask((("ASKING",), *commands))[1:] if asking else node.ask(commands)
            except RequestError as fault:
                # Nothing was asked, so another node may say who holds the books now.
                if fault.sent or not untried:
                    raise
                address, asking = untried.pop(), False
                continue
            first = answers[0]
            asking = isinstance(first, AskError) and not isinstance(first, MovedError)
            if isinstance(first, AskError):
                # A node that does not know how it is reached leaves its host out.
                address = (first.host or address[0], first.port)
                self._learned = self._learned and asking
                continue
            self._at = address
            self._learn(node)
            return answers
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
