"""Tokens: which hold, and every way of making one that must not."""

import base64
import hmac
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ringfence.errors import InputError
from ringfence.runtime.credentials import Secret
from ringfence.runtime.ports import FixedClock
from ringfence.service.access.addresses import check_url
from ringfence.service.access.jwks import Jwks
from ringfence.service.access.rights import Principal, Role
from ringfence.service.access.tokens import Claims, Tokens
from runtime.desk import NOON
from service.access.issuer import (
    EC,
    NOW_S,
    OTHER_RSA,
    RSA,
    Issuer,
    claims,
    issuing,
    part,
    public,
    signed,
)

pytestmark = [pytest.mark.unit, pytest.mark.security]

KEY = "0123456789abcdefghijklmnopqrstuvwxyz"
BEFORE = "zyxwvutsrqponmlkjihgfedcba9876543210"
SECOND = 1_000_000_000
ANN = Principal("ann", Role.TRADER, frozenset({"alpha"}))


def tokens(clock: FixedClock | None = None, **about: Any) -> Tokens:
    return Tokens((Secret(KEY), Secret(BEFORE)), clock or FixedClock(NOON), **about)


def test_what_was_made_is_read() -> None:
    held = tokens()
    assert held.read(held.make(ANN, 60)) == ANN
    assert held.read(signed(KEY)) == ANN
    assert "ey" not in repr(held.issue(ANN, 60))


def test_the_key_of_before_a_rotation_is_honoured_and_signs_nothing() -> None:
    held = tokens()
    assert held.read(signed(BEFORE)) == ANN
    after = Tokens((Secret(KEY),), FixedClock(NOON))
    assert after.read(held.make(ANN, 60)) == ANN
    assert after.read(signed(BEFORE)) is None


def forged(header: Any, key: bytes = KEY.encode(), body: Any = None) -> str:
    """A token whose header is anything, signed with HMAC all the same."""
    said = f"{part(header)}.{part(claims() if body is None else body)}"
    return f"{said}.{part(hmac.new(key, said.encode(), sha256).digest())}"


SKEW = 30


@pytest.mark.parametrize(
    ("changed", "holds"),
    [
        ({"exp": NOW_S - SKEW + 1}, True),
        ({"exp": NOW_S - SKEW}, False),
        ({"exp": NOW_S - 3_600}, False),
        ({"iat": NOW_S + SKEW}, True),
        ({"iat": NOW_S + SKEW + 1}, False),
        ({"nbf": NOW_S + SKEW}, True),
        ({"nbf": NOW_S + SKEW + 1}, False),
        ({"exp": None}, False),
        ({"iat": None}, False),
        ({"exp": str(NOW_S + 600)}, False),
        ({"exp": True}, False),
        ({"exp": [NOW_S + 600]}, False),
        ({"exp": float("inf")}, False),
        ({"exp": float("nan")}, False),
        ({"exp": 10**400}, False),
        ({"exp": -1}, False),
        ({"nbf": "soon"}, False),
        ({"aud": "another"}, False),
        ({"aud": None}, False),
        ({"aud": ""}, False),
        ({"aud": ["another", "ringfence"]}, True),
        ({"aud": {"ringfence": 1}}, False),
        ({"iss": "another"}, False),
        ({"iss": "ringfence "}, False),
        ({"iss": ["ringfence"]}, False),
        ({"iss": None}, False),
        ({"sub": None}, False),
        ({"sub": ""}, False),
        ({"sub": 7}, False),
        ({"sub": "ann, confirmed by bob"}, False),
        ({"sub": "rule:drawdown"}, False),
        ({"sub": "key/bot"}, False),
        ({"sub": "аnn"}, False),
        ({"sub": "ann\n"}, False),
        ({"sub": "a" * 200}, False),
        ({"jti": 7}, False),
        ({"jti": None}, True),
        ({"role": None}, False),
        ({"role": "Admin"}, False),
        ({"role": "admin "}, False),
        ({"role": "аdmin"}, False),
        ({"role": ["admin"]}, False),
        ({"role": {"admin": True}}, False),
        ({"role": True}, False),
        ({"role": "admin,viewer"}, False),
        ({"accounts": "alpha"}, False),
        ({"accounts": "*"}, False),
        ({"accounts": ["*"]}, False),
        ({"accounts": ["a*"]}, False),
        ({"accounts": [["alpha"]]}, False),
        ({"accounts": {"alpha": 1}}, False),
        ({"accounts": [7]}, False),
        ({"accounts": [""]}, False),
        ({"accounts": None}, True),
    ],
    ids=repr,
)
def test_only_what_is_said_properly_holds(changed: dict[str, Any], holds: bool) -> None:
    token = forged({"alg": "HS256"}, body=claims(**changed))
    assert (tokens().read(token) is not None) is holds


def test_the_forger_can_forge() -> None:
    assert tokens().read(forged({"alg": "HS256", "typ": "JWT"})) == ANN


@pytest.mark.parametrize(
    "token",
    [
        forged({"alg": "none"}),
        f"{part({'alg': 'none'})}.{part(claims())}.",
        f"{part({'alg': 'None'})}.{part(claims())}.",
        f"{part({'alg': 'HS256'})}.{part(claims())}.",
        forged({"alg": "hs256"}),
        forged({"alg": "HS384"}),
        forged({"alg": ["HS256"]}),
        forged({"alg": None}),
        forged({}),
        forged({"alg": "HS256", "crit": ["exp"], "exp": 1}),
        forged({"alg": "HS256", "crit": ["b64"], "b64": False}),
        forged({"alg": "HS256", "b64": False}),
        forged({"alg": "HS256", "typ": "logout+jwt"}),
        forged({"alg": "HS256"}, b"another key, which is as long as the other"),
        forged({"alg": "HS256"}, b""),
        forged({"alg": "HS256"}, body=[claims()]),
        forged({"alg": "HS256"}, body="text"),
        forged({"alg": "HS256"}, body=b"[" * 3_000),
        forged(b"{" * 3_000),
        forged({"alg": "HS256"}, body=b"\xff\xfe"),
        "",
        ".",
        "..",
        "a.b.c",
        "a.b.c.d.e",
        "é" * 100,
        "x" * 9_000,
        forged({"alg": "HS256", "kid": "k" * 9_000}),
    ],
    ids=lambda token: token[:40],
)
def test_no_forgery_holds(token: str) -> None:
    assert tokens().read(token) is None


@pytest.mark.parametrize(
    "header",
    [{"jku": "https://evil.example"}, {"x5u": "https://evil.example"}, {"kid": "../../etc"}],
)
def test_addresses_of_keys_in_a_token_are_not_looked_at(header: dict[str, str]) -> None:
    assert tokens().read(forged({"alg": "HS256", **header})) == ANN
    own = {"jwk": public(OTHER_RSA)}
    assert tokens().read(signed(OTHER_RSA, "RS256", own)) is None


def test_a_changed_token_holds_at_no_place() -> None:
    token = signed(KEY)
    held = tokens()
    # The last letter of the signature holds two bits that nobody reads.
    for place in range(0, len(token) - 1, 7):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert held.read(changed) is None, place


# Known tokens


def test_a_token_that_is_known_still_runs_out() -> None:
    clock = FixedClock(NOON)
    held = tokens(clock)
    token = held.make(ANN, 60)
    assert held.read(token) == ANN
    clock.advance((60 + SKEW) * SECOND)
    assert held.read(token) is None


def test_a_token_that_is_known_is_still_shut_out() -> None:
    out: set[str] = set()
    held = tokens(is_out=lambda token, name: token in out or name in out)
    issued = held.issue(ANN, 60)
    assert held.read(issued.text) == ANN
    for each in (issued.id, "ann"):
        out.add(each)
        assert held.read(issued.text) is None
        out.clear()


def test_a_signature_is_checked_once_and_what_is_known_stays_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held, checks = tokens(), []
    monkeypatch.setattr("ringfence.service.access.tokens._MOST_KNOWN", 3)
    checked = held._checked
    monkeypatch.setattr(held, "_checked", lambda token: checks.append(token) or checked(token))
    made = [held.make(ANN, 60) for _ in range(5)]

    for token in made * 2:
        assert held.read(token) == ANN
        assert held.read(token) == ANN
    assert len(checks) == 10
    assert len(held._known) == 3
    # What does not hold takes no place.
    for number in range(10):
        assert held.read(f"{made[-1]}{number}") is None
    assert held.read(made[-1]) == ANN
    assert len(checks) == 20


# Words of another issuer


def test_the_issuers_words_for_roles_are_translated() -> None:
    words = Claims(
        "preferred_username", "groups", "books", {"risk": Role.RISK_OFFICER, "desk": Role.TRADER}
    )
    held = tokens(claims=words)

    def role(groups: Any, **more: Any) -> Role | None:
        found = held.read(
            signed(KEY, groups=groups, preferred_username="ann", books=["alpha"], **more)
        )
        return None if found is None else found.role

    assert role("risk") is Role.RISK_OFFICER
    assert role(["everybody", "desk"]) is Role.TRADER
    assert role(["desk", "risk"]) is None
    assert role(["admin"]) is None
    assert role("admin") is None
    assert role([["risk"], {"risk": 1}, 7, None]) is None
    assert role([]) is None
    assert held.read(signed(KEY, groups="risk")) is None


# Keys of an issuer


@pytest.fixture
def issuer():
    with issuing() as found:
        yield found


def of_issuer(issuer: Issuer, clock: FixedClock, algorithm: str = "RS256") -> Tokens:
    held = Tokens(Jwks(issuer.url, algorithm, clock), clock, algorithm=algorithm)
    held.fetch_keys()
    return held


def read(held: Tokens, token: str) -> Principal | None:
    """As the middleware does."""
    found = held.read(token)
    if held.wants_keys(token, found):
        held.fetch_keys()
        found = held.read(token)
    return found


def by_issuer(
    key: Any = RSA, name: str | None = "k1", algorithm: str = "RS256", **changed: Any
) -> str:
    return signed(key, algorithm, None if name is None else {"kid": name}, **changed)


def test_a_token_of_the_issuer_holds(issuer: Issuer) -> None:
    held = of_issuer(issuer, FixedClock(NOON))

    assert read(held, by_issuer()) == ANN
    assert read(held, by_issuer(name=None)) == ANN
    assert read(held, by_issuer(OTHER_RSA)) is None
    with pytest.raises(InputError, match="made by the issuer"):
        held.make(ANN, 60)


def test_an_elliptic_key_holds_for_its_own_algorithm(issuer: Issuer) -> None:
    issuer.keys = [public(EC)]
    assert (
        read(of_issuer(issuer, FixedClock(NOON), "ES256"), by_issuer(EC, algorithm="ES256")) == ANN
    )
    assert (
        of_issuer(issuer, FixedClock(NOON), "ES384").read(by_issuer(EC, algorithm="ES256")) is None
    )


def test_a_public_key_is_no_secret_to_sign_with(issuer: Issuer) -> None:
    held = of_issuer(issuer, FixedClock(NOON))
    pem = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    modulus = base64.urlsafe_b64decode(public(RSA)["n"] + "==")

    for key in (pem, pem.strip(), modulus, public(RSA)["n"].encode()):
        for algorithm in ("HS256", "RS256"):
            assert read(held, forged({"alg": algorithm, "kid": "k1"}, key)) is None
    issuer.keys = [{"kty": "oct", "k": part(KEY.encode()), "kid": "k1"}]
    assert read(of_issuer(issuer, FixedClock(NOON)), forged({"alg": "RS256", "kid": "k1"})) is None


def test_a_new_key_is_fetched_when_a_token_names_it_but_not_at_every_word(issuer: Issuer) -> None:
    clock = FixedClock(NOON)
    held = of_issuer(issuer, clock)
    issuer.keys = [public(RSA), public(OTHER_RSA, "k2")]
    new = by_issuer(OTHER_RSA, "k2")

    assert read(held, new) is None  # it was asked a moment ago
    clock.advance(30 * SECOND)
    assert read(held, new) == ANN
    asked = issuer.asked
    for number in range(20):
        assert read(held, by_issuer(OTHER_RSA, f"no such {number}")) is None
    assert issuer.asked == asked
    clock.advance(30 * SECOND)
    for number in range(20):
        read(held, by_issuer(OTHER_RSA, f"no such {number}"))
    assert issuer.asked == asked + 1
    # Rubbish that could not hold anyway asks for nothing.
    clock.advance(30 * SECOND)
    read(held, forged({"alg": "HS256", "kid": "k9"}))
    assert issuer.asked == asked + 1


def test_a_key_that_was_withdrawn_holds_no_longer_than_ten_minutes(issuer: Issuer) -> None:
    clock = FixedClock(NOON)
    held = of_issuer(issuer, clock)
    token = by_issuer(exp=NOW_S + 3_600)
    assert read(held, token) == ANN
    issuer.keys = [public(OTHER_RSA, "k2")]

    clock.advance(599 * SECOND)
    assert read(held, token) == ANN
    clock.advance(SECOND)
    assert read(held, token) is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, None),
        (302, None),
        (200, b"not json"),
        (200, b"[]"),
        (200, b'{"keys": []}'),
        (200, b'{"keys": "all"}'),
        (200, b'{"keys": [7, null, {}, {"kty": "RSA"}]}'),
        (200, b'{"keys": [' + b" " * 300_000 + b"]}"),
    ],
    ids=["500", "302", "no json", "list", "none", "text", "rubbish", "large"],
)
def test_the_last_good_keys_stay_while_none_can_be_had(
    issuer: Issuer, status: int, body: bytes | None
) -> None:
    clock = FixedClock(NOON)
    keys = Jwks(issuer.url, "RS256", clock)
    held = Tokens(keys, clock, algorithm="RS256")
    held.fetch_keys()
    issuer.status, issuer.body = status, body

    clock.advance(3_600 * SECOND)
    assert read(held, by_issuer(exp=NOW_S + 7_200)) == ANN
    assert keys.fault
    issuer.status, issuer.body, issuer.keys = 200, None, [public(OTHER_RSA, "k2")]
    clock.advance(30 * SECOND)
    assert read(held, by_issuer(OTHER_RSA, "k2", exp=NOW_S + 7_200)) == ANN
    assert keys.fault == ""


def test_an_issuer_that_is_not_there_lets_nobody_in() -> None:
    with issuing() as issuer:
        url = issuer.url
    held = Tokens(Jwks(url, "RS256", FixedClock(NOON)), FixedClock(NOON), algorithm="RS256")
    assert read(held, by_issuer()) is None


@pytest.mark.parametrize(
    "key",
    [
        public(RSA, use="enc"),
        public(RSA, alg="RS512"),
        public(RSA, key_ops=["sign"]),
        public(RSA, d="AQAB"),
        public(EC),
        public(rsa.generate_private_key(public_exponent=65537, key_size=1024)),
        {**public(RSA), "kid": 7},
    ],
    ids=["for encryption", "other algorithm", "signs", "private", "other kind", "short", "no name"],
)
def test_a_key_that_does_not_fit_is_left_out(issuer: Issuer, key: dict[str, Any]) -> None:
    issuer.keys = [key, public(OTHER_RSA, "k2")]
    held = of_issuer(issuer, FixedClock(NOON))

    assert read(held, by_issuer()) is None
    assert read(held, by_issuer(OTHER_RSA, "k2")) == ANN


@pytest.mark.parametrize(
    ("url", "fits"),
    [
        ("https://issuer.example/keys", True),
        ("http://127.0.0.1:8080/keys", True),
        ("http://[::1]/keys", True),
        ("http://localhost/keys", True),
        ("http://issuer.example/keys", False),
        ("http://127.0.0.1.evil.example/", False),
        ("http://localhost.evil.example/", False),
        ("http://localhost@evil.example/", False),
        ("https://user:secret@issuer.example/", False),
        ("file:///etc/passwd", False),
        ("ftp://issuer.example/", False),
        ("", False),
    ],
)
def test_keys_come_by_tls_or_from_this_machine(url: str, fits: bool) -> None:
    if fits:
        check_url(url)
        return
    with pytest.raises(ValueError, match="keys"):
        check_url(url)
