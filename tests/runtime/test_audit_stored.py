"""Rows for databases: the log's own text, secrets hidden, and no letter that a database refuses."""

from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.errors import AuditError
from ringfence.runtime.audit_codec import decode, encode
from ringfence.runtime.audit_head import chain_of, newest
from ringfence.runtime.audit_mask import Mask
from ringfence.runtime.audit_reader import AuditReader, RawRecord
from ringfence.runtime.audit_segments import payload_of
from ringfence.runtime.audit_stored import Stored, stored
from ringfence.runtime.ports import SYSTEM_FILES
from runtime.audit_logs import files_of, opened, write

pytestmark = pytest.mark.unit


def row(body: dict[str, Any], mask: Mask | None = None) -> Stored:
    raw = RawRecord(1, 2, "note", encode(body), "", "", "")
    return stored([raw], mask or Mask())[0]


@pytest.mark.parametrize(
    "body",
    [
        {"token": "abc"},
        {"a": [{"B": {"API-Key": 1}}]},
        {"a": "Bearer abcdefgh"},
        {"url": "redis://me:word@host/0"},
        {"to\u212aen": "abc"},  # a Kelvin sign, which is a `k` in lower case
        {"a": "ba\u017fic abcdefgh"},  # a long s, which matches an `s`
        {"a": 'say "basic abcdefgh"'},
        {"switch": ["firm", "halted", "ann", "drill, my Password: hunter2"]},
        {"reason": "api-key=abc and \u017fecret=x"},
    ],
    ids=str,
)
def test_whatever_the_mask_hides_is_hidden(body: dict[str, Any]) -> None:
    found = row(body)

    assert "***" in found.body
    assert decode(found.body.encode()) == Mask().hide(body)
    assert (found.masked, found.original) == (True, None)


@given(
    st.dictionaries(
        st.text(max_size=8) | st.sampled_from(["Secret", "xtokenx", "signature", "note"]),
        st.text(max_size=12)
        | st.sampled_from(["basic 12345678", "a://b:c@d", "passphrase = x"])
        | st.floats(),
        max_size=4,
    )
)
def test_the_short_cut_hides_what_a_full_look_hides(body: dict[str, Any]) -> None:
    raw = encode(body)

    found = row(body)

    assert (found.original or found.body).encode() == encode(Mask().hide(decode(raw)))
    assert found.masked == ((found.original or found.body).encode() != raw)


@pytest.mark.parametrize("mask", [Mask(["who*"]), Mask(["*"]), Mask(["[w]h?"]), Mask((), ["m[e]"])])
def test_a_mask_of_ones_own_is_heeded(mask: Mask) -> None:
    assert row({"who": "me"}, mask).masked


def test_what_hides_nothing_is_the_logs_own_text() -> None:
    body = {
        "nan": float("nan"),
        "$a": 1,
        "text": 'a "quoted" \u20ac \U0001f600 tab\t',
        "tokens": [],
    }

    found = row(body)

    assert found.masked  # `tokens`, like any name with `token` in it
    del body["tokens"]
    assert row(body).body.encode() == encode(body)
    assert not row(body).masked


def test_letters_that_databases_refuse_are_replaced_and_kept_beside() -> None:
    body = {"a\ud800": "nul \0, half \udc00, whole \U0001f600", "b": ["\0"]}

    found = row(body)

    assert found.original is not None
    assert found.original.encode() == encode(body)
    assert decode(found.body.encode()) == {
        "a\ufffd": "nul \ufffd, half \ufffd, whole \U0001f600",
        "b": ["\ufffd"],
    }


def test_a_rows_hash_can_be_computed_from_the_row(tmp_path: Path) -> None:
    write(tmp_path, 5)
    rows = stored(list(AuditReader(tmp_path).poll_raw()), Mask())

    for each in rows:
        payload = payload_of(each.body.encode(), each.kind, each.prev, each.sequence, each.ts_ns)
        assert sha256(payload).hexdigest() == each.hash
    assert [after.prev for _, after in pairwise(rows)] == [
        before.hash for before, _ in pairwise(rows)
    ]


def test_the_newest_record_is_found_from_the_end(tmp_path: Path) -> None:
    assert newest(tmp_path) is chain_of(tmp_path) is None
    opened(tmp_path).close()
    assert newest(tmp_path) is None
    write(tmp_path, 3)
    found = newest(tmp_path)
    assert found is not None
    assert (found.sequence, found.kind, found.body) == (3, "note", b'{"n":3}')


def test_the_newest_record_is_found_where_it_is_large_or_torn_or_a_file_is_empty(
    tmp_path: Path,
) -> None:
    with opened(tmp_path, segment_bytes=1_000) as log:
        for size in (10, 200_000, 300_000):
            log.append("note", {"a": "x" * size})
    for last in (3, 2):
        found = newest(tmp_path)
        assert found is not None
        assert found.sequence == last
        path = files_of(tmp_path)[-1]
        path.write_bytes(path.read_bytes()[:-1])
    # The last file is torn within its only record, and so is the one before it.
    path.unlink()
    found = newest(tmp_path)
    assert found is not None


def test_the_name_of_a_log_is_read_from_its_oldest_file(tmp_path: Path) -> None:
    write(tmp_path, 30, segment_bytes=1_000)
    header = chain_of(tmp_path)

    assert header is not None
    assert header.first == 1
    files_of(tmp_path)[0].write_bytes(b"nothing")
    with pytest.raises(Exception, match="damaged"):
        chain_of(tmp_path)


class Fading:
    """Files of which one was removed after it was listed, or that cannot be read at all."""

    def __init__(self, gone: Path | None) -> None:
        self._gone = gone

    def size(self, path: Path) -> int:
        if path == self._gone:
            raise FileNotFoundError(2, "No such file or directory")
        return SYSTEM_FILES.size(path)

    def read_from(self, path: Path, offset: int, size: int = -1) -> bytes:
        if self._gone is None:
            raise PermissionError(13, "Permission denied")
        return SYSTEM_FILES.read_from(path, offset, size)

    def __getattr__(self, name: str) -> Any:
        return getattr(SYSTEM_FILES, name)


def test_a_file_that_goes_meanwhile_is_passed_over_and_one_that_cannot_be_read_is_told(
    tmp_path: Path,
) -> None:
    write(tmp_path, 30, segment_bytes=1_000)
    last = files_of(tmp_path)[-1]

    found = newest(tmp_path, files=Fading(last))

    assert found is not None
    assert found.sequence == int(last.stem) - 1
    with pytest.raises(AuditError, match="permission denied"):
        newest(tmp_path, files=Fading(None))
