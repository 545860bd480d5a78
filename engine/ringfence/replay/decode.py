"""Arrow columns to numpy columns and codes, without touching rows one by one in Python."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ringfence.errors import InputError
from ringfence.replay.batches import Codes, Flags, Floats, Int8s, Times
from ringfence.replay.codes import UNKNOWN, NameTable, word_key

__all__ = [
    "NO_TIME",
    "NS_PER_UNIT",
    "NameDecoder",
    "TimeDecoder",
    "WordDecoder",
    "flags",
    "floats",
    "nanoseconds",
    "whole_numbers",
]

#: The time of a row that has none.
NO_TIME = np.iinfo(np.int64).min
# The code of the name at place 0 of a dictionary while it has none; those behind it go on below.
_NEW = UNKNOWN - 1
#: Nanoseconds in each of Arrow's units of time.
NS_PER_UNIT = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1000, "ns": 1}
_MAGNITUDES = (
    (100_000_000_000, 1_000_000_000, "seconds"),
    (100_000_000_000_000, 1_000_000, "milliseconds"),
    (100_000_000_000_000_000, 1000, "microseconds"),
)


def _texts(dictionary: pa.Array) -> list[str | None]:
    try:
        found: list[str | None] = dictionary.to_pylist()
    except UnicodeDecodeError:
        raise _broken("a text that is not UTF-8") from None
    return found


def _taken(table: npt.NDArray[Any], indices: pa.Array) -> npt.NDArray[Any]:
    """What the table holds for places in a dictionary; its last entry where they are missing."""
    if indices.null_count:
        indices = pc.fill_null(indices, len(table) - 1)
    try:
        taken: npt.NDArray[Any] = table.take(indices.to_numpy(zero_copy_only=False))
    except IndexError:
        # Arrow hands such places out as they are.
        raise _broken("a text that its dictionary lacks") from None
    return taken


def _broken(what: str) -> InputError:
    return InputError(f"a source's Parquet holds {what}", "check that the file is whole")


class NameDecoder:
    """Names of one column to codes of a table, new names in order of first appearance.

    A missing or empty name gets -1 where `required`, else the code of the empty name.

    Attributes:
        codes: By place in the dictionary at hand, one more for a missing name; below `UNKNOWN` where a
            name has no code yet.
    """

    def __init__(self, table: NameTable, *, required: bool) -> None:
        self._table = table
        self._required = required
        self._dictionary: pa.Array | None = None
        self._names: list[str] = []
        self.codes: Codes = np.empty(0, np.int32)
        self._open = True

    def __call__(self, column: pa.Array) -> Codes:
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        dictionary = column.dictionary
        if self._dictionary is None or not dictionary.equals(self._dictionary):
            self.use(_texts(dictionary))
            self._dictionary = dictionary
        return self.named(_taken(self.codes, column.indices))

    def use(self, dictionary: Sequence[str | None]) -> None:
        """Take names from this dictionary from now on."""
        # The last place stands for a missing name.
        self._names = [(name or "").strip(" ") for name in dictionary] + [""]
        self._dictionary = None
        self._look_up()

    def named(self, codes: Codes) -> Codes:
        """Give names without a code the next ones, in their order in `codes`, and put them there."""
        if self._open and len(codes) and codes.min() < UNKNOWN:
            unknown = codes < UNKNOWN
            places = _NEW - codes[unknown]
            new, first = np.unique(places, return_index=True)
            for place in new[np.argsort(first)]:
                self._table.add(self._names[place])
            self._look_up()
            codes[unknown] = self.codes.take(places)
        return codes

    def _look_up(self) -> None:
        known = [self._code(place, name) for place, name in enumerate(self._names)]
        self.codes = np.array(known, np.int32)
        self._open = bool((self.codes < UNKNOWN).any())

    def _code(self, place: int, name: str) -> int:
        if not name and self._required:
            return -1
        code = self._table.code(name)
        return _NEW - place if code is None else code


class WordDecoder:
    """Words of a fixed list to their codes; missing words get `missing`, unknown ones `UNKNOWN`."""

    def __init__(
        self, words: Mapping[str, int], *, missing: int = UNKNOWN, signs: bool = False
    ) -> None:
        self._words = words
        self._missing = missing
        self._key: Callable[[str], str] = (
            (lambda text: text.strip(" ").lower()) if signs else word_key
        )

    def __call__(self, column: pa.Array) -> Int8s:
        if pa.types.is_integer(column.type):
            filled = pc.fill_null(column, self._missing) if column.null_count else column
            numbers = filled.to_numpy(zero_copy_only=False)
            return np.array(numbers, np.int8)
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        return _taken(self.codes([*_texts(column.dictionary), None]), column.indices)

    def codes(self, words: Sequence[str | None]) -> Int8s:
        """The code of each word."""
        return np.array([self._code(word) for word in words], np.int8)

    def _code(self, word: str | None) -> int:
        key = self._key(word or "")
        return self._words.get(key, UNKNOWN) if key else self._missing


class TimeDecoder:
    """Timestamps or whole numbers to int64 nanoseconds; missing times become `NO_TIME`.

    The unit of whole numbers is that of the first time seen, by its magnitude; `unit` names it.
    """

    def __init__(self) -> None:
        self.unit = ""
        self._factor = 0

    def __call__(self, column: pa.Array) -> Times:
        if pa.types.is_timestamp(column.type):
            factor = NS_PER_UNIT[column.type.unit]
            whole = column.view(pa.int64())
        else:
            whole = column if pa.types.is_int64(column.type) else column.cast(pa.int64())
            factor = self._factor or self._detect(whole)
        missing = whole.null_count > 0
        if missing:
            valid = whole.is_valid().to_numpy(zero_copy_only=False)
            whole = pc.fill_null(whole, 0)
        numbers = whole.to_numpy(zero_copy_only=False)
        times = nanoseconds(np.array(numbers, np.int64), factor)
        if missing:
            times[~valid] = NO_TIME
        return times

    def _detect(self, whole: pa.Array) -> int:
        known = whole.drop_null()
        if not len(known):
            return 1
        first = abs(known[0].as_py())
        factor, self.unit = next(
            ((factor, unit) for below, factor, unit in _MAGNITUDES if first < below),
            (1, "nanoseconds"),
        )
        self._factor = factor
        return factor


def nanoseconds(times: Times, factor: int) -> Times:
    """Multiply times in place; what is out of range becomes `NO_TIME`."""
    if factor > 1:
        out_of_range = np.abs(times) > np.iinfo(np.int64).max // factor
        times *= factor
        times[out_of_range] = NO_TIME
    return times


def floats(column: pa.Array) -> Floats:
    """Return a numeric column as float64, NaN where missing."""
    if not pa.types.is_float64(column.type):
        column = column.cast(pa.float64(), safe=False)
    return np.array(column.to_numpy(zero_copy_only=False), np.float64)


def flags(column: pa.Array) -> Flags:
    """Return a boolean or whole-number column as 0 and 1; missing is 0."""
    if column.null_count:
        column = pc.fill_null(column, False if pa.types.is_boolean(column.type) else 0)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    return np.array(column.to_numpy(zero_copy_only=False) != 0, np.uint8)


def whole_numbers(column: pa.Array) -> Times:
    """Return a whole-number column without missing values as int64."""
    return np.array(column.to_numpy(zero_copy_only=False), np.int64)
