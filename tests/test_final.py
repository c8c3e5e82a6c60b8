"""Which errors end a stream: those with a reason that stays, and those that the settings name."""

from __future__ import annotations

import itertools
import math
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.auth import AuthBase, HTTPBasicAuth

from helpers.servers import Peer, Trust, certified, head, served
from xdk_streaming import (
    ConnectionState,
    RetriesExhausted,
    RetryPolicy,
    Stream,
    StreamConfig,
    StreamError,
    StreamErrorType,
)
from xdk_streaming.testing import FakeClock

ITEM = b'{"data":{"id":"1"}}\r\n'
STREAM = head("Content-Type: application/json", "Connection: close") + ITEM
RESET = b""
"""No answer at all."""
PAGE = b"<!DOCTYPE html>\n<html><title>Welcome to the hotel</title>\nbackfill_minutes</html>\n"
A_JSON_401 = b'{"title":"Unauthorized","detail":"Unauthorized","type":"about:blank","status":401}'
A_JSON_403 = b'{"title":"Forbidden","detail":"Forbidden","type":"about:blank","status":403}'
QUARTER = 15 * 60.0
CLIENT_ERROR = StreamErrorType.CLIENT_ERROR
SERVER_ERROR = StreamErrorType.SERVER_ERROR
AUTHENTICATION_ERROR = StreamErrorType.AUTHENTICATION_ERROR


def refusal(status: int, body: bytes = PAGE, kind: str = "text/html") -> bytes:
    typed = [f"Content-Type: {kind}"] if kind else []
    return head(*typed, f"Content-Length: {len(body)}", status=f"{status} No") + body


def redirect(location: str) -> bytes:
    return head(f"Location: {location}", "Content-Length: 0", "Connection: close", status="302 Found")


UNAUTHORIZED = refusal(401, A_JSON_401, "application/problem+json")
FORBIDDEN = refusal(403, A_JSON_403, "application/problem+json")


class Server:
    """Answers each connection in turn, the last answer for ever; over TLS, each with a context of its own."""

    def __init__(self, *answers: bytes, contexts: tuple[ssl.SSLContext, ...] = ()) -> None:
        self.seen: list[bytes] = []
        self.connects = 0
        self._answers = answers
        self._contexts = contexts

    def serve(self, peer: Peer) -> None:
        place, self.connects = self.connects, self.connects + 1
        if not self._contexts:
            self._answer(peer, place)
            return
        context = self._contexts[min(place, len(self._contexts) - 1)]
        with context.wrap_socket(peer.socket, server_side=True) as wrapped:
            secured = Peer(wrapped)
            try:
                self._answer(secured, place)
            finally:
                secured.close()

    def _answer(self, peer: Peer, place: int) -> None:
        self.seen.append(peer.request())
        peer.send(self._answers[min(place, len(self._answers) - 1)])

    @property
    def credentials(self) -> list[bytes]:
        lines = [line for request in self.seen for line in request.splitlines()]
        return [line.partition(b": ")[2] for line in lines if line.lower().startswith(b"authorization:")]


class Life:
    """A stream of this server, lived to its end by a clock that only waits advance."""

    def __init__(
        self,
        session: requests.Session,
        server: Server,
        *,
        headers: Any = None,
        make: Callable[..., StreamConfig] = StreamConfig.for_x,
        **settings: Any,
    ) -> None:
        self.errors: list[StreamError] = []
        self.items: list[Any] = []
        self.clock = FakeClock()
        config = make(**{"jitter": False, "on_error": self.errors.append, **settings})
        with served(server.serve) as url:
            if server._contexts:
                url = url.replace("http:", "https:")
            stream = Stream[Any](session, "get", url, config, headers=headers, clock=self.clock)
            self.stream = stream
            with pytest.raises(StreamError) as caught:
                for item in stream:
                    self.items.append(item)
        self.failure = caught.value
        assert stream.connection_state is ConnectionState.FAILED
        assert self.errors[-1] is self.failure
        assert len({id(error) for error in self.errors}) == len(self.errors)

    @property
    def lasted(self) -> float:
        return sum(self.clock.waits)


# A page in X's place


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (PAGE, "text/html"),
        (PAGE, "text/html; charset=utf-8"),
        (PAGE, "application/json"),
        (PAGE, ""),
        (b"  \r\n" + PAGE, "text/plain"),
        (b"\xef\xbb\xbf" + PAGE, "text/plain"),
        (b"", "text/html"),
        (b"No.", "text/html"),
        (b"<Error><Code>AccessDenied</Code></Error>", "application/xml"),
        (PAGE, "application/xhtml+xml"),
    ],
)
@pytest.mark.parametrize("ran", [False, True], ids=["never ran", "ran"])
def test_a_refusal_by_a_web_page_is_no_refusal_of_xs_and_may_always_pass(
    session: requests.Session, status: int, body: bytes, kind: str, ran: bool
) -> None:
    server = Server(*([STREAM] if ran else []), *[refusal(status, body, kind)] * 12, FORBIDDEN)
    life = Life(session, server)
    pages = life.errors[:-1]
    assert len(pages) == 12
    assert {error.error_type for error in pages} == {SERVER_ERROR}
    assert all("X's API sends none" in str(error) and error.status_code == status for error in pages)
    assert life.lasted > 2 * QUARTER
    assert life.failure.problem is not None


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    "body",
    [A_JSON_401, b'{"errors":[{"code":89,"message":"Invalid token"}]}', b"", b"Forbidden"],
    ids=["problem", "older", "empty", "text"],
)
@pytest.mark.parametrize("ran", [False, True], ids=["never ran", "ran"])
def test_a_refusal_of_xs_is_final_whether_the_stream_ran_or_not(
    session: requests.Session, status: int, body: bytes, ran: bool
) -> None:
    server = Server(*([STREAM] if ran else []), refusal(status, body, "application/json" if body else ""))
    life = Life(session, server)
    assert life.failure.error_type is AUTHENTICATION_ERROR
    assert server.connects == 1 + ran


def test_json_that_is_declared_as_a_page_is_xs(session: requests.Session) -> None:
    life = Life(session, Server(refusal(403, A_JSON_403, "text/html")))
    assert life.failure.error_type is AUTHENTICATION_ERROR


def test_a_page_that_quotes_the_url_withdraws_no_parameter() -> None:
    """See the machine's tests: the guard `amendable` asks for an answer of X's own."""
    from xdk_streaming.machine.event import Event
    from xdk_streaming.state import Trigger

    def refused(**more: Any) -> Event:
        kind = more.pop("kind", CLIENT_ERROR)
        error = StreamError("No", kind, None, 400, "backfill_minutes", **more)
        return Event(Trigger.REFUSED, error, parameter="backfill_minutes")

    assert refused().refuses_parameter
    assert not refused(intercepted=True).refuses_parameter
    assert not refused(kind=SERVER_ERROR).refuses_parameter


# A login page, a redirect, a certificate: final at once on a stream that never ran

PORTALS: dict[str, bytes] = {
    "a page": refusal(200),
    "a page as JSON": refusal(200, PAGE, "application/json"),
    "a page without a type": refusal(200, PAGE, ""),
    "a page with 404": refusal(404),
    "a page with 400": refusal(400),
    "a redirect nowhere": refusal(302, b"", ""),
    "a redirect elsewhere": redirect("http://login.example/?from=hotel"),
    "a redirect to no URL": redirect("http://[login"),
    "a redirect in circles": redirect("/"),
}


@pytest.mark.parametrize("portal", PORTALS)
@pytest.mark.parametrize("broken", [[], [STREAM, STREAM]], ids=["at once", "after more items"])
def test_a_portal_on_a_stream_that_ran_is_borne_for_a_quarter_of_an_hour(
    session: requests.Session, portal: str, broken: list[bytes]
) -> None:
    life = Life(session, Server(STREAM, *broken, PORTALS[portal]))
    portals = [error for error in life.errors if error.intercepted]
    assert life.failure is portals[-1]
    assert not isinstance(life.failure, RetriesExhausted)
    history = life.stream.history
    times = [each.at for each in history if each.error is not None and each.error.intercepted]
    assert QUARTER <= times[-1] - times[0] < 2 * QUARTER
    assert times[-2] - times[0] < QUARTER
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert all(after == min(2 * before, 320) for before, after in itertools.pairwise(pauses))


@pytest.mark.parametrize(
    "portal", [name for name in PORTALS if name.startswith(("a page with 4", "a redir"))]
)
def test_the_same_on_a_stream_that_never_ran_is_final_at_once(session: requests.Session, portal: str) -> None:
    session.max_redirects = 0
    server = Server(PORTALS[portal])
    life = Life(session, server)
    assert life.failure.error_type in (CLIENT_ERROR, StreamErrorType.FATAL_ERROR)
    assert server.connects == 1


def test_a_page_that_a_redirect_within_the_host_leads_to_is_a_portal_too(session: requests.Session) -> None:
    server = Server(STREAM, *[redirect("/login"), refusal(200)] * 3, UNAUTHORIZED)
    life = Life(session, server)
    assert [error.intercepted for error in life.errors] == [True, True, True, False]
    assert life.clock.waits[1:] == [10, 20, 40]


@pytest.mark.parametrize("portal", ["a page", "a page as JSON"])
def test_a_page_with_200_on_a_stream_that_never_ran_spends_the_retries(
    session: requests.Session, portal: str
) -> None:
    server = Server(PORTALS[portal])
    life = Life(session, server, max_retries=20)
    assert isinstance(life.failure, RetriesExhausted)
    assert server.connects == 21
    assert life.lasted > QUARTER


def test_the_retries_count_before_a_portal_too(session: requests.Session) -> None:
    server = Server(STREAM, PORTALS["a page with 404"])
    life = Life(session, server, make=StreamConfig, max_retries=3)
    assert isinstance(life.failure, RetriesExhausted)
    assert life.clock.waits == [1, 2, 4]
    assert server.connects == 4


def test_a_portal_that_goes_away_is_forgotten(session: requests.Session) -> None:
    page = PORTALS["a page with 404"]
    server = Server(STREAM, *[page] * 6, STREAM, *[page] * 2, UNAUTHORIZED)
    life = Life(session, server)
    assert life.failure.status_code == 401
    assert len(life.items) == 2
    assert life.lasted > QUARTER


def test_another_loss_between_begins_the_quarter_of_an_hour_anew(session: requests.Session) -> None:
    page = PORTALS["a page with 404"]
    server = Server(STREAM, *[page] * 6, RESET, *[page] * 2, UNAUTHORIZED)
    life = Life(session, server)
    assert life.failure.status_code == 401
    assert life.lasted > QUARTER


def test_a_proxys_login_is_final_on_a_stream_that_ran(session: requests.Session) -> None:
    server = Server(STREAM, refusal(407))
    assert Life(session, server).failure.status_code == 407
    assert server.connects == 2


# Certificates


@pytest.fixture
def stranger(tmp_path: Path) -> Trust:
    """Another authority's certificate for the same host."""
    folder = tmp_path / "stranger"
    folder.mkdir()
    return certified(folder, "127.0.0.1")


def test_a_refused_certificate_on_a_stream_that_never_ran_is_final_at_once(
    session: requests.Session, trust: Trust, stranger: Trust
) -> None:
    session.verify = trust.authority
    server = Server(STREAM, contexts=(stranger.server, trust.server))
    life = Life(session, server)
    assert life.failure.error_type is StreamErrorType.FATAL_ERROR
    assert server.connects == 1


def test_a_refused_certificate_on_a_stream_that_ran_is_borne_for_a_quarter_of_an_hour(
    session: requests.Session, trust: Trust, stranger: Trust
) -> None:
    session.verify = trust.authority
    server = Server(STREAM, contexts=(trust.server, stranger.server))
    life = Life(session, server)
    assert life.failure.error_type is StreamErrorType.FATAL_ERROR
    assert life.failure.intercepted
    assert life.clock.waits == [5, 10, 20, 40, 80, 160, 320, 320]
    assert QUARTER <= life.lasted < 2 * QUARTER


def test_a_certificate_that_is_right_again_lets_the_stream_go_on(
    session: requests.Session, trust: Trust, stranger: Trust
) -> None:
    session.verify = trust.authority
    contexts = (trust.server, *[stranger.server] * 3, trust.server)
    server = Server(STREAM, RESET, RESET, RESET, STREAM, UNAUTHORIZED, contexts=contexts)
    life = Life(session, server)
    assert len(life.items) == 2
    assert life.failure.status_code == 401


# Credentials


class Tokens:
    """Gives one token after the other, the last for ever; an exception is raised."""

    def __init__(self, *tokens: str | Exception) -> None:
        self._tokens = list(tokens)
        self.asked = 0

    def next(self) -> str:
        self.asked += 1
        token = self._tokens.pop(0) if len(self._tokens) > 1 else self._tokens[0]
        if isinstance(token, Exception):
            raise token
        return token

    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.next()}"}


class Auth(AuthBase):
    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._tokens.next()}"
        return request


@pytest.fixture(params=["callable headers", "auth object"])
def lived(request: pytest.FixtureRequest, session: requests.Session) -> Callable[..., Life]:
    """A life with these tokens, which come from either source."""

    def live(server: Server, tokens: Tokens, **settings: Any) -> Life:
        if request.param == "auth object":
            session.auth = Auth(tokens)
            return Life(session, server, **settings)
        return Life(session, server, headers=tokens.headers, **settings)

    return live


def test_a_401_with_a_new_credential_at_hand_is_asked_anew_at_once(lived: Callable[..., Life]) -> None:
    server = Server(STREAM, UNAUTHORIZED, STREAM, FORBIDDEN)
    life = lived(server, Tokens("a", "b", "c", "d"))
    assert len(life.items) == 2
    assert life.failure.status_code == 403
    assert [error.status_code for error in life.errors] == [401, 403]
    assert life.clock.waits[1] == 0
    attempts = [each.attempt for each in life.stream.history if each.attempt is not None]
    assert attempts[1] == attempts[0] + 1


def test_a_401_is_asked_anew_on_a_stream_that_never_ran(lived: Callable[..., Life]) -> None:
    server = Server(UNAUTHORIZED, STREAM, FORBIDDEN)
    assert len(lived(server, Tokens("old", "new")).items) == 1


def test_the_same_credential_is_not_sent_twice(lived: Callable[..., Life]) -> None:
    server = Server(UNAUTHORIZED)
    life = lived(server, Tokens("a", "a"))
    assert life.failure.status_code == 401
    assert server.credentials == [b"Bearer a"]


def test_the_second_401_is_final_whatever_the_credential(lived: Callable[..., Life]) -> None:
    server = Server(UNAUTHORIZED)
    life = lived(server, Tokens(*"abcdefgh"))
    assert life.failure.error_type is AUTHENTICATION_ERROR
    assert len(server.credentials) == len(set(server.credentials)) == 2


def test_after_a_stream_a_401_may_be_asked_anew_again(lived: Callable[..., Life]) -> None:
    server = Server(*[UNAUTHORIZED, STREAM] * 3, FORBIDDEN)
    assert len(lived(server, Tokens(*"abcdefghijklmn")).items) == 3


def test_a_403_is_final_though_a_new_credential_is_at_hand(lived: Callable[..., Life]) -> None:
    server = Server(FORBIDDEN)
    assert lived(server, Tokens("a", "b", "c")).failure.status_code == 403
    assert server.connects == 1


def test_a_source_that_fails_when_asked_anew_is_asked_by_the_next_attempt(
    lived: Callable[..., Life],
) -> None:
    away = requests.ConnectionError("the token's server is away")
    server = Server(UNAUTHORIZED, STREAM, FORBIDDEN)
    life = lived(server, Tokens("old", away, away, "new"))
    assert len(life.items) == 1
    assert [error.error_type for error in life.errors] == [
        AUTHENTICATION_ERROR,
        StreamErrorType.CONNECTION_ERROR,
        AUTHENTICATION_ERROR,
    ]


def test_a_source_that_has_no_other_credential_leaves_the_401_final(lived: Callable[..., Life]) -> None:
    server = Server(UNAUTHORIZED)
    assert lived(server, Tokens("old", LookupError("no token left"))).failure.status_code == 401
    assert server.connects == 1


def test_callable_headers_are_asked_once_for_each_attempt(session: requests.Session) -> None:
    tokens = Tokens(*"abcdef")
    server = Server(UNAUTHORIZED, STREAM, FORBIDDEN)
    Life(session, server, headers=tokens.headers)
    assert tokens.asked == server.connects == 3
    assert server.credentials == [b"Bearer a", b"Bearer b", b"Bearer c"]


def test_no_renewal_is_made_if_the_policy_allows_none(lived: Callable[..., Life]) -> None:
    server = Server(UNAUTHORIZED, STREAM)
    life = lived(server, Tokens("a", "b"), retry_policy=RetryPolicy(renewals=0))
    assert life.failure.status_code == 401
    assert server.connects == 1


def test_a_renewal_counts_as_a_retry(lived: Callable[..., Life]) -> None:
    server = Server(UNAUTHORIZED, STREAM)
    life = lived(server, Tokens("a", "b"), max_retries=0)
    assert isinstance(life.failure, RetriesExhausted)
    assert server.connects == 1


@pytest.mark.parametrize(
    ("headers", "auth"),
    [
        (None, None),
        ({"Authorization": "Bearer plain"}, None),
        (None, HTTPBasicAuth("user", "word")),
        (None, ("user", "word")),
        (lambda: {"X-Other": "header"}, None),
        (dict, lambda request: request),
    ],
    ids=["session", "plain", "basic", "pair", "no credential", "auth without one"],
)
def test_a_credential_that_does_not_change_is_refused_for_good(
    session: requests.Session, headers: Any, auth: Any
) -> None:
    server = Server(UNAUTHORIZED)
    session.auth = auth
    life = Life(session, server, headers=headers)
    assert life.failure.status_code == 401
    assert server.connects == 1


def test_the_credential_is_found_if_a_hook_raises_for_the_status(session: requests.Session) -> None:
    session.hooks["response"] = [lambda response, **_: response.raise_for_status()]
    server = Server(UNAUTHORIZED, STREAM, FORBIDDEN)
    assert len(Life(session, server, headers=Tokens("a", "b").headers).items) == 1


# The policy


@pytest.mark.parametrize("renewals", [2, math.inf])
def test_a_policy_may_allow_more_renewals(session: requests.Session, renewals: Any) -> None:
    server = Server(UNAUTHORIZED, UNAUTHORIZED, STREAM, FORBIDDEN)
    policy = RetryPolicy(renewals=renewals)
    assert len(Life(session, server, headers=Tokens(*"abcde").headers, retry_policy=policy).items) == 1


def test_a_policy_may_make_a_401_pass(session: requests.Session) -> None:
    policy = RetryPolicy(final=RetryPolicy().final - {AUTHENTICATION_ERROR})
    server = Server(UNAUTHORIZED, UNAUTHORIZED, STREAM, refusal(404, b"{}", "application/json"))
    life = Life(session, server, retry_policy=policy)
    assert len(life.items) == 1
    assert life.failure.status_code == 404


def test_a_policy_may_make_a_503_final(session: requests.Session) -> None:
    policy = RetryPolicy(final={*RetryPolicy().final, SERVER_ERROR})  # type: ignore[arg-type]  # any set will do
    server = Server(refusal(503))
    assert Life(session, server, retry_policy=policy).failure.status_code == 503
    assert server.connects == 1


@pytest.mark.parametrize(("patience", "connects"), [(0.0, 2), (16.0, 4)])
def test_a_policy_says_how_long_a_portal_is_borne(
    session: requests.Session, patience: float, connects: int
) -> None:
    server = Server(STREAM, PORTALS["a page with 404"])
    life = Life(session, server, retry_policy=RetryPolicy(patience=patience))
    assert life.failure.status_code == 404
    assert server.connects == connects


def test_a_policy_that_is_assigned_counts_from_the_next_error_on() -> None:
    config = StreamConfig()
    config.retry_policy = RetryPolicy(patience=math.inf)
    assert config.retry_policy.patience == math.inf


def test_a_policy_is_a_value() -> None:
    assert RetryPolicy() == RetryPolicy() == StreamConfig().retry_policy == StreamConfig.for_x().retry_policy
    assert hash(RetryPolicy()) == hash(RetryPolicy())
    assert RetryPolicy(patience=1.0) != RetryPolicy()
    shown = "RetryPolicy(final={AUTHENTICATION_ERROR, CLIENT_ERROR, FATAL_ERROR}, renewals=1, patience=900.0)"
    assert repr(RetryPolicy()) == shown
    assert shown in repr(StreamConfig())


@pytest.mark.parametrize("error_type", StreamErrorType)
def test_what_is_final_by_default_is_what_is_not_retryable(error_type: StreamErrorType) -> None:
    error = StreamError("No", error_type)
    assert RetryPolicy().is_final(error) is not error.is_retryable


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"final": {"authentication_error"}}, "final has 'authentication_error', must have members"),
        ({"renewals": -1}, "renewals is -1, must be at least 0"),
        ({"patience": -0.5}, "patience is -0.5, must be at least 0"),
        ({"patience": math.nan}, "patience is nan, must be at least 0"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RetryPolicy(**settings)
