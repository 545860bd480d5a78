"""A Redis server for all tests that do it no harm; each takes a namespace of its own."""

from collections.abc import Iterator

import pytest

from adapters.redis_server import RedisServer


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"), appendonly="yes", appendfsync="no")
    server.start()
    yield server
    server.stop()
