"""Who may ask, and what every answer carries: an ASGI wrapper around the service."""

import hmac
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hevitpose.serve.metrics import Metrics
from hevitpose.serve.settings import Refused, ServeSettings, is_loopback

GUARDED = ("/v1/pose", "/metrics")
"""The paths that demand the token; the page is the same for everyone, and health checks have no secrets."""
COUNTED = (*GUARDED, "/", "/healthz", "/readyz", "/openapi.json")
HEADERS = {
    # Only pages with the first two may use threads in WebAssembly.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Refuses foreign hosts, origins and tokens, adds `HEADERS` and counts answers."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, metrics: Metrics) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in COUNTED else "other"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
                self.metrics.answers.labels(path, message["status"]).inc()
            await send(message)

        try:
            self._check(Headers(scope=scope), scope["path"])
        except Refused as refusal:
            await refusal_response(refusal)(scope, receive, send_with_headers)
        else:
            await self.app(scope, receive, send_with_headers)

    def _check(self, headers: Headers, path: str) -> None:
        """Raise Refused where the request comes from another site, or without the token."""
        host = headers.get("host", "")
        # A page of another site may reach this machine under a name of its own that points here (DNS rebinding).
        if self.settings.loopback and not is_loopback(_parsed(f"//{host}").hostname or ""):
            raise Refused(403, "this service answers requests to this machine's own names only")
        origin = headers.get("origin")
        if origin is not None and _parsed(origin).netloc.lower() != host.lower():
            raise Refused(403, "this service answers its own page only, not those of other sites")
        if self.settings.token is not None and path in GUARDED:
            scheme, _, token = headers.get("authorization", "").partition(" ")
            known = hmac.compare_digest(token.strip().encode(), self.settings.token.encode())
            if scheme.lower() != "bearer" or not known:
                raise Refused(401, "needs the token of this service: Authorization: Bearer TOKEN")


def _parsed(address: str) -> SplitResult:
    """The parts of an address. Raises Refused."""
    try:
        return urlsplit(address)
    except ValueError as error:
        raise Refused(403, "the host or the origin is no address") from error


def refusal_response(refusal: Refused) -> JSONResponse:
    """The answer to a refused request."""
    headers = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "1"}, 503: {"Retry-After": "5"}}
    return JSONResponse({"error": refusal.reason}, refusal.status, headers.get(refusal.status))
