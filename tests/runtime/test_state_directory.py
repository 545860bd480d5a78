"""A guard's files: every event and snapshot comes back bit for bit, whichever way it was written."""

import json
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.errors import StateError
from ringfence.runtime.ports import SYSTEM_FILES
from ringfence.runtime.state_directory import StateDirectory

pytestmark = pytest.mark.unit

any_float = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack(">d", bits.to_bytes(8))[0])
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | any_float.filter(lambda number: not math.isnan(number))
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["null", "NaN", "\ud800", '"'])
    | st.just(math.nan),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)
events = st.lists(values, max_size=8)


def bits(value: Any) -> Any:
    """The value with each float as its 64 bits, and with its types; one NaN is as good as another."""
    if isinstance(value, float):
        return ("float", "nan" if math.isnan(value) else struct.pack(">d", value))
    if isinstance(value, dict):
        return {key: bits(each) for key, each in value.items()}
    if isinstance(value, list):
        return [bits(each) for each in value]
    return (type(value).__name__, value)


def opened(directory: Path) -> StateDirectory:
    return StateDirectory(directory, SYSTEM_FILES, "process")


@given(told=st.lists(events, max_size=6), snapshot=st.dictionaries(st.text(max_size=4), values))
def test_what_was_written_comes_back_bit_for_bit(
    told: list[list[Any]], snapshot: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("state")
    store = opened(directory)
    store.renew(snapshot)
    for event in told:
        store.append(event)
    store.close()

    store = opened(directory)
    found, read = store.read()
    store.close()

    assert bits(found) == bits(snapshot)
    assert bits(read) == bits(told)


def test_a_state_of_the_first_format_is_still_read(tmp_path: Path) -> None:
    snapshot, event = {"now": 1, "fx": math.nan}, ["mark", 2, "BTC", math.nan, math.inf, None]
    for name, head, value in (
        ("snapshot-000000000001", b"ringfence-state 1 %08x\n", snapshot),
        ("journal-000000000001", b"%08x ", event),
    ):
        text = json.dumps(value, separators=(",", ":")).encode()
        content = head % zlib.crc32(text) + text
        if name.startswith("journal"):
            # Checksums did not go on from one record to the next.
            content = 2 * (content + b"\n")
        (tmp_path / name).write_bytes(content)

    store = opened(tmp_path)
    found, events = store.read()
    store.close()

    assert bits(found) == bits(snapshot)
    assert bits(events) == bits([event, event])


def test_a_number_that_msgpack_does_not_hold_is_kept(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.renew({"lots": 10**40})
    store.close()
    store = opened(tmp_path)
    assert store.read()[0] == {"lots": 10**40}
    store.close()


@pytest.mark.parametrize("content", [b"ringfence-state 3 %08x\n", b"ringfence-state 2 %08x0\n"])
def test_another_format_or_checksum_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "snapshot-000000000001").write_bytes(content % zlib.crc32(b""))
    store = opened(tmp_path)
    with pytest.raises(StateError):
        store.read()
    store.close()
