"""Ports that are bound first, TLS by files that are renewed, and servers beside a main loop that is busy."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ringfence.errors import InputError
from ringfence.service import bounded_protocol
from ringfence.service.listening import Ports, SideServers, TlsFiles, bind, make_server
from ringfence.service.settings import ServerSettings

pytestmark = pytest.mark.unit

ANY = {"port": 0, "metrics_port": 0, "health_port": 0}


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """An application that says where a request came from."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body = f"{scope['scheme']} {scope['client'][0]} {scope['root_path']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate of one's own, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / f"{name}.pem", folder / f"{name}.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem, private


def shown_name(port: int) -> str:
    """The name in the certificate that a server shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
        context.wrap_socket(plain) as connection,
    ):
        found = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
    return str(found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


@pytest.fixture
def side() -> Iterator[SideServers]:
    servers = SideServers()
    yield servers
    servers.close()


def served(side: SideServers, about: ServerSettings, *, is_main: bool = True) -> tuple[Any, int]:
    server, bound = make_server(hello, about, is_main=is_main), bind("127.0.0.1", 0, "port")
    port = bound.getsockname()[1]
    side.serve(server, bound)
    return server, port


def test_a_port_in_use_is_named_with_its_flag_and_nothing_stays_bound() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        free = bind("127.0.0.1", 0, "port")
        number = free.getsockname()[1]
        free.close()

        with pytest.raises(InputError, match="address already in use") as caught:
            Ports(ServerSettings(port=number, metrics_port=taken, health_port=0))

    assert "--metrics-port" in caught.value.fix
    bind("127.0.0.1", number, "port").close()


def test_a_host_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match=r"`nowhere\.invalid` is no address"):
        Ports(ServerSettings(host="nowhere.invalid", **ANY))


def test_a_renewed_certificate_is_shown_without_a_restart(
    tmp_path: Path, side: SideServers
) -> None:
    pem, key = certificate(tmp_path, "old")
    about = ServerSettings(tls_certificate=pem, tls_key=key)
    server, port = served(side, about)
    files = TlsFiles(server, about)
    assert shown_name(port) == "old"

    new_pem, new_key = certificate(tmp_path, "new")
    new_pem.replace(pem)
    files.look()
    assert shown_name(port) == "old", "the key does not belong to it yet"
    new_key.replace(key)
    files.look()
    files.look()

    assert shown_name(port) == "new"


def test_a_certificate_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    pem, _ = certificate(tmp_path, "one")
    _, key = certificate(tmp_path, "two")

    with pytest.raises(InputError, match="certificate or its key cannot be used"):
        make_server(hello, ServerSettings(tls_certificate=pem, tls_key=key))


@pytest.mark.parametrize(
    ("proxies", "told"),
    [((), "http 127.0.0.1 /risk"), (("127.0.0.0/8",), "https 203.0.113.9 /risk")],
)
def test_a_proxy_is_believed_where_the_settings_trust_it(
    side: SideServers, proxies: tuple[str, ...], told: str
) -> None:
    about = ServerSettings(trusted_proxies=proxies, root_path="/risk")
    _, port = served(side, about)

    answer = httpx.get(
        f"http://127.0.0.1:{port}/",
        headers={"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"},
    )

    assert answer.text == told
    assert "server" not in answer.headers


def test_servers_beside_answer_while_another_loop_is_busy(side: SideServers) -> None:
    _, port = served(side, ServerSettings(), is_main=False)
    release, busy = threading.Event(), threading.Event()

    async def stand_still() -> None:
        busy.set()
        release.wait(60)

    main = threading.Thread(target=asyncio.run, args=(stand_still(),))
    main.start()
    assert busy.wait(30)

    assert httpx.get(f"http://127.0.0.1:{port}/", timeout=30).status_code == 200
    release.set()
    main.join()


def test_closing_ends_connections_that_wait(side: SideServers) -> None:
    server, port = served(side, ServerSettings(), is_main=False)
    waiting = socket.create_connection(("127.0.0.1", port), timeout=30)

    server.should_exit = True
    end = time.monotonic() + 30
    with waiting, suppress(ConnectionResetError):
        assert waiting.recv(1) == b""
    assert time.monotonic() < end


HEADS_WITHOUT_END = {
    "a header": b"GET / HTTP/1.1\r\nhost: x\r\nx: ",
    "an address": b"GET /",
    "after a body": b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: ",
}


@pytest.mark.parametrize("case", HEADS_WITHOUT_END)
def test_a_head_without_end_is_not_read_on(case: str, side: SideServers) -> None:
    _, port = served(side, ServerSettings())
    with socket.create_connection(("127.0.0.1", port), timeout=30) as asking:
        asking.sendall(HEADS_WITHOUT_END[case])
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            asking.sendall(b"x" * 256 * bounded_protocol.LONGEST_HEAD)


def test_a_body_may_be_longer_than_any_head_in_whatever_pieces_it_comes(side: SideServers) -> None:
    _, port = served(side, ServerSettings())
    pieces, most = 40, bounded_protocol.LONGEST_HEAD // 16
    # The connection is kept: an answer may come before the whole body, and another request is taken behind it.
    head, again = (
        b"POST / HTTP/1.1\r\nhost: x\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    )
    plain = [b"x" * most] * pieces
    chunks = [part for each in plain for part in (b"%x\r\n" % len(each), each + b"\r\n")]
    for about, parts in (
        (b"content-length: %d\r\n\r\n" % (pieces * most), plain),
        (b"transfer-encoding: chunked\r\n\r\n", [*chunks, b"0\r\n\r\n"]),
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as asking:
            asking.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for part in (head + about, *parts, again):
                asking.sendall(part)
            answered = b""
            while piece := asking.recv(1 << 16):
                answered += piece
            assert answered.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nho"])
def test_a_request_that_does_not_come_keeps_no_connection(
    sent: bytes, side: SideServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_protocol, "_PATIENCE_SECONDS", 0.05)
    _, port = served(side, ServerSettings())
    with socket.create_connection(("127.0.0.1", port), timeout=30) as asking:
        asking.sendall(sent)
        assert asking.recv(1) == b""
