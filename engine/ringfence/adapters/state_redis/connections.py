"""Connections to one Redis server, each used by one thread at a time and given back.

Nothing is ever sent twice here: whoever asks learns whether a request may have reached the server.
"""

import os
from contextlib import suppress
from typing import Any

from redis import Connection, CredentialProvider, SSLConnection
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from ringfence.adapters.state_redis.counts import Counts
from ringfence.adapters.state_redis.faults import unanswered, unconnected
from ringfence.adapters.state_redis.settings import RedisSettings
from ringfence.errors import InputError

__all__ = ["Command", "Connections"]

Command = tuple[str | bytes | int, ...]


class _Password(CredentialProvider):
    # Gives the password out when a connection is made, and shows it nowhere.

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        password = self._settings.password
        if self._settings.password_now is not None:
            with suppress(InputError):
                password = self._settings.password_now()
        text = "" if password is None else password.reveal()
        return (self._settings.username, text) if self._settings.username else (text,)


class Connections:
    """Connections to the server at `address`.

    Args:
        timeout_s: How long to wait for a connection, and for an answer, in seconds.
    """

    def __init__(
        self, address: tuple[str, int], settings: RedisSettings, timeout_s: float, counts: Counts
    ) -> None:
        self.address = address
        self.where = f"{address[0]}:{address[1]}"
        self._settings = settings
        self._counts = counts
        self._idle: list[Connection] = []
        self._process = os.getpid()
        self._lost = False
        self._options: dict[str, Any] = {
            "host": address[0],
            "port": address[1],
            "db": settings.database,
            "socket_timeout": timeout_s,
            "socket_connect_timeout": timeout_s,
            # Two more requests for every connection, of which nothing here makes use.
            "driver_info": None,
            "protocol": 2,
        }
        if settings.password is not None or settings.username:
            self._options["credential_provider"] = _Password(settings)
        if settings.tls:
            self._options |= {
                "ssl_ca_certs": settings.ca_file,
                "ssl_certfile": settings.certificate_file,
                "ssl_keyfile": settings.key_file,
            }

    def ask(self, commands: tuple[Command, ...], *, to_error: bool = False) -> list[Any]:
        """Send commands in one go and read all answers; an error that the server answers with is one.

        With `to_error` what comes after an error is not waited for.

        Raises:
            RequestError: no connection, or no answer in time.
        """
        connection = self._take()
        answers: list[Any] = []
        try:
            connection.send_packed_command((_packed(commands),), check_health=False)
            for _ in commands:
                try:
                    answers.append(connection.read_response())
                except ResponseError as error:
                    answers.append(error)
                    if to_error and len(answers) < len(commands):
                        connection.disconnect()
                        break
        except (RedisError, ValueError) as error:
            self._lost = True
            # A server that loads its data or wants a password says so; the library takes that for a connection lost.
            if isinstance(error, RedisError) and error.status_code is not None:
                raise unconnected(self.where, error) from None
            raise unanswered(self.where, error) from None
        if any(isinstance(answer, ReadOnlyError) for answer in answers):
            # It was the primary once. The address may lead to another server now; these connections never will.
            self._lost = True
            connection.disconnect()
            self.close()
        elif connection.is_connected:
            self._idle.append(connection)
        return answers

    def close(self) -> None:
        """Close the connections that are not in use; another request opens one."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.disconnect()

    def _take(self) -> Connection:
        if self._process != os.getpid():
            # A connection belongs to the process that made it.
            self._idle, self._process = [], os.getpid()
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                break
            if _is_fresh(connection):
                return connection
            self._lost = True
            connection.disconnect()
        return self._connect()

    def _connect(self) -> Connection:
        kind = SSLConnection if self._settings.tls else Connection
        connection = kind(**self._options)
        try:
            connection.connect()
        except (RedisError, OSError) as error:
            self._lost = True
            raise unconnected(self.where, error) from None
        if self._lost:
            self._lost = False
            self._counts.reconnect()
        return connection


def _packed(commands: tuple[Command, ...]) -> bytes:
    # As the library packs them, in a tenth of the time.
    parts = []
    for command in commands:
        parts.append(b"*%d\r\n" % len(command))
        for word in command:
            text = word if isinstance(word, bytes) else str(word).encode()
            parts.append(b"$%d\r\n%b\r\n" % (len(text), text))
    return b"".join(parts)


def _is_fresh(connection: Connection) -> bool:
    # A server that went away has closed its end: what is sent then is lost, and nobody could tell that it was.
    try:
        return not connection.can_read(timeout=0)
    except RedisError:
        return False
