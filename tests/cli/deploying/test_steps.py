"""A deployment step by step: what is changed, what is taken back, and what nobody touches."""

import os
from pathlib import Path

import pytest

from cli.deploying.deployments import CHANGES, ROOT, Make, quiet, real, results
from cli.recording_engine import NEW, OLD, OLD_SET, RecordingEngine
from ringfence.cli.deploying import changing, run
from ringfence.cli.deploying.deployment import Deployment, Machine
from ringfence.cli.deploying.report import report_data
from ringfence.cli.deploying.run import STEPS, Wish, deploy
from ringfence.cli.deploying.step import Outcome, Result, Severity
from ringfence.errors import InputError

pytestmark = pytest.mark.integration


def test_what_is_sound_is_deployed(make: Make, engine: RecordingEngine) -> None:
    deployment = make()
    done = deploy(
        deployment,
        Wish(),
        quiet,
        real("engine", "compose", "files", "secrets", "modes", "hardening", *CHANGES),
    )

    assert set(results(done).values()) == {"passed"}, done
    assert list(done.outcomes) == [each.name for each in STEPS]
    assert (done.exit_code, engine.state["runs"]) == (0, NEW)
    assert (deployment.previous.image, deployment.previous.policy_set) == (OLD, OLD_SET)
    changing_words = [each for each in engine.asked if "build" in each or " up" in each]
    assert changing_words == ["compose build", "compose up --detach --no-build"]


@pytest.mark.parametrize(("fail", "step"), [("compose up", "start"), ("compose ps", "health")])
def test_a_step_that_fails_after_the_start_goes_back(
    fail: str, step: str, make: Make, engine: RecordingEngine
) -> None:
    def break_it(_: Deployment) -> Outcome:
        engine.change(fail=[fail])
        return Outcome(Result.PASSED, "broken")

    def mend_it(deployment: Deployment) -> Outcome:
        engine.change(fail=[])
        return changing.go_back(deployment)

    steps = real(*CHANGES)
    # Broken once the images are built; whole again on the way back.
    build = next(each for each in steps if each.name == "build")

    def build_and_break(deployment: Deployment) -> Outcome:
        built = build.run(deployment)
        break_it(deployment)
        return built

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "go_back", mend_it)
        done = deploy(make(), Wish(), quiet, real("start", "health", build=build_and_break))

    assert done.failed == [step]
    assert results(done)["smoke"] == "not-run"
    assert results(done)["rollback"] == "passed"
    assert (engine.state["runs"], engine.state["policy_set"]) == (OLD, OLD_SET)
    assert done.exit_code == 1


@pytest.mark.parametrize("health", ["unhealthy", "exited"])
def test_an_image_that_does_not_get_well_is_taken_back_with_its_policy_set(
    health: str, make: Make, engine: RecordingEngine
) -> None:
    engine.change(health={NEW: health})
    moments = iter(range(100))
    waited: list[float] = []

    done = deploy(
        make(
            machine=Machine(ports={}, patience_s=5),
            elapsed=lambda: next(moments),
            wait=waited.append,
        ),
        Wish(),
        quiet,
        real(*CHANGES),
    )

    assert done.failed == ["health"]
    (finding,) = done.outcomes["health"].findings
    told = "ended with 3" if health == "exited" else "is unhealthy"
    assert finding.message == f"service `ringfence` {told}"
    # What has ended gets no better by waiting.
    assert bool(waited) == (health == "unhealthy")
    assert (engine.state["runs"], engine.state["policy_set"]) == (OLD, OLD_SET)
    back = engine.asked[engine.asked.index("compose up --detach --no-build") + 1 :]
    assert "tag ringfence:before-deployment ringfence:local" in back
    assert any(f"--rollback {OLD_SET} --by" in each for each in back)
    assert "policy set aaaaaaaaaaaa is in force" in done.outcomes["rollback"].said


def test_the_set_is_looked_at_once_the_service_has_started_again(
    make: Make, engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it starts nobody takes a rollback, and none may be needed."""
    waits = {"compose exec": True}
    engine.change(health={NEW: "exited"})

    def start(_: Deployment) -> None:
        engine.change(fail=[], policy_set=OLD_SET)
        waits.clear()

    def began(deployment: Deployment) -> Outcome:
        outcome = changing.start(deployment)
        engine.change(fail=list(waits))
        return outcome

    monkeypatch.setattr(changing, "wait_for_start", start)
    done = deploy(make(), Wish(), quiet, real("build", "health", start=began))

    assert (done.failed, results(done)["rollback"]) == (["health"], "passed")
    assert not [each for each in engine.asked if "--rollback" in each]
    assert "policy set aaaaaaaaaaaa is in force" in done.outcomes["rollback"].said


def test_what_ran_before_comes_back_where_the_image_was_built_elsewhere(
    make: Make, engine: RecordingEngine
) -> None:
    engine.change(health={NEW: "exited"}, images={"ringfence:local": NEW})

    done = deploy(make(), Wish(skip=frozenset({"build"})), quiet, real(*CHANGES))

    assert (done.failed, results(done)["build"]) == (["health"], "skipped")
    assert (engine.state["runs"], engine.state["policy_set"]) == (OLD, OLD_SET)


def test_a_new_one_that_does_not_answer_as_it_should_is_taken_back(
    make: Make, engine: RecordingEngine
) -> None:
    def fails(_: Deployment) -> Outcome:
        raise InputError("the guard does not decide", "see the log")

    done = deploy(make(), Wish(), quiet, real(*CHANGES, smoke=fails))

    assert (done.failed, engine.state["runs"]) == (["smoke"], OLD)
    assert done.outcomes["smoke"].findings[0].message == "the guard does not decide"


def test_a_first_deployment_that_fails_leaves_nothing_running(
    make: Make, engine: RecordingEngine
) -> None:
    engine.write(images={}, runs="", fail=[], health={NEW: "exited"}, policy_set="", ports=[])

    done = deploy(make(), Wish(), quiet, real(*CHANGES))

    assert done.outcomes["rollback"].said == "stopped: nothing ran before"
    assert (engine.asked[-1], engine.state["runs"]) == ("compose down", "")


def test_a_way_back_that_fails_says_so(make: Make, engine: RecordingEngine) -> None:
    engine.change(health={NEW: "exited", OLD: "unhealthy"})
    moments = iter(range(100))
    deployment = make(
        machine=Machine(ports={}, patience_s=5), elapsed=lambda: next(moments), wait=str
    )

    done = deploy(deployment, Wish(), quiet, real(*CHANGES))

    assert done.failed == ["health", "rollback"]
    assert "see to it now" in report_data(deployment, Wish(), done, 0)["headline"]


def test_a_policy_set_that_nobody_can_tell_is_left_alone(
    make: Make, engine: RecordingEngine
) -> None:
    engine.change(health={NEW: "exited"}, fail=["compose exec"])

    done = deploy(make(), Wish(), quiet, real(*CHANGES))

    assert (results(done)["rollback"], engine.state["runs"]) == ("passed", OLD)
    assert "policy set" not in done.outcomes["rollback"].said


def test_a_build_that_fails_touches_nothing_that_runs(make: Make, engine: RecordingEngine) -> None:
    engine.change(fail=["compose build"])

    done = deploy(make(), Wish(), quiet, real(*CHANGES))

    assert done.failed == ["build"]
    assert "rollback" not in done.outcomes
    assert (engine.state["runs"], engine.state["images"]["ringfence:local"]) == (OLD, OLD)


def test_both_gates_are_run_and_nothing_is_changed_after_one_failed(
    make: Make, engine: RecordingEngine
) -> None:
    def fails(_: Deployment) -> Outcome:
        raise InputError("no", "")

    done = deploy(make(), Wish(), quiet, real(*CHANGES, policies=fails))

    assert {name: results(done)[name] for name in ("policies", "tests", "build")} == {
        "policies": "failed",
        "tests": "passed",
        "build": "not-run",
    }
    assert engine.asked == []


def test_a_dry_run_changes_nothing_and_says_what_it_would_do(
    make: Make, engine: RecordingEngine
) -> None:
    deployment, wish = make(), Wish(dry_run=True)
    before = engine.state

    done = deploy(deployment, wish, quiet, real("engine", "compose", "ports", *CHANGES))

    assert engine.state == before
    assert done.outcomes["build"] == Outcome(Result.PLANNED, "would build the images")
    assert done.outcomes["health"].said == "would see that every service is healthy"
    assert report_data(deployment, wish, done, 0)["headline"].startswith(
        "dry run: nothing was changed"
    )


def test_what_is_skipped_is_named_and_production_wants_a_reason(make: Make) -> None:
    done = deploy(make(), Wish(skip=frozenset({"tests"}), reason="CI ran them"), quiet, real())
    assert done.outcomes["tests"] == Outcome(Result.SKIPPED, "skipped: CI ran them")

    for name in ("secrets", "modes", "hardening", "bandit", "pip-audit"):
        skip = frozenset({name})
        assert "only with a reason" in Wish(skip=skip, reason=" ").faults(make())
        assert Wish(skip=skip, reason="offline").faults(make()) == ""
        assert Wish(skip=skip).faults(make("development")) == ""
    assert "`all` is no step" in Wish(skip=frozenset({"all"})).faults(make())


def test_policies_that_do_not_validate_stop_at_their_gate(make: Make, root: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "engine")}
    desk = (ROOT / "policies" / "desk.yaml").read_text("utf-8")
    (root / "policies" / "desk.yaml").write_text(desk.replace("kind: Policy\n", "kind: Polity\n"))

    (finding,) = changing.policy_gate(make(environ=environ)).findings

    assert (
        "`python -m ringfence.cli.main ci --policies policies --no-approvals` ended with"
        in finding.message
    )
    assert "Polity" in finding.message


def test_the_tests_are_run_where_they_are(make: Make, root: Path) -> None:
    assert changing.tests(make()).findings[0].severity is Severity.UNKNOWN
    (root / "tests").mkdir()
    test = root / "tests" / "test_it.py"
    test.write_text("import pytest\n\n@pytest.mark.smoke\ndef test_it():\n    assert 1\n")
    options = {
        **os.environ,
        "PYTEST_ADDOPTS": "-p no:cacheprovider -W ignore::pytest.PytestUnknownMarkWarning",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    assert changing.tests(make(environ=options)).result is Result.PASSED
    test.write_text(test.read_text().replace("assert 1", "assert 0"))
    assert changing.tests(make(environ=options)).result is Result.FAILED
    assert changing.tests(make(python="/nowhere")).result is Result.FAILED


def test_without_an_engine_nothing_is_changed(make: Make) -> None:
    for step in (changing.build, changing.start, changing.health, changing.go_back):
        with pytest.raises(InputError, match="no container engine"):
            step(make(engine=None))
