"""Ports that speak another protocol say so in a sentence, not in bytes."""

from __future__ import annotations

import ssl

import pytest
import requests

from helpers.servers import Peer, Trust, limits, served
from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.wire.problems import refusal
from xdk_streaming.wire.request import Request
from xdk_streaming.wire.wait import Wait


def refused(session: requests.Session, url: str) -> StreamError:
    with pytest.raises(StreamError) as caught:
        Request(session, "get", url).send(timeouts=limits(5.0, 5.0), wait=Wait(), chunk_size=None)
    assert caught.value.error_type is StreamErrorType.CONNECTION_ERROR
    assert "\\x00" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("frame", [b"\0\0\x12\4\0\0\0\0\0", b"\0\0\x08\7\0\0\0\0\0"])
def test_a_port_of_http_2(session: requests.Session, frame: bytes) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(frame + b"\r\n")

    with served(serve) as url:
        assert "speaks HTTP/2 at this port" in str(refused(session, url))


def test_https_to_a_port_without_tls(session: requests.Session) -> None:
    def serve(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with served(serve) as url:
        error = refused(session, url.replace("http:", "https:"))
    assert "The port does not speak TLS; begin the URL with http:" in str(error)


def test_a_server_of_http_2_alone(session: requests.Session, trust: Trust) -> None:
    class OnlyHTTP2(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, *arguments: object, **named: object) -> None:
            context = ssl.create_default_context(cafile=trust.authority)
            context.set_alpn_protocols(["http/1.1"])
            super().init_poolmanager(*arguments, ssl_context=context, **named)  # type: ignore[arg-type]

    session.mount("https://", OnlyHTTP2())

    def serve(peer: Peer) -> None:
        # A fatal alert of TLS 1.2 in the place of a ServerHello: no_application_protocol.
        peer.send(bytes([21, 3, 3, 0, 2, 2, 120]))
        peer.wait_until_left()

    with served(serve) as url:
        error = refused(session, url.replace("http:", "https:"))
    # Older Pythons have no name for this alert, and OpenSSL's own words are shown.
    assert "perhaps HTTP/2 alone" in str(error) or "no application protocol" in str(error)


def test_an_app_without_credits_is_told_where_to_buy_them() -> None:
    error = refusal(402, {}, b'{"title":"CreditsDepleted","type":"about:blank"}', 0.0)
    assert "this app has no credits left; buy credits" in str(error)
