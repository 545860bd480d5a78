"""Settings from file, environment and flags: which wins, where each is from, and what is wrong with it."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from ringfence.cli.main import main
from ringfence.errors import InputError
from ringfence.language.source import load
from ringfence.service.settings import (
    Loaded,
    ServiceSettings,
    described,
    load_settings,
    settings_schema,
    shown_settings,
)

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No settings of this repository's own count."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(text: str, name: str = "ringfence.yaml") -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


def loaded(text: str = "", flags: dict[str, str] | None = None, **environ: str) -> Loaded:
    if text:
        written(text)
    given = {name: (value, f"--{name}") for name, value in (flags or {}).items()}
    return load_settings(None, given, environ=environ)


def refused(*given: str, **more: str) -> str:
    with pytest.raises(InputError) as caught:
        loaded(*given, **more)
    return f"{caught.value.message}\nfix: {caught.value.fix}"


def test_without_anything_every_setting_has_its_default() -> None:
    found = loaded()

    assert found.settings == ServiceSettings()
    assert {each.kind for each in found.origins.values()} == {"default"}
    assert found.file is None


def test_flags_win_over_the_environment_and_that_over_the_file() -> None:
    text = "server: {port: 1, metrics_port: 2, health_port: 3}\n"

    found = loaded(
        text,
        {"server.port": "21"},
        RINGFENCE_SERVER__PORT="11",
        RINGFENCE_SERVER__METRICS_PORT="12",
    )

    server = found.settings.server
    assert (server.port, server.metrics_port, server.health_port) == (21, 12, 3)
    assert str(found.origins["server.port"]) == "--server.port"
    assert str(found.origins["server.metrics_port"]) == "RINGFENCE_SERVER__METRICS_PORT"
    assert str(found.origins["server.health_port"]) == "ringfence.yaml:1"
    assert str(found.origins["server.host"]) == "default"


def test_a_variable_that_is_empty_says_nothing() -> None:
    assert loaded(RINGFENCE_SERVER__PORT="").settings.server.port == 5000


def test_variables_of_an_orchestrator_are_no_settings() -> None:
    assert loaded(RINGFENCE_SERVICE_HOST="10.0.0.1", RINGFENCE_PORT="tcp://10.0.0.1:5000")


def test_the_file_is_named_by_the_environment_or_by_hand() -> None:
    other = written("server: {port: 7}\n", "other.yaml")

    assert load_settings(other, environ={}).settings.server.port == 7
    by_variable = load_settings(environ={"RINGFENCE_CONFIG": "other.yaml"})
    assert by_variable.settings.server.port == 7
    assert by_variable.file == other


def test_paths_in_a_file_begin_where_the_file_is() -> None:
    Path("desk").mkdir()
    file = written("data: state\npolicies: [rules, /srv/policies]\n", "desk/ringfence.yaml")

    settings = load_settings(file, environ={}).settings
    by_flag = load_settings(file, {"data": ("here", "--data")}, environ={}).settings

    assert settings.data == Path("desk/state")
    assert settings.policies.directories == (Path("desk/rules"), Path("/srv/policies"))
    assert by_flag.data == Path("here")


def test_a_text_for_the_policies_is_their_directory() -> None:
    assert loaded("policies: mine\n").settings.policies.directories == (Path("mine"),)
    found = loaded(flags={"policies": "one,two"}, RINGFENCE_POLICIES__POLLING="true")
    assert found.settings.policies.directories == (Path("one"), Path("two"))
    assert found.settings.policies.polling
    assert str(found.origins["policies.directories"]) == "--policies"


def test_times_and_sizes_have_units() -> None:
    text = "reload: {poll: 30s, lease: 5m}\naudit: {limit: 2 GiB}\n"

    settings = loaded(text).settings

    assert (settings.reload.poll, settings.reload.lease) == (30 * 10**9, 300 * 10**9)
    assert settings.audit.limit == 2 << 30
    shown = {name: value for name, value, _ in shown_settings(loaded())}
    assert (shown["reload.poll"], shown["reload.lease"]) == ("30s", "5m")
    assert shown["audit.limit"] == "2 GiB"


def test_variables_hold_lists_and_money_as_text() -> None:
    settings = loaded(
        RINGFENCE_OPENING_BALANCES="account/alpha=6_000_000, account/beta=1.5",
        RINGFENCE_SERVER__TRUSTED_PROXIES="10.0.0.0/8, 192.0.2.1",
        RINGFENCE_VENUES__KRAKEN__KIND="kraken",
        RINGFENCE_VENUES__KRAKEN__ACCOUNTS="main",
    ).settings

    assert settings.opening_balances == {"account/alpha": "6000000", "account/beta": "1.5"}
    assert settings.server.trusted_proxies == ("10.0.0.0/8", "192.0.2.1")
    assert list(settings.venues) == ["kraken"]


def test_all_that_is_wrong_is_told_at_once_with_its_place() -> None:
    text = (
        "server:\n  prot: 1\n  port: 70000\nreload: {lease: 5}\nvenues:\n  kraken: {kind: krakn}\n"
    )

    told = refused(text, RINGFENCE_SERVER__HEALTH_PORT="x", RINGFENCE_SERVR__PORT="1")

    assert told.startswith("6 settings are wrong\n")
    for line in (
        "ringfence.yaml:2: `server.prot` is no setting, did you mean `port`?",
        "ringfence.yaml:3: `server.port` is above 65535",
        "ringfence.yaml:4: `reload.lease` `5` has no unit of time: write `5s` or `5ms`",
        "ringfence.yaml:6: `venues.kraken.kind` is not one of `paper` or `kraken`",
        "RINGFENCE_SERVER__HEALTH_PORT: `server.health_port` is no whole number",
        "RINGFENCE_SERVR: `servr` is no setting, did you mean `server`?",
    ):
        assert line in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("server: {tls_key: k.pem}", "`tls_certificate` and `tls_key` go together"),
        ("policies: {signers: keys}", "signatures are those of commits"),
        ("server: {workers: 2}", "several workers share their books"),
        (
            "server: {workers: 2}\nstate: {kind: redis}\nvenues: {paper: {}}",
            "one process alone holds an exchange account",
        ),
        ("market_cache: {kind: redis}", "the market cache is on the server of the state"),
        ("venues: {other: {kind: kraken, accounts: [a]}}", "is called `kraken` in orders"),
        ("venues: {kraken: {kind: kraken}}", "an API key is for one account"),
        ("opening_balances: {account/alpha: -1}", "is no amount of money"),
        ("audit: {limit: 5}", "is no size: write for example `64 MiB`"),
        ("reload: {poll: 0s}", "is not above 0"),
        ("reload: {poll: soon}", "is not a duration: write `5s`"),
        ("server: 5000", "is a section"),
        ("policies: {directories: []}", "is empty"),
        ("server: {root_path: desk}", "does not have the form"),
        ("guard: {name: 'a b'}", "does not have the form"),
        ("- a", "holds no settings"),
        ("server: {port: 1, port: 2}", "port"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(text: str, told: str) -> None:
    assert told in refused(text + "\n")


def test_a_password_in_an_address_is_refused_and_not_shown() -> None:
    told = refused("state: {url: 'redis://me:hunter2@redis:6379/0'}\n")

    assert "`state.url` holds a user or a password" in told
    assert "hunter2" not in told


def test_a_fix_says_what_the_setting_is_for() -> None:
    assert "fix: `server.port` is: port of dashboard and API" in refused("server: {port: x}\n")


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        load_settings("nowhere.yaml", environ={})


def test_every_setting_has_a_meaning_and_stands_in_the_reference() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"
    text = page.read_text(encoding="utf-8")

    rows = list(described())

    assert [each.name for each in rows if len(each.meaning) < 5] == []
    assert [each.name for each in rows if f"`{each.name}`" not in text] == []
    leaves = {name for name, _, _ in shown_settings(loaded())}
    assert leaves <= {each.name.replace("NAME", "paper") for each in rows}


def test_the_schema_accepts_what_the_program_accepts() -> None:
    schema = settings_schema()
    Draft202012Validator.check_schema(schema)
    check = Draft202012Validator(schema)
    for text in (
        "policies: mine\nserver: {port: 1}\nreload: {lease: 5m}\naudit: {limit: 1 GiB}\n",
        "policies: {repository: /srv/git, branch: main}\nopening_balances: {account/a: 5_000}\n",
    ):
        data = load(text.encode(), "f.yaml").data
        assert list(check.iter_errors(data)) == []
        assert loaded(text)
    assert list(check.iter_errors({"server": {"prot": 1}}))


def test_the_command_prints_values_places_and_no_secret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written("server: {port: 5005}\nstate: {kind: redis}\naudit: {sink: postgres}\n")
    monkeypatch.setenv("REDIS_PASSWORD", "a-password-nobody-sees")
    monkeypatch.setenv("JWT_SECRET_KEY_FILE", "/run/secrets/jwt")
    monkeypatch.setenv("RINGFENCE_LOG__FORMAT", "json")

    assert main(["config", "--host", "::1"]) == 0
    text = capsys.readouterr().out
    assert main(["config", "--json", "--set", "server.host=::1"]) == 0
    data = json.loads(capsys.readouterr().out)

    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert lines["server.port"] == ["5005", "ringfence.yaml:1"]
    assert lines["server.host"] == ["::1", "--host"]
    assert lines["log.format"] == ["json", "RINGFENCE_LOG__FORMAT"]
    assert "a-password-nobody-sees" not in text + json.dumps(data)
    assert data["settings"]["server.host"] == {
        "value": "::1",
        "from": "flag",
        "place": "--set server.host",
    }
    assert data["secrets"]["REDIS_PASSWORD"] == "in the environment"
    assert data["secrets"]["JWT_SECRET_KEY"] == "in the file that JWT_SECRET_KEY_FILE names"
    assert data["secrets"]["RINGFENCE_POSTGRES_URL"] == "not set"
    assert main(["config", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == settings_schema()


def test_the_command_says_what_is_wrong_without_a_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["config", "--port", "x"]) == 2
    assert main(["config", "--set", "server.port"]) == 2
    assert main(["config", "--set", "server.port=1", "--set", "nothing=2"]) == 2

    told = capsys.readouterr().err
    assert "--port: `server.port` is no whole number" in told
    assert "`--set server.port` gives no value" in told
    assert "--set nothing: `nothing` is no setting" in told
    assert "Traceback" not in told
    assert "pydantic" not in told
