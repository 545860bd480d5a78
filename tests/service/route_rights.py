"""Every route of the main port, and the roles that get in. Sorted by path; a route that is not here fails a test.

`-` stands for a role that gets 403; nobody, an expired token and a session that sends a form without its text are always
refused. Whose accounts a trader may touch is for the tests of the routes themselves.
"""

__all__ = ["OPEN", "ROUTES"]

_ROLES = ("viewer", "trader", "risk-officer", "admin", "market-data")


def _letters(text: str) -> frozenset[str]:
    assert len(text) == len(_ROLES)
    return frozenset(role for role, letter in zip(_ROLES, text, strict=True) if letter == role[0])


_TABLE = {
    "GET /": "vtra-",
    "GET /decisions": "vtra-",
    "GET /decisions/{decision}": "vtra-",
    "GET /decisions/{decision}/arithmetic": "vtra-",
    "GET /dry-runs": "vtra-",
    "POST /dry-runs": "--ra-",
    "GET /dry-runs/{name}": "vtra-",
    "POST /dry-runs/{name}/cancel": "--ra-",
    "GET /kill-switch": "vtra-",
    "POST /kill-switch": "--ra-",
    "GET /kill-switch/change": "--ra-",
    "POST /kill-switch/confirm": "--ra-",
    "POST /kill-switch/proposals/{name}/confirm": "--ra-",
    "POST /kill-switch/proposals/{name}/withdraw": "--ra-",
    "GET /limits": "vtra-",
    "GET /live/decisions": "vtra-",
    "GET /live/dry-runs": "vtra-",
    "GET /live/dry-runs/{name}": "vtra-",
    "GET /live/kill-switch": "vtra-",
    "GET /live/limits": "vtra-",
    "GET /live/overview": "vtra-",
    "GET /live/policies": "vtra-",
    "POST /logout": "vtra-",
    "GET /password": "vtra-",
    "POST /password": "vtra-",
    "GET /policies": "vtra-",
    "GET /policies/change": "--ra-",
    "POST /policies/change": "--ra-",
    "GET /policies/diff": "vtra-",
    "GET /policies/diff/part": "vtra-",
    "POST /policies/proposals/{name}/confirm": "--ra-",
    "POST /policies/proposals/{name}/withdraw": "--ra-",
    "GET /v1/api-keys": "---a-",
    "POST /v1/api-keys": "---a-",
    "DELETE /v1/api-keys/{name}": "---a-",
    "GET /v1/audit/head": "vtra-",
    "POST /v1/audit/verify": "--ra-",
    "GET /v1/audit/verify/{job_id}": "vtra-",
    "POST /v1/balances": "--ra-",
    "GET /v1/books": "vtra-",
    "GET /v1/books/{name}": "vtra-",
    "POST /v1/cancels": "-t-a-",
    "GET /v1/decisions": "vtra-",
    "GET /v1/decisions/{decision_id}": "vtra-",
    "GET /v1/dry-runs": "vtra-",
    "POST /v1/dry-runs": "--ra-",
    "PUT /v1/dry-runs/uploads/{name}": "--ra-",
    "DELETE /v1/dry-runs/{job_id}": "--ra-",
    "GET /v1/dry-runs/{job_id}": "vtra-",
    "GET /v1/dry-runs/{job_id}/report": "vtra-",
    "POST /v1/evaluate": "-t-a-",
    "POST /v1/evaluate/batch": "-t-a-",
    "GET /v1/events/decisions": "vtra-",
    "GET /v1/events/state": "vtra-",
    "POST /v1/expiries": "-t-a-",
    "POST /v1/fills": "-t-a-",
    "POST /v1/fills/direct": "--ra-",
    "GET /v1/kill-switches": "vtra-",
    "GET /v1/kill-switches/history": "vtra-",
    "PUT /v1/kill-switches/{target}": "--ra-",
    "GET /v1/limits": "vtra-",
    "POST /v1/marks": "--ram",
    "GET /v1/orders": "vtra-",
    "POST /v1/orders": "-t-a-",
    "DELETE /v1/orders/{order_id}": "-t-a-",
    "POST /v1/password": "vtra-",
    "GET /v1/policies": "vtra-",
    "GET /v1/policies/active": "vtra-",
    "GET /v1/policies/diff": "vtra-",
    "GET /v1/policies/effective": "vtra-",
    "GET /v1/policies/history": "vtra-",
    "POST /v1/policies/reload": "--ra-",
    "POST /v1/policies/rollback": "--ra-",
    "POST /v1/policies/shadow": "--ra-",
    "POST /v1/policies/unpin": "--ra-",
    "GET /v1/policies/{policy_set}": "vtra-",
    "POST /v1/preview": "-t-a-",
    "POST /v1/preview/batch": "-t-a-",
    "GET /v1/proposals": "vtra-",
    "DELETE /v1/proposals/{proposal}": "--ra-",
    "POST /v1/proposals/{proposal}/confirm": "--ra-",
    "POST /v1/reconciliations": "--ra-",
    "POST /v1/reconciliations/{account}/acceptance": "--ra-",
    "DELETE /v1/tokens/{token}": "---a-",
    "GET /v1/users": "---a-",
    "POST /v1/users": "---a-",
    "DELETE /v1/users/{name}": "---a-",
    "PATCH /v1/users/{name}": "---a-",
}
ROUTES = {route: _letters(text) for route, text in _TABLE.items()}

OPEN = frozenset(
    {
        "GET /login",
        "GET /schema",
        "GET /schema/openapi.json",
        "GET /schema/{path}",
        "GET /static/{digest}/{name}",
        "POST /login",
    }
)
"""Whoever asks gets an answer: the login, and what tells nothing about the desk."""
