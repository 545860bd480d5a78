"""An issuer of tokens on this machine: its keys, its page of keys, and tokens of every kind, good and bad."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from runtime.desk import NOON

NOW_S = NOON // 1_000_000_000
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


def public(key: Any, name: str = "k1", **more: Any) -> dict[str, Any]:
    """A key as an issuer publishes it."""
    kind = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {**json.loads(kind.to_jwk(key.public_key())), "kid": name, "use": "sig", **more}


def claims(**changed: Any) -> dict[str, Any]:
    """What a good token says; None leaves a claim out."""
    good = {
        "sub": "ann",
        "role": "trader",
        "accounts": ["alpha"],
        "aud": "ringfence",
        "iss": "ringfence",
        "iat": NOW_S,
        "exp": NOW_S + 600,
        "jti": "one",
    }
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def part(value: Any) -> str:
    """A part of a token, of anything."""
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def signed(key: Any, algorithm: str = "HS256", headers: Any = None, **changed: Any) -> str:
    """A token that was signed properly, whatever it says."""
    return jwt.encode(claims(**changed), key, algorithm=algorithm, headers=headers)


class Issuer:
    """Publishes what it is told to, and counts who asks."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = [public(RSA)]
        self.body: bytes | None = None
        self.status = 200
        self.asked = 0
        issuer = self

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                body = json.dumps({"keys": issuer.keys}).encode()
                body = body if issuer.body is None else issuer.body
                self.send_response(issuer.status)
                if issuer.status == 302:
                    self.send_header("location", issuer.url)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"


@contextmanager
def issuing() -> Iterator[Issuer]:
    """An issuer that answers."""
    issuer = Issuer()
    thread = threading.Thread(target=issuer.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield issuer
    finally:
        issuer.server.shutdown()
        thread.join()
        issuer.server.server_close()
