"""A worker: `python -m ringfence.service.workers.worker`, started by the supervisor, which tells it its job."""

import json
import os
import signal
import socket
import sys
import threading
from contextlib import ExitStack
from typing import Any

from ringfence.errors import InputError, PolicyError
from ringfence.service.desk import Desk, open_desk
from ringfence.service.exposition import sources_of
from ringfence.service.free_memory import give_back_free_memory
from ringfence.service.health import Health
from ringfence.service.logs import set_up_logs
from ringfence.service.merged_metrics import Publisher
from ringfence.service.opening.secrets import credentials_for
from ringfence.service.serve import Stopped, serve_on, stoppable
from ringfence.service.settings import ServiceSettings
from ringfence.service.workers.told_health import TellHealth

__all__ = ["main"]


def main() -> int:
    """Read the job from standard input, and do it until that ends or a signal comes."""
    give_back_free_memory()
    job: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    settings, number = ServiceSettings(**job["settings"]), int(job["worker"])
    set_up_logs(settings.log, number)
    bound = socket.socket(fileno=job["socket"])
    health = Health()
    try:
        with ExitStack() as opened, stoppable():
            threading.Thread(target=_stop_with_the_supervisor, daemon=True).start()
            opened.callback(TellHealth(health, settings, number).close)
            desk = open_desk(settings, credentials_for(settings), worker=number)
            opened.callback(_publish(desk, job["metrics"], number).close)
            serve_on(bound, desk, health)
    except Stopped:
        return 0
    except (InputError, PolicyError) as error:
        print(f"ringfence: worker {number}: {error}", file=sys.stderr)
        return 2
    return 0


def _publish(desk: Desk, address: str, number: int) -> Publisher:
    return Publisher(address, str(number), sources_of(desk))


def _stop_with_the_supervisor() -> None:
    """Nobody else would stop a worker whose supervisor was killed."""
    while sys.stdin.buffer.read(1):
        continue
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
