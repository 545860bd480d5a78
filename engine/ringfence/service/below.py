"""The service below a path of a proxy: `https://desk.example/risk/` instead of a host of its own.

Routes know nothing of that path. It is taken off each request that still has it (some proxies cut it off, some do not), and
put before each address of this service that an answer sends a browser to; pages put it before their own links.
"""

from typing import Any

__all__ = ["Below"]

# A redirect, and htmx's own.
_ADDRESSES = (b"location", b"hx-redirect")


class Below:
    """Stands before an application.

    Args:
        app: ASGI.
        root: The path, such as `/risk`.
    """

    def __init__(self, app: Any, root: str) -> None:
        self._app, self._root = app, root
        self._raw = root.encode("ascii")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """As an ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = [self._placed(*each) for each in message.get("headers", ())]
                message = {**message, "headers": headers}
            await send(message)

        inner = {**scope, "root_path": self._root, "path": _without(scope["path"], self._root)}
        if scope.get("raw_path") is not None:
            inner["raw_path"] = _without(scope["raw_path"], self._raw)
        await self._app(inner, receive, sent)

    def _placed(self, name: bytes, value: bytes) -> tuple[bytes, bytes]:
        is_own = name.lower() in _ADDRESSES and value.startswith(b"/") and value[1:2] != b"/"
        return (name, self._raw + value) if is_own else (name, value)


def _without(path: Any, root: Any) -> Any:
    """A path as the routes know it; text or bytes, as `root` is."""
    slash = root[:1]
    if path == root:
        return slash
    return path[len(root) :] if path.startswith(root + slash) else path
