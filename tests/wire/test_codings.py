"""Compressed bodies, in every coding that a server may name: the right bytes, or a clear error."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import requests
import urllib3

from helpers.servers import (
    FATAL_ERROR,
    GUARD,
    STREAM_INTERRUPTED,
    answering,
    asked,
    assert_translated,
    head,
    read_all,
    read_to_fault,
    served,
)
from xdk_streaming import Stream, StreamError

pytestmark = pytest.mark.usefixtures("route")


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def in_chunks(data: bytes) -> bytes:
    """One byte per chunk, so that a coding can nowhere rely on more bytes."""
    return b"".join(b"1\r\n%c\r\n" % byte for byte in data) + b"0\r\n\r\n"


bodies = pytest.mark.parametrize(
    ("framing", "framed"),
    [
        ((), bytes),
        (("Transfer-Encoding: chunked",), in_chunks),
    ],
    ids=["to the close", "in chunks of a byte"],
)
Framed = Callable[[bytes], bytes]


@bodies
@pytest.mark.parametrize(
    ("coding", "coded"),
    [
        ("gzip", gzip.compress(b"one\ntwo\n")),
        ("GZIP", gzip.compress(b"one\ntwo\n")),
        ("x-gzip", gzip.compress(b"one\ntwo\n")),
        ("gzip", gzip.compress(b"one\n") + gzip.compress(b"") + gzip.compress(b"two\n")),
        ("gzip", gzip.compress(b"one\ntwo\n") + b"rubbish"),
        ("gzip", gzip.compress(b"one\ntwo\n") + bytes(100)),
        ("deflate", zlib.compress(b"one\ntwo\n")),
        ("deflate", raw_deflate(b"one\ntwo\n")),
        ("deflate, gzip", gzip.compress(zlib.compress(b"one\ntwo\n"))),
        ("identity", b"one\ntwo\n"),
        ("", b"one\ntwo\n"),
        (",", b"one\ntwo\n"),
    ],
    ids=[
        "gzip",
        "capital letters",
        "x-gzip",
        "gzip of three members",
        "gzip and rubbish",
        "gzip and zeros",
        "deflate",
        "raw deflate",
        "twice",
        "identity",
        "empty",
        "a comma",
    ],
)
def test_a_coding_that_is_known_is_taken_off(
    session: requests.Session, framing: tuple[str, ...], framed: Framed, coding: str, coded: bytes
) -> None:
    sent = head(f"Content-Encoding: {coding}", *framing) + framed(coded)
    with served(answering(sent)) as url, asked(session, url) as answer:
        assert read_all(answer) == b"one\ntwo\n"


@bodies
@pytest.mark.parametrize(
    ("coding", "coded"),
    [
        ("gzip", b"one\ntwo\n"),
        ("gzip", gzip.compress(b"one\n" * 1000)[:-8] + b"\xff" * 50),
        ("gzip", zlib.compress(b"one\n")),
        ("deflate", b"\xff\xff one\n"),
        ("gzip, gzip", gzip.compress(b"one\n")),
        ("gzip, identity", gzip.compress(b"one\n")),
        (", ".join(["gzip"] * 6), b"one\n"),
    ],
    ids=["no gzip", "corrupt gzip", "deflate", "no deflate", "gzip only once", "identity in a list", "many"],
)
def test_a_coding_that_is_not_what_was_announced_interrupts_the_stream(
    session: requests.Session, framing: tuple[str, ...], framed: Framed, coding: str, coded: bytes
) -> None:
    sent = head(f"Content-Encoding: {coding}", *framing) + framed(coded)
    with served(answering(sent)) as url, asked(session, url) as answer:
        data, error = read_to_fault(answer)
    assert set(data.split(b"\n")[:-1]) <= {b"one"}
    assert_translated(error, STREAM_INTERRUPTED)


@bodies
@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br", "compress", "utf-8"])
def test_a_coding_that_cannot_be_taken_off_is_fatal_and_its_bytes_never_seen(
    session: requests.Session,
    monkeypatch: pytest.MonkeyPatch,
    framing: tuple[str, ...],
    framed: Framed,
    coding: str,
) -> None:
    without_more(monkeypatch)
    sent = head(f"Content-Encoding: {coding}", *framing) + framed(b"one\ntwo\n")
    with served(answering(sent)) as url, asked(session, url) as answer:
        data, error = read_to_fault(answer)
        assert answer.read() == b""
    assert data == b""
    assert error.error_type is FATAL_ERROR
    assert coding.rpartition(" ")[2] in str(error)
    assert "Accept-Encoding" in str(error)


def without_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else this machine's urllib3 could decode."""
    monkeypatch.setattr(urllib3.BaseHTTPResponse, "CONTENT_DECODERS", ["gzip", "x-gzip", "deflate"])


@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip"])
def test_a_transfer_coding_other_than_chunks_is_fatal(session: requests.Session, coding: str) -> None:
    sent = head(f"Transfer-Encoding: {coding}") + in_chunks(gzip.compress(b"one\n"))
    with served(answering(sent)) as url, asked(session, url) as answer:
        data, error = read_to_fault(answer)
    assert data == b""
    assert error.error_type is FATAL_ERROR


def test_a_refusal_keeps_its_status_though_its_body_cannot_be_read(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_more(monkeypatch)
    sent = head("Content-Encoding: br", "Content-Length: 4", status="403 Forbidden") + b"\x0b\x01\x80a"
    with served(answering(sent)) as url:
        with asked(session, url) as answer:
            assert answer.read_start(100, GUARD) == b""
        with pytest.raises(StreamError, match="403") as caught:
            list(Stream[Any](session, "get", url))
    assert caught.value.status_code == 403
