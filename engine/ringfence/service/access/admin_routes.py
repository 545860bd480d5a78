"""Users, API keys and revoked tokens: `/v1/users`, `/v1/api-keys`, `/v1/tokens`. For admins alone."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Router
from litestar.params import FromPath, JSONBody

from ringfence.errors import InputError
from ringfence.service.access.api_keys import ApiKey
from ringfence.service.access.authentication import address_of
from ringfence.service.access.opened import Access
from ringfence.service.access.rights import Principal, Right, Role
from ringfence.service.access.users import User
from ringfence.service.api.bodies import ExactJson
from ringfence.service.api.routes import route

__all__ = ["admin_routers"]

_TAG = "access"
_DAY_NS = 86_400 * 1_000_000_000
_Request = Request[Principal, Any, Any]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1_024)]


class UserTold(msgspec.Struct):
    """A person, without the password."""

    name: str
    role: Role
    accounts: list[str]
    enabled: bool
    made_ns: int
    made_by: str
    must_change: bool


class UserList(msgspec.Struct):
    """Everybody, by name."""

    users: list[UserTold]


class NewUser(msgspec.Struct, forbid_unknown_fields=True):
    """A person to let in."""

    name: _Text
    role: Role
    password: _Text
    accounts: list[str] = []


class UserChange(msgspec.Struct, forbid_unknown_fields=True):
    """What to change; what is left out stays."""

    role: Role | None = None
    accounts: list[str] | None = None
    enabled: bool | None = None
    password: _Text | None = None


class KeyTold(msgspec.Struct):
    """An API key, without its secret; `used_ns` is 0 for never."""

    id: str
    name: str
    role: Role
    accounts: list[str]
    made_ns: int
    made_by: str
    expires_ns: int
    used_ns: int


class KeyList(msgspec.Struct):
    """All keys, the newest first."""

    api_keys: list[KeyTold]


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """A key to make."""

    name: _Text
    role: Role
    accounts: list[str] = []
    valid_days: Annotated[int, msgspec.Meta(ge=1, le=400)] = 90


class KeyMade(msgspec.Struct):
    """A new key, told this once."""

    key: str
    about: KeyTold


@route("get", "/", Right.ADMINISTER, summary="People", tag=_TAG, threaded=False)
def users(request: _Request) -> UserList:
    """Everybody who may log in, or might."""
    return UserList([_user_told(each) for each in _access(request).users.all()])


@route("post", "/", Right.ADMINISTER, summary="Let a person in", tag=_TAG, status=201, once=False)
def add_user(data: JSONBody[NewUser], request: _Request) -> UserTold:
    """Let a person in. They can do nothing before they have changed the password, which then nobody else knows."""

    def record(user: User) -> None:
        told = {"user": user.name, "role": user.role, "accounts": user.accounts}
        _record(request, "user-added", told)

    by = request.user.name
    user = _access(request).users.add(
        data.name, data.role, data.accounts, data.password, by, record, set_by=by
    )
    return _user_told(user)


@route("patch", "/{name:str}", Right.ADMINISTER, summary="Change a person", tag=_TAG, errors=(404,))
def change_user(name: FromPath[str], data: JSONBody[UserChange], request: _Request) -> UserTold:
    """Change role, accounts or password, disable or enable; somebody disabled is out at once, everywhere.

    Whoever gets a password from somebody else has to change it. One's own is changed at `/v1/password`.
    """
    access = _access(request)
    new_password = data.password is not None
    if new_password and name == request.user.name:
        raise InputError(
            "your own password is changed by whoever knows it", "use `/v1/password`, or the page"
        )
    # Shutting somebody out holds even where it cannot be recorded; anything else does not happen then.
    shuts_out = data == UserChange(enabled=False)

    def record(user: User) -> None:
        told = {"user": name, "role": user.role, "accounts": user.accounts, "enabled": user.enabled}
        _record(request, "user-changed", {**told, "password": new_password})

    user = access.users.change(
        name,
        role=data.role,
        accounts=data.accounts,
        enabled=data.enabled,
        password=data.password,
        set_by=request.user.name,
        first=(lambda _: None) if shuts_out else record,
    )
    if new_password or not user.enabled:
        access.sessions.end_all(name)
    if shuts_out:
        record(user)
    return _user_told(user)


@route(
    "delete",
    "/{name:str}",
    Right.ADMINISTER,
    summary="Forget a person",
    tag=_TAG,
    errors=(
        404,
        409,
    ),
    status=204,
)
def remove_user(name: FromPath[str], request: _Request) -> None:
    """Forget a person; to disable them is better, for then nobody else gets the name."""
    access = _access(request)
    access.users.remove(name)
    access.sessions.end_all(name)
    _record(request, "user-removed", {"user": name})


@route("get", "/", Right.ADMINISTER, summary="API keys", tag=_TAG, threaded=False)
def api_keys(request: _Request) -> KeyList:
    """All keys, with their last use."""
    return KeyList([_key_told(each) for each in _access(request).api_keys.all()])


@route("post", "/", Right.ADMINISTER, summary="Make an API key", tag=_TAG, status=201, once=False)
def make_api_key(data: JSONBody[NewKey], request: _Request) -> KeyMade:
    """Make a key for a machine. It is told once, and kept nowhere."""
    valid_ns = data.valid_days * _DAY_NS

    def record(kept: ApiKey) -> None:
        told = {"key": kept.name, "id": kept.id, "role": kept.role, "accounts": kept.accounts}
        _record(request, "key-made", {**told, "expires_ns": kept.expires_ns})

    kept, key = _access(request).api_keys.make(
        data.name, data.role, data.accounts, valid_ns, request.user.name, record
    )
    return KeyMade(key.reveal(), _key_told(kept))


@route(
    "delete",
    "/{name:str}",
    Right.ADMINISTER,
    summary="End an API key",
    tag=_TAG,
    errors=(
        404,
        409,
    ),
    status=204,
)
def revoke_api_key(name: FromPath[str], request: _Request) -> None:
    """End a key, by its name or id."""
    kept = _access(request).api_keys.revoke(name)
    _record(request, "key-revoked", {"key": kept.name, "id": kept.id})


@route(
    "delete",
    "/{token:str}",
    Right.ADMINISTER,
    summary="Honour a token no more",
    tag=_TAG,
    errors=(
        404,
        409,
    ),
    status=204,
)
def revoke_token(token: FromPath[str], request: _Request) -> None:
    """Honour a token no more, by its id (`jti`)."""
    _access(request).revoked.add(token, request.user.name)
    _record(request, "token-revoked", {"id": token})


def admin_routers() -> list[Router]:
    """All of them."""
    return [
        Router(
            "/v1/users",
            route_handlers=[users, add_user, change_user, remove_user],
            dto=ExactJson,
            return_dto=None,
        ),
        Router(
            "/v1/api-keys",
            route_handlers=[api_keys, make_api_key, revoke_api_key],
            dto=ExactJson,
            return_dto=None,
        ),
        Router("/v1/tokens", route_handlers=[revoke_token], dto=ExactJson, return_dto=None),
    ]


def _access(request: _Request) -> Access:
    access: Access = request.app.state.desk.access
    return access


def _record(request: _Request, kind: str, body: dict[str, Any]) -> None:
    told = {**body, "address": address_of(request)}
    _access(request).records.changed(kind, request.user.name, told)


def _user_told(user: User) -> UserTold:
    names = ("name", "role", "accounts", "enabled", "made_ns", "made_by", "must_change")
    return UserTold(**{name: getattr(user, name) for name in names})


def _key_told(key: ApiKey) -> KeyTold:
    return KeyTold(
        key.id,
        key.name,
        key.role,
        key.accounts,
        key.made_ns,
        key.made_by,
        key.expires_ns,
        key.used_ns,
    )
