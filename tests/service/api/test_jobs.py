"""What takes longer than a request: dry runs and checks of the log, as jobs."""

import json
import sys
import threading

import pytest

from ringfence.errors import InputError
from ringfence.runtime.ports import FixedClock
from ringfence.service import jobs as jobs_module
from ringfence.service.jobs import MOST_WAITING, Jobs

pytestmark = pytest.mark.integration
CSV = (
    "ts,account,strategy,symbol,side,type,size,price\n"
    "2026-01-05T10:00:00Z,alpha,taker,BTC/USDT,buy,limit,0.01,50000\n"
)


@pytest.fixture
def uploaded(ask):
    """A file of orders."""
    told = ask("PUT", "/v1/dry-runs/uploads/orders.csv", "officer", content=CSV).json()
    assert told == {"name": "orders.csv", "bytes": len(CSV)}
    return "orders.csv"


def over(ask, path):
    """The job at a path, once it is over."""
    kind = "dry-run" if "dry-runs" in path else "verify"
    jobs = ask.client.app.state.jobs
    job = jobs.get(path.rsplit("/", 1)[1], kind)
    assert jobs.wait(job, 120)
    return ask("GET", path, "viewer").json()


def test_a_dry_run_is_made_and_read(ask, uploaded):
    body = {"orders": uploaded, "equity": "1000000", "mode": "propagated", "base": "active"}
    started = ask("POST", "/v1/dry-runs", "officer", json=body)
    assert started.status_code == 202
    path = started.headers["location"]
    told = over(ask, path)
    assert (told["state"], told["done"], told["total"]) == ("done", 1, 1), told["problem"]
    assert told["about"]["policies"] == ask.desk.guard.policy_set
    assert told["result"]["summary"]["schema"] == "ringfence/dry-run-summary/v1"
    report = ask("GET", f"{path}/report", "viewer")
    assert report.headers["content-type"] == "text/html; charset=utf-8"
    assert "sandbox" in report.headers["content-security-policy"]
    assert path.endswith(ask("GET", "/v1/dry-runs", "viewer").json()["jobs"][0]["id"])
    assert ask("DELETE", path, "officer").status_code == 409
    for each in ("/v1/dry-runs", path, f"{path}/report"):
        assert ask("GET", each).status_code == 403


def test_a_dry_run_is_told_how_long_halted_books_stay_so(ask, uploaded):
    body = {"orders": uploaded, "equity": "1000000", "halts_until": "end"}
    told = over(ask, ask("POST", "/v1/dry-runs", "officer", json=body).headers["location"])
    assert (told["state"], told["about"]["halts_until"]) == ("done", "end"), told["problem"]
    report = ask.client.app.state.jobs.folder_of(told["id"]) / "report" / "request.json"
    assert json.loads(report.read_text())["request"]["halts_until"] == "end"
    assert ask(
        "POST", "/v1/dry-runs", "officer", json={**body, "halts_until": "week"}
    ).is_client_error


def test_a_dry_run_that_fails_says_why(ask):
    ask("PUT", "/v1/dry-runs/uploads/bad.csv", "officer", content="no,orders\n1,2\n")
    started = ask("POST", "/v1/dry-runs", "officer", json={"orders": "bad.csv"})
    told = over(ask, started.headers["location"])
    assert told["state"] == "failed"
    assert told["problem"]["message"]


@pytest.mark.parametrize("path", ["../audit.duckdb", "/etc/passwd", "no.csv", "a//b", "*.csv"])
def test_files_outside_of_the_directory_are_not_read(ask, path):
    answer = ask("POST", "/v1/dry-runs", "officer", json={"orders": path})
    assert answer.status_code in (409, 422)


def test_a_link_leads_nowhere(ask, uploaded):
    folder = ask.desk.settings.data / "uploads"
    assert (folder / uploaded).is_file()
    (folder / "link.csv").symlink_to(ask.desk.settings.data / "audit.duckdb")
    answer = ask("POST", "/v1/dry-runs", "officer", json={"orders": "link.csv"})
    assert answer.status_code == 409


def test_a_file_that_is_too_large_is_not_kept(ask, monkeypatch):
    about = ask.desk.settings.jobs.model_copy(update={"max_upload": 10})
    settings = ask.desk.settings.model_copy(update={"jobs": about})
    monkeypatch.setattr(ask.desk, "settings", settings)
    answer = ask("PUT", "/v1/dry-runs/uploads/large.csv", "officer", content="x" * 11)
    assert answer.status_code == 413
    assert not list((settings.data / "uploads").glob("*large*"))


def test_the_log_is_checked(ask):
    started = ask("POST", "/v1/audit/verify", "officer")
    told = over(ask, started.headers["location"])
    assert told["result"]["whole"] is True
    assert ask("GET", "/v1/audit/verify/00", "viewer").status_code == 404


# The jobs themselves, with a process that does what the test says.


@pytest.fixture
def program(monkeypatch):
    """Let jobs run this Python text in place of their own program."""

    def use(text):
        real = jobs_module.subprocess.Popen
        monkeypatch.setattr(
            jobs_module.subprocess,
            "Popen",
            lambda _, **given: real([sys.executable, "-c", text], **given),
        )

    return use


@pytest.fixture
def jobs(tmp_path):
    made = Jobs(tmp_path, FixedClock(1), keep=2)
    yield made
    made.close()


def begin(jobs, kind="verify"):
    return jobs.start(jobs.new_name(), kind, "ann", {}, {})


WAITS = "import sys, time; print('{\"progress\": [1, 3]}', flush=True); time.sleep(600)"


def test_a_job_is_cancelled_while_it_runs_and_while_it_waits(jobs, program):
    program(WAITS)
    running, waiting = begin(jobs), begin(jobs)
    assert jobs.cancel(waiting)
    assert jobs.cancel(running)
    assert jobs.wait(running, 30)
    assert {running.state, waiting.state} == {"cancelled"}
    assert not jobs.cancel(running)


def test_only_so_many_jobs_wait(jobs, program):
    program(WAITS)
    refused = 0
    for _ in range(MOST_WAITING + 3):
        try:
            begin(jobs)
        except InputError as error:
            refused += "too many jobs" in error.message
    assert refused >= 2
    for each in jobs.all("verify"):
        jobs.cancel(each)


def test_a_job_that_is_done_says_when_although_its_process_is_still_there(jobs, program):
    program("import time; print('{\"result\": {}}', flush=True); time.sleep(600)")
    job = begin(jobs)
    pause = threading.Event()
    while job.state != "done":
        pause.wait(0.01)
    assert job.ended_ns == 1


def test_a_process_that_dies_is_a_failed_job(jobs, program):
    program("import sys; print('out of luck', file=sys.stderr); sys.exit(3)")
    job = begin(jobs)
    assert jobs.wait(job, 30)
    assert job.state == "failed"
    assert "3: out of luck" in job.problem["message"]


def test_the_oldest_jobs_go_with_their_files(jobs, program):
    program("print('{\"result\": {}}')")
    made = []
    for _ in range(5):
        made.append(begin(jobs))
        assert jobs.wait(made[-1], 30)
    assert len(jobs.all("verify")) <= 3
    assert not jobs.folder_of(made[0].id).exists()


def test_jobs_outlive_the_service_and_one_that_ran_is_lost(program, tmp_path):
    first = Jobs(tmp_path, FixedClock(1))
    program('print(\'{"result": {"whole": true}}\')')
    done = begin(first)
    assert first.wait(done, 30)
    program(WAITS)
    running = begin(first)
    note = tmp_path / running.id / "job.json"
    assert json.loads(note.read_text())["state"] in ("waiting", "running")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "job.json").write_text("no job")
    again = Jobs(tmp_path, FixedClock(2))
    assert again.get(done.id, "verify").result == {"whole": True}
    assert again.get(running.id, "verify").state == "lost"
    assert again.get(done.id, "dry-run") is None
    again.close()
    first.close()


def test_a_job_knows_no_secret(program, tmp_path, monkeypatch):
    monkeypatch.setenv("API_SECRET_KEY", "x" * 32)
    program("import json, os; print(json.dumps({'result': dict(os.environ)}))")
    jobs = Jobs(tmp_path, FixedClock(1))
    job = begin(jobs)
    assert jobs.wait(job, 30)
    assert "API_SECRET_KEY" not in job.result
    jobs.close()


def test_what_was_sent_for_a_job_that_was_never_noted_goes_at_the_next_start(tmp_path):
    folder = tmp_path / "jobs"
    killed = Jobs(folder, FixedClock(1))
    inputs = killed.folder_of(killed.new_name()) / "inputs"
    inputs.mkdir()
    (inputs / "orders.csv").write_text(CSV)
    killed.close()
    Jobs(folder, FixedClock(2)).close()
    assert list(folder.iterdir()) == []
