"""Orders at a steady rate, whatever the answers take: how long each took from the moment it was due."""

import asyncio
import gc
import time
from itertools import count

from ringfence.service.listening import new_loop

__all__ = ["latencies"]

_CONNECTIONS = 16


def latencies(
    port: int, bearer: str, rate: int, seconds: int, rest: str
) -> tuple[float, float, float]:
    """Median, 99 % and 99.9 % of the time, in seconds, from when an order was due until its answer was read.

    Args:
        port: Of the server, on loopback.
        bearer: The value of the header `authorization`.
        rate: Orders a second.
        seconds: For how long.
        rest: The order as JSON, without its brace and client order id.

    Raises:
        RuntimeError: an answer was not 200.
    """
    # Whoever asks must not be what is slow.
    gc.collect()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            taken = sorted(runner.run(_all(port, bearer, rate, seconds, rest)))
    finally:
        gc.enable()
    p50, p99, p999 = (taken[int(len(taken) * share)] for share in (0.5, 0.99, 0.999))
    return p50, p99, p999


async def _all(port: int, bearer: str, rate: int, seconds: int, rest: str) -> list[float]:
    start, numbers = time.perf_counter() + 0.1, count()
    name = f"steady-{time.time_ns()}"
    found: list[float] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            due = start + number / rate
            if number >= rate * seconds:
                break
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            body = f'{{"client_order_id":"{name}-{number}",{rest}'
            writer.write(
                f"POST /v1/evaluate HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
                f"authorization: {bearer}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            length = next(
                int(line[15:])
                for line in head.split(b"\r\n")
                if line.startswith(b"content-length:")
            )
            await reader.readexactly(length)
            found.append(time.perf_counter() - due)
        writer.close()

    await asyncio.gather(*(one() for _ in range(_CONNECTIONS)))
    return found
