"""The listening server, which keeps track of its open connections.

The standard library's http.server reads the requests. Response bodies are written directly to the socket,
because faults must break the framing, which full-featured server libraries prevent.
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from xdk_streaming.simulator.client_socket import end
from xdk_streaming.simulator.half_requests import HalfRequests

LONG = 86_400.0
"""A timeout in seconds that never comes."""


class Server(ThreadingHTTPServer):
    """Accepts connections and keeps track of them, so that no connection outlives the server.

    `handle` handles the request of one connection. With `tls`, all connections use TLS.
    """

    request_queue_size = 128
    allow_reuse_address = sys.platform != "win32"  # where it would let two servers share a port

    def __init__(
        self,
        address: tuple[str, int],
        handle: Callable[..., BaseHTTPRequestHandler],
        tls: ssl.SSLContext | None,
    ) -> None:
        self._tls = tls
        self._connections: set[socket.socket] = set()
        self._closing = False
        self._serving: set[threading.Thread] = set()
        self.half_requests = HalfRequests(end)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handle)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection, and keep track of it from then on."""
        request, address = super().get_request()
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sys.platform == "win32":  # only what waits by select, as a timeout makes it do, can be ended there
            request.settimeout(LONG)
        self._hold(request)
        return request, address

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection on a thread of its own, for which no interpreter that ends waits.

        A program that never leaves its simulator ends, then, though its stream is open.
        """
        self._serving = {thread for thread in self._serving if thread.is_alive()}
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), daemon=True
        )
        self._serving.add(thread)
        thread.start()

    def server_close(self) -> None:
        """Close the listening socket, and wait for the threads of all connections."""
        super().server_close()
        for thread in self._serving:
            thread.join()

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
                self.half_requests.whole(wrapped)

    def shutdown_request(self, request: Any) -> None:
        """Close without shutdown(), which would send FIN: a script may have requested RST."""
        self.close_request(request)
        self._connections.discard(request)
        self.half_requests.whole(request)

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
        """End all connections, including those being accepted now."""
        self._closing = True
        for connection in list(self._connections):
            end(connection)

    def service_actions(self) -> None:
        """End the connections whose request does not come. Called a hundred times a second."""
        self.half_requests.end_those_due()

    def _hold(self, connection: socket.socket) -> None:
        self._connections.add(connection)
        self.half_requests.begun(connection)
        if self._closing:
            end(connection)
