"""The real service as a process: `ringfence serve` on free ports, asked over HTTP, stopped by signals."""

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import jwt

from ringfence.runtime.ports import SYSTEM_CLOCK

ROOT = Path(__file__).parents[3]
KEYS = {
    "API_SECRET_KEY": "0123456789abcdef0123456789abcdef-approvals",
    "JWT_SECRET_KEY": "0123456789abcdef0123456789abcdef-tokens",
    "RINGFENCE_ENVIRONMENT": "development",
    # Orders bring their prices along: nothing else tells this service any.
    "RINGFENCE_ACCESS__TRADERS_TELL_PRICES": "true",
}
_ADDRESS = re.compile(r"^(dashboard|metrics|health) +(\S+)$")
_ANY_PORTS = ("--port=0", "--metrics-port=0", "--health-port=0")


def bearer(role: str, *accounts: str) -> dict[str, str]:
    """Headers of somebody whom the process lets in."""
    now = SYSTEM_CLOCK.now_ns() // 10**9
    claims = {
        "sub": f"a {role}",
        "role": role,
        "accounts": list(accounts),
        "aud": "ringfence",
        "iss": "ringfence",
        "iat": now,
        "exp": now + 3600,
        "jti": "a test",
    }
    token = jwt.encode(claims, KEYS["JWT_SECRET_KEY"], algorithm="HS256")
    return {"authorization": f"Bearer {token}"}


class ServiceProcess:
    """A service that runs; `told` holds what it wrote to its standard output, `log` its standard error."""

    def __init__(
        self,
        data: Path,
        *flags: str,
        environ: dict[str, str] | None = None,
        is_demo: bool = False,
    ) -> None:
        words = [sys.executable, "-m", "ringfence.cli.main", "serve", *_ANY_PORTS, *flags]
        if is_demo:
            words += ["--demo"]
        else:
            words += ["--data", str(data), "--policies", str(ROOT / "policies")]
        self._log = data.with_name(f"{data.name}.log").open("ab")
        self.process = subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=data.parent,
            env={**os.environ, **KEYS, **(environ or {})},
        )
        self.told: list[str] = []
        self.url: dict[str, str] = {}
        self._ready: queue.Queue[bool] = queue.Queue()
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        assert self._ready.get(timeout=300), f"it did not start: {self.told} {self.log}"

    @property
    def log(self) -> str:
        """What it logged, and what earlier ones of the same data did."""
        return Path(self._log.name).read_text(encoding="utf-8")

    def evaluate(self, client: httpx.Client, name: str, **more: Any) -> httpx.Response:
        """Ask for a decision on a small order."""
        body = {
            "account": "alpha",
            "symbol": "BTC/USDT",
            "side": "buy",
            "size": "0.001",
            "price": "50000",
            "strategy": "taker",
            "client_order_id": name,
            "market": {
                "timestamp": SYSTEM_CLOCK.now_ns(),
                "bid": "49999",
                "ask": "50001",
                "last": "50000",
            },
        }
        url = f"{self.url['dashboard']}/v1/evaluate"
        return client.post(url, json=body | more, headers=bearer("trader", "alpha"))

    def health(self, path: str = "") -> tuple[int, dict[str, Any]]:
        """What a health route answers."""
        answer = httpx.get(self.url["health"] + path, timeout=30)
        return answer.status_code, json.loads(answer.text)

    def told_after(self, name: str) -> str:
        """What stands behind a name at the beginning of a line, once it is told."""
        while True:
            line = self._lines.get(timeout=60)
            if line.startswith(f"{name} "):
                return line.split(maxsplit=1)[1]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(timeout=120)
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.append(line.rstrip())
            self._lines.put(self.told[-1])
            if found := _ADDRESS.match(self.told[-1]):
                self.url[found[1]] = found[2]
                if found[1] == "health":
                    self._ready.put(True)
        self._ready.put(False)
