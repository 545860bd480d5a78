"""The dashboard's files: where they come from, how long a browser keeps them, what a page lets in."""

import re
from hashlib import sha256
from importlib.resources import files

import pytest

from ringfence.service.dashboard.assets import assets

pytestmark = pytest.mark.unit

STATIC = files("ringfence.service.dashboard") / "static"
TEMPLATES = files("ringfence.service.dashboard") / "templates"


def test_every_vendored_file_is_the_one_whose_digest_is_noted() -> None:
    noted = dict(
        re.findall(
            r"\| `([^`]+)` \|.*`([0-9a-f]{64})` \|",
            (STATIC / "vendor" / "PROVENANCE.md").read_text(),
        )
    )
    there = {
        each.name: sha256(each.read_bytes()).hexdigest()
        for each in (STATIC / "vendor").iterdir()
        if each.name.endswith((".js", ".css"))
    }

    assert there == noted


def test_a_file_is_kept_for_good_only_under_the_digest_of_this_version(client) -> None:
    address = assets().address("css/base.css")

    kept, other = client.get(address), client.get("/static/0123456789abcdef/css/base.css")

    assert kept.status_code == other.status_code == 200
    assert kept.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in kept.headers["cache-control"]
    assert other.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "name", ["nothing.js", "../assets.py", "%2e%2e/assets.py", "vendor/PROVENANCE.md"]
)
def test_nothing_but_the_files_is_served(client, name: str) -> None:
    assert client.get(f"/static/{assets().digest}/{name}").status_code == 404


def test_no_template_holds_a_script_or_a_style_of_its_own() -> None:
    for each in TEMPLATES.iterdir():
        text = each.read_text()
        assert not re.search(
            r"<style|\sstyle=|\son[a-z]+=|javascript:|hx-on|hx-vals=.js:", text
        ), each.name
        for script in re.findall(r"<script[^>]*>", text):
            assert "src=" in script, each.name


def test_a_page_lets_in_nothing_from_elsewhere(client, bearer) -> None:
    answer = client.get("/", headers=bearer("viewer"))

    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"""(?:src|href|action)=["'](?:https?:)?//""", answer.text)


def test_a_browser_that_nobody_is_known_of_is_sent_to_the_login(client) -> None:
    answer = client.get(
        "/decisions?code=X", headers={"accept": "text/html"}, follow_redirects=False
    )

    assert answer.status_code in (303, 404)
    answer = client.get("/?a=1", headers={"accept": "text/html"}, follow_redirects=False)
    assert answer.headers["location"] == "/login?next=%2F%3Fa%3D1"


def test_a_page_that_is_not_there_is_told_as_a_page_and_by_the_api_as_a_problem(
    client, bearer
) -> None:
    headers = {**bearer("viewer"), "accept": "text/html"}

    page, problem = client.get("/nowhere", headers=headers), client.get(
        "/v1/nowhere", headers=headers
    )

    assert page.status_code == problem.status_code == 404
    assert "There is no such page" in page.text
    assert problem.headers["content-type"] == "application/problem+json"
