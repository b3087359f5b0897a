"""The one port of `digis dev`: uvicorn, with problem+json for what is not even HTTP."""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
from collections.abc import Iterator
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import Server

_GRACE_SECONDS: Final = 3  # for requests under way when it is told to stop; the longest deadline of a function


class LocalProtocol(HttpToolsProtocol):
    """uvicorn's own, but a request that it cannot parse is answered as everything else is."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 -- the name is uvicorn's
        request_id = secrets.token_hex(16)
        problem = {
            "type": "urn:digis:problem:malformed_json",
            "title": "Malformed json",
            "status": 400,
            "detail": "This is not an HTTP request.",
            "instance": "",
            "success": False,
            "code": "malformed_json",
            "request_id": request_id,
        }
        body = json.dumps(problem).encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            "content-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\nx-request-id: {request_id}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()


class LocalServer(Server):
    """uvicorn's server without its signal handlers: the command that runs it has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server_for(app: Any) -> LocalServer:
    config = Config(
        app,
        http=LocalProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,  # the client's address is the socket's
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    return LocalServer(config)


def bind(port: int) -> socket.socket:
    """The listening socket of 127.0.0.1:port. Raise OSError where it is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener
