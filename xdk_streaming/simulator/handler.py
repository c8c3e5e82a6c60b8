"""Handles one request: finds the endpoint, checks access and parameters, and responds."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl

import orjson

from xdk_streaming.simulator.api import ApiRequest, answer, is_api_request
from xdk_streaming.simulator.connection import SocketWire
from xdk_streaming.simulator.connections import AppConnection
from xdk_streaming.simulator.faults import STREAM_FAULTS
from xdk_streaming.simulator.parameters import refuse_parameters
from xdk_streaming.simulator.present import present
from xdk_streaming.simulator.request_body import BadBody, request_body
from xdk_streaming.simulator.rules.book import ApiResponse
from xdk_streaming.simulator.service import Exchange, Service
from xdk_streaming.x import CONNECTIONS, ENDPOINTS, RULE_COUNTS, RULES

MAX_REQUEST_LINE = 8192
"""Bytes of a request line, at most: the log keeps the path of each request."""
UNAUTHORIZED = {"title": "Unauthorized", "detail": "Unauthorized", "type": "about:blank", "status": 401}
NOT_FOUND = {"title": "Not Found", "detail": "Not Found", "type": "about:blank", "status": 404}


class Handler(BaseHTTPRequestHandler):
    """One request and its answer."""

    protocol_version = "HTTP/1.1"
    raw_requestline: bytes

    def __init__(self, service: Service, *connection: Any) -> None:
        self._service = service
        super().__init__(*connection)  # handles the request

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The `Date` of an answer, by the simulator's time like all that it says."""
        return super().date_time_string(present() if timestamp is None else timestamp)

    def do_GET(self) -> None:
        """Stream, or refuse the request."""
        path, params = self._asked()
        self._service.half_requests.whole(self.connection)
        access, endpoint = self._service.access, ENDPOINTS.get(path)
        if endpoint is None and self._served_api(path, params):
            return
        self.request = self._service.logbook.add_stream_request(path, params)
        if not access.accepts(self.headers.get("Authorization", "")):
            self._refuse(401, UNAUTHORIZED)
        elif endpoint is None:
            self._refuse(404, NOT_FOUND)
        elif problem := refuse_parameters(endpoint, params):
            self._refuse(400, problem)
        elif problem := access.forbids(endpoint, params):
            self._refuse(403, problem)
        else:
            takes_chunks = self.request_version >= "HTTP/1.1"
            self._stream(
                Exchange(self.connection, self.request, endpoint, params, self._answer_stream, takes_chunks)
            )

    def do_HEAD(self) -> None:
        """Refuse: X's streams are asked for with GET alone."""
        self._refuse_method()

    do_OPTIONS = do_PUT = do_PATCH = do_HEAD

    def do_POST(self) -> None:
        """Change the rules."""
        self._serve_api_or_refuse()

    def do_DELETE(self) -> None:
        """End connections."""
        self._serve_api_or_refuse()

    def _refuse_method(self) -> None:
        known = self.path.partition("?")[0] in {*ENDPOINTS, RULES, RULE_COUNTS, CONNECTIONS}
        self.send_error(405 if known else 404)

    def parse_request(self) -> bool:
        """Read the head of the request."""
        if len(self.raw_requestline) > MAX_REQUEST_LINE:
            self.requestline, self.request_version, self.command = "", self.protocol_version, ""
            self.send_error(414)
            return False
        return super().parse_request()

    def _asked(self) -> tuple[str, dict[str, str]]:
        self.close_connection = True  # even if no response says so
        path, _, query = self.path.partition("?")
        return path, dict(parse_qsl(query, keep_blank_values=True))

    def _stream(self, exchange: Exchange) -> None:
        """Play the next script, if there is something to stream and a free slot."""
        service, endpoint = self._service, exchange.endpoint
        wire = SocketWire(service, exchange)
        connection = AppConnection(self.request, endpoint.name, self.client_address[0], wire.hang_up)
        if service.feed.is_ruled(endpoint) and not service.book.rules:
            wire.play(STREAM_FAULTS["no-rules"].script)
        elif not service.connections.enter(connection):
            wire.play(STREAM_FAULTS["too-many-connections"].script)
        else:
            try:
                wire.play(service.scripts.next())
            finally:
                service.slots.leave(self.request.number, abrupt=True)

    def _serve_api_or_refuse(self) -> None:
        path, params = self._asked()
        if not self._served_api(path, params):
            self.request = self._service.logbook.add_api_request(self.command, path, params)
            self._refuse(404, NOT_FOUND)

    def _served_api(self, path: str, params: dict[str, str]) -> bool:
        """Answer a request to the rules or connections. Returns whether there is such an endpoint."""
        service = self._service
        try:
            request = ApiRequest(self.command, path, params, request_body(self.headers, self.rfile))
        except BadBody as bad:
            self.send_error(bad.status, str(bad))
            return True
        service.half_requests.whole(self.connection)
        if not service.access.accepts(self.headers.get("Authorization", "")):
            answered: ApiResponse | None = (401, UNAUTHORIZED) if is_api_request(request) else None
        else:
            answered = answer(request, service.book, service.connections)
        if answered is None:
            return False
        status, content = answered
        self.request = service.logbook.add_api_request(self.command, path, params)
        body = orjson.dumps(content)
        self.request.close(f"answered with {status}")
        headers = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(body))}
        self.answer(status, headers, body)
        return True

    def _answer_stream(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        """The head of a stream, with the limit on connecting; or that of a refusal, as its script has it."""
        limits = self._service.connects.headers(self.request.path)
        if status == 200:
            given = {name.lower() for name in headers}
            headers = {**{name: each for name, each in limits.items() if name not in given}, **headers}
        self.answer(status, headers, body)

    def answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Send the head of the response, and the body if it is known."""
        self.send_response(status)
        self.send_header(
            "Connection", "close"
        )  # one request per connection: a script affects no other request
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: int, problem: Mapping[str, Any]) -> None:
        body = orjson.dumps(dict(problem))
        self.request.close(f"refused with {status}")
        headers = {"Content-Type": "application/problem+json", "Content-Length": str(len(body))}
        self.answer(status, headers, body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no request that can be served, with a problem object."""
        title = HTTPStatus(code).phrase
        problem = {"title": title, "detail": message or title, "type": "about:blank", "status": code}
        self.close_connection = True
        if not hasattr(self, "request_version") or self.request_version == "HTTP/0.9":
            self.request_version = self.protocol_version
        headers = {"Content-Type": "application/problem+json"}
        body = orjson.dumps(problem)
        self.answer(
            code, {**headers, "Content-Length": str(len(body))}, b"" if self.command == "HEAD" else body
        )

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the terminal belongs to the user."""
