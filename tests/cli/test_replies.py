"""What a hostile server can make `rules` and `connections` do: no more than the bounds allow."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from helpers.servers import Peer, served
from xdk_streaming.cli.app import app
from xdk_streaming.cli.exits import ExitCode

REPLY, RESOURCE = "xdk_streaming.wire.reply", "xdk_streaming.wire.resource"
Serve = Callable[[Peer], None]


def asked(url: str, *arguments: str) -> Any:
    environment = {"X_BEARER_TOKEN": "token", "XDK_STREAMING_BASE_URL": url, "COLUMNS": "160"}
    return CliRunner().invoke(app, arguments, prog_name="xdk-streaming", env=environment)


def failure(serve: Serve, *arguments: str) -> str:
    """The error message, after which the command exits with FAILED."""
    with served(serve) as url:
        result = asked(url, *(arguments or ("rules", "list")))
    assert result.exit_code == ExitCode.FAILED, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return str(result.stderr)


def head(*headers: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *headers, "", ""]).encode()


def body(content: bytes, *headers: str) -> Serve:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(head(f"Content-Length: {len(content)}", *headers) + content)

    return serve


def endless(start: bytes, piece: bytes) -> Serve:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(start)
        while True:
            peer.send(piece)

    return serve


def dripping(start: bytes) -> Serve:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(start)
        while not threading.Event().wait(0.02):
            peer.send(b" ")

    return serve


ENDLESS = endless(head("Transfer-Encoding: chunked"), b"10000\r\n" + b" " * 0x10000 + b"\r\n")
BOMB = zlib.compress(b" " * 2**26, 9)


@pytest.mark.parametrize(
    "arguments",
    [
        ("rules", "list"),
        ("rules", "add", "cat"),
        ("rules", "delete", "1"),
        ("connections", "list"),
        ("connections", "kill", "--all"),
    ],
    ids=" ".join,
)
def test_an_endless_body_ends_at_8_mib(arguments: tuple[str, ...]) -> None:
    assert "sent more than 8,388,608 bytes, which is no answer of X's" in failure(ENDLESS, *arguments)


def test_an_endless_refusal_ends_there_too() -> None:
    serve = endless(head("Transfer-Encoding: chunked", status="503 Busy"), b"4\r\nbusy\r\n" * 10_000)
    assert "sent more than 8,388,608 bytes" in failure(serve)


def test_a_compressed_body_counts_as_it_is_inflated() -> None:
    assert "sent more than 8,388,608 bytes" in failure(body(BOMB, "Content-Encoding: deflate"))


@pytest.mark.parametrize("start", [head(), b"HTTP/1.1 200 OK\r\nX-Slow: "], ids=["body", "headers"])
def test_a_dripping_answer_ends_at_a_deadline(start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{REPLY}.MAX_ANSWER_SECONDS", 1.0)
    assert "did not send a whole answer within 1 s" in failure(dripping(start))


def test_an_answer_that_breaks_off_is_no_list() -> None:
    def broken(peer: Peer) -> None:
        peer.request()
        peer.send(head("Content-Length: 100") + b'{"data":[]')

    assert "did not send a whole answer: The server's answer was cut off" in failure(broken)


def test_an_answer_that_would_take_much_memory_is_not_parsed() -> None:
    assert "too large to parse" in failure(body(b'{"data":[' + b"[]," * 10**6 + b"[]]}"))


def test_the_body_of_a_redirect_is_not_read() -> None:
    read = endless(head("Location: /elsewhere", status="301 Moved"), b"x" * 2**16)
    with served(read) as url:
        result = asked(url, "rules", "list")
    assert result.exit_code == ExitCode.REFUSED
    assert "answered 301 without a JSON object; is this URL X's?" in result.stderr


def pages(token: Callable[[int], str], entry: str = '{"id":"1"}') -> Serve:
    number = iter(range(10**6))

    def serve(peer: Peer) -> None:
        content = f'{{"data":[{entry}],"meta":{{"next_token":"{token(next(number))}"}}}}'.encode()
        peer.request()
        peer.send(head(f"Content-Length: {len(content)}") + content)

    return serve


def test_a_page_that_comes_again_ends_the_list() -> None:
    assert "sends the same page again and again" in failure(pages(lambda number: "next"))


def test_a_list_without_end_ends_after_a_thousand_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{RESOURCE}.MAX_PAGES", 5)
    assert "sends a list of more than 5 pages" in failure(pages(str), "connections", "list")


@pytest.mark.parametrize(("bound", "value"), [("MAX_LIST_SECONDS", -1.0), ("MAX_LIST_MEMORY", 100)])
def test_a_list_that_takes_too_much_ends(bound: str, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{RESOURCE}.{bound}", value)
    assert "sends a list that is too long to show" in failure(pages(str))


@pytest.mark.parametrize("content", [b'{"data":1,"meta":2}', b'{"data":[1],"meta":{}}', b"{}"])
def test_a_list_of_another_shape_is_empty(content: bytes) -> None:
    with served(body(content)) as url:
        result = asked(url, "rules", "list")
    assert (result.exit_code, result.stdout) == (ExitCode.DONE, "")
