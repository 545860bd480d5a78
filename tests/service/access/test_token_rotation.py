"""Tokens in flight while the key that signs them is followed by another one."""

import threading

import pytest

from ringfence.runtime.credentials import Secret
from ringfence.runtime.ports import FixedClock
from ringfence.service.access.rights import Principal, Role
from ringfence.service.access.tokens import Tokens

pytestmark = [pytest.mark.unit, pytest.mark.security]

OLD, NEW = Secret("0123456789abcdefghijklmnopqrstuv"), Secret("vutsrqponmlkjihgfedcba9876543210")
# As `docs/how-to/rotate-keys.md` has it.
STEPS = ((OLD,), (OLD, NEW), (NEW, OLD), (NEW,))
ANN = Principal("ann", Role.VIEWER)


def tokens(step: int) -> Tokens:
    return Tokens(STEPS[step], FixedClock(1_767_614_400_000_000_000))


def test_processes_that_are_one_step_apart_take_each_others_tokens() -> None:
    for made in range(4):
        token = tokens(made).make(ANN, 60)
        taken = [tokens(read).read(token) == ANN for read in range(4)]
        assert all(taken[max(0, made - 1) : made + 2])


def test_a_token_in_flight_holds_until_its_key_is_forgotten() -> None:
    here = tokens(0)
    before = here.make(ANN, 60)
    for keys in STEPS[1:3]:
        here.renew(keys)
        assert here.read(before) == ANN
    after = here.make(ANN, 60)

    here.renew(STEPS[3])

    # Also where it was read before, and so is known.
    assert here.read(before) is None
    assert here.read(after) == ANN


def test_no_request_is_refused_while_keys_change() -> None:
    here, stopping, refused = tokens(0), threading.Event(), []
    read = threading.Semaphore(0)

    def ask() -> None:
        while not stopping.is_set():
            token = here.make(ANN, 60)
            if here.read(token) != ANN:
                refused.append(token)
            read.release()

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for keys in STEPS[1:]:
            for _ in range(50):
                assert read.acquire(timeout=60)
            here.renew(keys)
    finally:
        stopping.set()
        asking.join()

    assert refused == []
