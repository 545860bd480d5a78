"""Every route of the main port, and the roles that get in. Sorted by path; a route that is not here fails a test.

`-` stands for a role that gets 403; nobody, an expired token and a session that sends a form without its text are always
refused. Whose accounts a trader may touch is for the tests of the routes themselves.
"""

__all__ = ["OPEN", "ROUTES"]

_ROLES = ("viewer", "trader", "risk-officer", "admin")


def _letters(text: str) -> frozenset[str]:
    assert len(text) == len(_ROLES)
    return frozenset(role for role, letter in zip(_ROLES, text, strict=True) if letter == role[0])


_TABLE = {
    "GET /": "vtra",
    "GET /dry-runs": "vtra",
    "POST /dry-runs": "--ra",
    "GET /dry-runs/{name}": "vtra",
    "POST /dry-runs/{name}/cancel": "--ra",
    "GET /kill-switch": "vtra",
    "POST /kill-switch": "--ra",
    "GET /kill-switch/change": "--ra",
    "POST /kill-switch/confirm": "--ra",
    "POST /kill-switch/proposals/{name}/confirm": "--ra",
    "POST /kill-switch/proposals/{name}/withdraw": "--ra",
    "GET /limits": "vtra",
    "GET /live/dry-runs": "vtra",
    "GET /live/dry-runs/{name}": "vtra",
    "GET /live/kill-switch": "vtra",
    "GET /live/limits": "vtra",
    "GET /live/overview": "vtra",
    "GET /live/policies": "vtra",
    "POST /logout": "vtra",
    "GET /policies": "vtra",
    "GET /policies/change": "--ra",
    "POST /policies/change": "--ra",
    "GET /policies/diff": "vtra",
    "GET /policies/diff/part": "vtra",
    "POST /policies/proposals/{name}/confirm": "--ra",
    "POST /policies/proposals/{name}/withdraw": "--ra",
    "GET /v1/api-keys": "---a",
    "POST /v1/api-keys": "---a",
    "DELETE /v1/api-keys/{name}": "---a",
    "POST /v1/evaluate": "-t-a",
    "GET /v1/proposals": "vtra",
    "DELETE /v1/proposals/{proposal}": "--ra",
    "POST /v1/proposals/{proposal}/confirm": "--ra",
    "DELETE /v1/tokens/{token}": "---a",
    "GET /v1/users": "---a",
    "POST /v1/users": "---a",
    "DELETE /v1/users/{name}": "---a",
    "PATCH /v1/users/{name}": "---a",
}
ROUTES = {route: _letters(text) for route, text in _TABLE.items()}

OPEN = frozenset(
    {
        "GET /login",
        "GET /schema",
        "GET /schema/elements",
        "GET /schema/oauth2-redirect.html",
        "GET /schema/openapi.json",
        "GET /schema/openapi.yaml",
        "GET /schema/openapi.yml",
        "GET /schema/rapidoc",
        "GET /schema/redoc",
        "GET /schema/swagger",
        "GET /schema/{path}",
        "GET /static/{digest}/{name}",
        "POST /login",
    }
)
"""Whoever asks gets an answer: the login, and what tells nothing about the desk."""
