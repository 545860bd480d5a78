"""`Idempotency-Key`: what is kept, for how long, and what a restart leaves behind."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ringfence.errors import InputError, LedgerError, StateError
from ringfence.runtime.ports import FixedClock
from ringfence.service.api.answers import KEPT_NS, Answers
from ringfence.service.api.problems import Problem

pytestmark = pytest.mark.unit


def request(body=b"{}", path="/v1/balances", who="ann"):
    return SimpleNamespace(
        user=SimpleNamespace(name=who),
        method="POST",
        url=SimpleNamespace(path=path, query=""),
        scope={"state": {"body": body}},
        route_handler=SimpleNamespace(status_code=200),
    )


@pytest.fixture
def clock():
    return FixedClock(1_000)


@pytest.fixture
def opened(tmp_path, clock):
    """Opens the file, as another process would, which lives `beside` those before it or after them."""
    made = []

    def again(*, beside=False, **given):
        while made and not beside:
            made.pop().close()
        made.append(Answers(tmp_path / "requests" / "answers.sqlite", clock, **given))
        return made[-1]

    yield again
    for each in made:
        each.close()


def kind_of(answers, key="k", **given):
    with pytest.raises(Problem) as refused:
        answers.answer(key, request(**given), lambda: {"n": 2})
    return refused.value.kind.name


def test_a_known_answer_outlives_a_restart(opened):
    assert opened().answer("k", request(), lambda: {"n": 1}) == {"n": 1}
    replayed = opened().answer("k", request(), lambda: {"n": 2})
    assert replayed.content == b'{"n":1}'
    assert replayed.headers["idempotency-replayed"] == "true"


def test_a_request_that_nobody_knows_the_end_of_is_not_done_again(opened):
    def killed():
        raise SystemExit

    first = opened()
    with pytest.raises(SystemExit):
        first.answer("k", request(), killed)
    assert kind_of(first) == "idempotency-unknown"
    assert kind_of(opened()) == "idempotency-unknown"


def test_a_request_that_is_being_answered_is_not_done_beside(opened):
    answers, seen = opened(), []

    def slow():
        seen.append(kind_of(answers))
        return {}

    answers.answer("k", request(), slow)
    assert seen == ["idempotency-running"]


def test_a_request_that_another_process_answers_is_not_done_beside(opened):
    first, second = opened(), opened(beside=True)
    seen = []

    def slow():
        seen.append(kind_of(second))
        return {"n": 1}

    first.answer("k", request(), slow)
    assert seen == ["idempotency-running"]
    assert second.answer("k", request(), lambda: {"n": 2}).content == b'{"n":1}'


def test_of_processes_that_begin_at_the_same_time_one_does_it(tmp_path):
    done = tmp_path / "done"
    done.touch()
    words = "import sys; from service.api.test_answers import do_once; do_once(sys.argv[1], sys.argv[2])"
    path = os.pathsep.join(sys.path)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", words, str(tmp_path), str(done)],
            env={**os.environ, "PYTHONPATH": path},
        )
        for _ in range(2)
    ]
    assert [each.wait(120) for each in processes] == [0, 0]
    assert done.read_text() == "".join(f"{key}\n" for key in range(50))


def do_once(folder, done):
    """Asks for the same things as others do, each under the same key."""
    answers = Answers(Path(folder) / "requests" / "answers.sqlite", FixedClock(1_000))

    def act(key):
        with open(done, "a", encoding="ascii") as file:
            file.write(f"{key}\n")
        return {}

    for key in range(50):
        # Whoever comes second waits until the first is through.
        while True:
            try:
                answers.answer(f"k{key}", request(), lambda key=key: act(key))
                break
            except Problem as problem:
                if problem.kind.name != "idempotency-running":
                    raise
    answers.close()


@pytest.mark.parametrize(
    ("error", "then"), [(LedgerError("no"), None), (StateError("half"), "idempotency-unknown")]
)
def test_only_what_took_no_effect_may_be_tried_again(opened, error, then):
    answers = opened()

    def fails():
        raise error

    with pytest.raises(type(error)):
        answers.answer("k", request(), fails)
    if then is None:
        assert answers.answer("k", request(), lambda: {"n": 2}) == {"n": 2}
    else:
        assert kind_of(answers) == then


def test_a_key_stands_for_one_request_of_one_person(opened):
    answers = opened()
    answers.answer("k", request(), lambda: {"n": 1})
    assert kind_of(answers, body=b"[]") == "idempotency-mismatch"
    assert kind_of(answers, path="/v1/fills/direct") == "idempotency-mismatch"
    assert answers.answer("k", request(who="bea"), lambda: {"n": 2}) == {"n": 2}


def test_keys_are_kept_for_a_day(opened, clock):
    opened().answer("k", request(), lambda: {"n": 1})
    clock.advance(KEPT_NS + 1)
    assert opened().answer("k", request(), lambda: {"n": 2}) == {"n": 2}


def test_only_so_many_keys_are_kept(opened, clock):
    answers = opened(most=2)
    for key in "abcd":
        clock.advance(1)
        answers.answer(key, request(), lambda: {"n": 1})
    assert opened(most=2, beside=True).answer("a", request(), lambda: {"n": 2}) == {"n": 2}
    assert answers.answer("d", request(), lambda: {"n": 2}).content == b'{"n":1}'


def test_where_no_key_can_be_written_down_nothing_is_done_and_that_is_told(opened):
    answers, done = opened(), []
    answers._database.execute("PRAGMA query_only = ON")
    with pytest.raises(StateError, match="cannot be written down"):
        answers.answer("k", request(), lambda: done.append(1))
    assert done == []


@pytest.mark.parametrize("error", [None, InputError("no"), StateError("gone")])
def test_an_end_that_cannot_be_written_down_is_told_once_and_unknown_from_then_on(opened, error):
    answers = opened()

    def act():
        answers._database.execute("PRAGMA query_only = ON")
        if error is not None:
            raise error
        return {"n": 1}

    if error is None:
        assert answers.answer("k", request(), act) == {"n": 1}
    else:
        with pytest.raises(type(error)):
            answers.answer("k", request(), act)
    assert kind_of(answers) == "idempotency-unknown"
