"""The listening server, which keeps track of its open connections.

The standard library's http.server reads the requests. Response bodies are written directly to the socket,
because faults must break the framing, which full-featured server libraries prevent.
"""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from xdk_streaming.simulator.client_socket import shut_down


class Server(ThreadingHTTPServer):
    """Accepts connections and keeps track of them, so that no connection outlives the server.

    `handle` handles the request of one connection. With `tls`, all connections use TLS.
    """

    daemon_threads = False  # so that server_close() waits for them
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        handle: Callable[..., BaseHTTPRequestHandler],
        tls: ssl.SSLContext | None,
    ) -> None:
        self._tls = tls
        self._connections: set[socket.socket] = set()
        self._closing = False
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handle)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection, and keep track of it from then on."""
        request, address = super().get_request()
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._hold(request)
        return request, address

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection on its own thread, so that a slow TLS handshake delays no other client."""
        if self._tls is None:
            super().finish_request(request, client_address)
            return
        # If the client has already left, wrap_socket() would create an SSLSocket that nothing closes.
        if not request.recv(1, socket.MSG_PEEK):
            return
        with self._tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False) as wrapped:
            self._hold(wrapped)
            try:
                wrapped.do_handshake()
                super().finish_request(wrapped, client_address)
            finally:
                self._connections.discard(wrapped)

    def shutdown_request(self, request: Any) -> None:
        """Close without shutdown(), which would send FIN: a script may have requested RST."""
        self.close_request(request)
        self._connections.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect; show any other error."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """The base URL: scheme, host and port."""
        host, port = self.server_address[:2]
        bracketed = f"[{host!s}]" if ":" in str(host) else host
        return f"{'https' if self._tls else 'http'}://{bracketed!s}:{port}"

    def hang_up(self) -> None:
        """Shut down all connections, including those being accepted now."""
        self._closing = True
        for connection in list(self._connections):
            shut_down(connection)

    def _hold(self, connection: socket.socket) -> None:
        self._connections.add(connection)
        if self._closing:
            shut_down(connection)
