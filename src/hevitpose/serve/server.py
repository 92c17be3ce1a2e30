"""uvicorn with deadlines, on one socket."""

import asyncio
import json
import os
import socket

import h11
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from hevitpose.core.errors import InputError
from hevitpose.serve.settings import ServeSettings

MAX_CONNECTIONS = 1000


def listen(host: str, port: int) -> socket.socket:
    """A socket at an address; port 0 takes a free one. Raises InputError where that cannot be had."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"`host={host}`", f"is no address of this machine ({reason})") from error
    try:
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        reason = os.strerror(error.errno or 0)  # without the address, which asyncio adds
        raise InputError(f"`port={port}`", f"cannot be listened on at {host} ({reason})") from error


def make_server(app: Starlette, settings: ServeSettings) -> uvicorn.Server:
    """A server that answers what it has accepted before it ends on SIGTERM or SIGINT: `run(sockets=[...])`."""

    class DeadlineProtocol(_DeadlineProtocol):
        read_seconds = settings.read_seconds

    config = uvicorn.Config(
        app,
        http=DeadlineProtocol,
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=int(settings.read_seconds + settings.answer_seconds) + 1,
    )
    return uvicorn.Server(config)


class _DeadlineProtocol(H11Protocol):
    """Closes a connection whose client takes too long to send a head, or the rest of a body that was refused.

    uvicorn has a deadline for idle connections only; the service itself has one for bodies.
    """

    read_seconds: float
    deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]  # as in uvicorn
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP with JSON, as other errors."""
        body = json.dumps({"error": msg.rstrip(".")}).encode()
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        head = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_watching()

    def _watch(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_watching()
        elif self.deadline is None and self.conn.their_state is not h11.CLOSED:
            self.deadline = self.loop.call_later(self.read_seconds, self.transport.abort)

    def _stop_watching(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None
