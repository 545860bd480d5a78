"""Secrets: where they come from, what is refused, and that none is ever shown."""

import base64
import logging
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.errors import InputError
from ringfence.runtime.approvals import Signer
from ringfence.runtime.credentials import (
    ALL_SECRETS,
    API_SECRET_KEY,
    DATABASE_PASSWORD,
    JWT_SECRET_KEY,
    KRAKEN_API_KEY,
    KRAKEN_SECRET,
    OPENAI_API_KEY,
    PRODUCTION_SECRETS,
    REDIS_PASSWORD,
    Secret,
    SecretKind,
    load_credentials,
)
from ringfence.runtime.ports import SeededRandom

pytestmark = pytest.mark.security

ALL = tuple(kind for kind in ALL_SECRETS if not kind.optional)
RANDOM = SeededRandom(3)
GOOD = {kind.name: kind.make(RANDOM) for kind in ALL}
PRODUCTION = {"RINGFENCE_ENVIRONMENT": "production"}


def test_sound_secrets_are_taken_in_production_which_is_the_default() -> None:
    for environ in ({**PRODUCTION, **GOOD}, GOOD):
        taken = load_credentials(ALL, environ)
        assert (taken.environment, taken.warnings) == ("production", ())
        assert {kind.name: taken.get(kind).reveal() for kind in ALL} == GOOD


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_a_secret_may_lie_in_a_file(kind: SecretKind, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(GOOD[kind.name] + "\n", encoding="utf-8")
    path = str(tmp_path / "secret")

    taken = load_credentials((kind,), {**PRODUCTION, f"{kind.name}_FILE": path})
    assert taken.get(kind).reveal() == GOOD[kind.name]
    with pytest.raises(InputError, match="is given twice"):
        load_credentials((kind,), {f"{kind.name}_FILE": path, kind.name: GOOD[kind.name]})


FAULTS = [
    (API_SECRET_KEY, "", "is not set"),
    (API_SECRET_KEY, "k3y-" * 7 + "abc", "fewer than 32 bytes"),
    (API_SECRET_KEY, "a" * 64, "repeats the same few letters"),
    (KRAKEN_API_KEY, "too-short", "is no API key"),
    (KRAKEN_API_KEY, "ä" * 56, "is no API key"),
    (KRAKEN_SECRET, "not base64!", "is not base64"),
    (KRAKEN_SECRET, base64.b64encode(b"x" * 63).decode(), "holds 63 bytes, not 64"),
    (KRAKEN_SECRET, "ключ", "is not base64"),
    (JWT_SECRET_KEY, "changeme", "fewer than 32 bytes"),
    (DATABASE_PASSWORD, "postgres", "fewer than 16 characters"),
    (DATABASE_PASSWORD, "ab" * 16, "repeats the same few letters"),
    (REDIS_PASSWORD, "a password of several words", "holds blanks"),
    (REDIS_PASSWORD, "pässwörter-und-mehr", "letters beyond ASCII"),
]


@pytest.mark.parametrize(("kind", "text", "fault"), FAULTS)
def test_what_is_unsound_stops_production_and_warns_in_development(
    kind: SecretKind, text: str, fault: str
) -> None:
    with pytest.raises(InputError, match=f"`{kind.name}` .*{fault}") as caught:
        load_credentials((kind,), {**PRODUCTION, kind.name: text})
    warned = load_credentials((kind,), {"RINGFENCE_ENVIRONMENT": "development", kind.name: text})

    assert len(warned.warnings) == 1
    assert fault in warned.warnings[0]
    if text:
        assert text not in str(caught.value) + warned.warnings[0]
        assert warned.get(kind).reveal() == text
    else:
        with pytest.raises(InputError, match="was not given"):
            warned.get(kind)


def test_an_optional_secret_may_be_left_out_and_is_checked_where_it_is_given(
    tmp_path: Path,
) -> None:
    key = OPENAI_API_KEY.make(RANDOM)
    (tmp_path / "key").write_text(key, encoding="utf-8")

    assert load_credentials((OPENAI_API_KEY,), PRODUCTION).find(OPENAI_API_KEY) is None
    for environ in ({"OPENAI_API_KEY": key}, {"OPENAI_API_KEY_FILE": str(tmp_path / "key")}):
        assert load_credentials((OPENAI_API_KEY,), environ).get(OPENAI_API_KEY).reveal() == key
    for wrong in ("sk-short", key.replace("sk-", "pk-"), "sk-" + "ä" * 60):
        with pytest.raises(InputError, match="`OPENAI_API_KEY` is no API key"):
            load_credentials((OPENAI_API_KEY,), {"OPENAI_API_KEY": wrong})


def test_every_secret_has_a_name_and_a_purpose_of_its_own() -> None:
    assert len({kind.name for kind in ALL_SECRETS}) == len(ALL_SECRETS)
    assert len({kind.purpose for kind in ALL_SECRETS}) == len(ALL_SECRETS)
    assert not [kind for kind in PRODUCTION_SECRETS if kind.optional]


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        load_credentials(ALL, PRODUCTION)

    assert all(kind.name in str(caught.value) for kind in ALL)


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b""])
def test_a_file_that_cannot_be_used_is_named(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)

    with pytest.raises(InputError, match=r"`API_SECRET_KEY` (cannot be read|is not set)"):
        load_credentials((API_SECRET_KEY,), {"API_SECRET_KEY_FILE": str(tmp_path / "secret")})


def test_an_unknown_environment_is_refused_without_naming_it() -> None:
    with pytest.raises(InputError, match="is no environment") as caught:
        load_credentials(ALL, {"RINGFENCE_ENVIRONMENT": "prod-with-a-secret", **GOOD})
    assert "prod-with" not in str(caught.value)


def test_testing_makes_its_own_and_reads_none() -> None:
    environ = {"RINGFENCE_ENVIRONMENT": "testing", **GOOD}
    made = load_credentials(ALL, environ, random=SeededRandom(9))

    for kind in ALL:
        text = made.get(kind).reveal()
        assert text != GOOD[kind.name]
        assert kind.fault(text) == ""
    assert Signer(made.get(API_SECRET_KEY).reveal().encode())


@given(text=st.text(min_size=6))
def test_no_secret_is_shown(text: str) -> None:
    secret = Secret(text)
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret:>20}",
        repr([secret]),
    ]

    assert set(shown) == {"Secret(***)", "[Secret(***)]"}
    assert secret == Secret(text)
    assert secret != Secret(text + "x")
    with pytest.raises(TypeError, match="unhashable"):
        hash(secret)
    with pytest.raises(TypeError, match="never written"):
        pickle.dumps(secret)


def test_credentials_show_none_either(caplog: pytest.LogCaptureFixture) -> None:
    taken = load_credentials(ALL, GOOD)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("a").debug("%s %r", taken, taken)

    assert not any(text in caplog.text + repr(taken) + str(taken) for text in GOOD.values())


OLD, NEW, OLDEST = (
    "0123456789abcdefghijklmnopqrstuv",
    "vutsrqponmlkjihgfedcba9876543210",
    "Z" * 3 + "abcdefghijklmnopqrstuvwxyz789",
)


def keys_of(environ: dict[str, str]) -> list[str]:
    taken = load_credentials((API_SECRET_KEY,), {**PRODUCTION, **environ})
    return [each.reveal() for each in taken.all_of(API_SECRET_KEY)]


def test_keys_that_came_before_stand_behind_the_one_that_signs(tmp_path: Path) -> None:
    file, empty = tmp_path / "key", tmp_path / "empty"
    file.write_text(f"{NEW}\n{OLD}\n\n", encoding="utf-8")
    empty.write_text("\n", encoding="utf-8")

    assert keys_of({"API_SECRET_KEY": NEW}) == [NEW]
    assert keys_of({"API_SECRET_KEY": NEW, "API_SECRET_KEY_PREVIOUS": OLD}) == [NEW, OLD]
    assert keys_of({"API_SECRET_KEY_FILE": str(file)}) == [NEW, OLD]
    both = {"API_SECRET_KEY_FILE": str(file), "API_SECRET_KEY_PREVIOUS": OLDEST}
    assert keys_of(both) == [NEW, OLD, OLDEST]
    ended = {"API_SECRET_KEY": NEW, "API_SECRET_KEY_PREVIOUS_FILE": str(empty)}
    assert keys_of(ended) == [NEW]


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        ({"API_SECRET_KEY_PREVIOUS": "short"}, "previous key 1 of `API_SECRET_KEY` has fewer than"),
        ({"API_SECRET_KEY_PREVIOUS_FILE": "/nowhere"}, "`API_SECRET_KEY_PREVIOUS` cannot be read"),
        ({"API_SECRET_KEY": f"{NEW}\n{OLD}\nshort"}, "previous key 2 of `API_SECRET_KEY` has"),
    ],
)
def test_a_key_that_came_before_is_checked_as_well(environ: dict[str, str], fault: str) -> None:
    with pytest.raises(InputError, match=fault) as caught:
        load_credentials((API_SECRET_KEY,), {**PRODUCTION, "API_SECRET_KEY": NEW, **environ})
    assert NEW not in str(caught.value)


def test_only_keys_that_sign_have_others_before_them() -> None:
    several = f"{GOOD['KRAKEN_SECRET']}\n{GOOD['KRAKEN_SECRET']}"
    with pytest.raises(InputError, match=r"is not base64|holds"):
        load_credentials((KRAKEN_SECRET,), {**PRODUCTION, "KRAKEN_SECRET": several})
