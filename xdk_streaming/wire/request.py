"""Sends the stream's request through requests, one attempt at a time.

Every exception of other code is translated here. Nothing is retried.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from functools import partial
from types import MappingProxyType
from typing import Any
from urllib.request import getproxies

import requests
from requests import exceptions as rq
from requests.models import DEFAULT_REDIRECT_LIMIT

from xdk_streaming.clock import monotonic
from xdk_streaming.config import NamedValues, NamedValuesSource
from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.wire import interim, interrupt, redirects
from xdk_streaming.wire.answer import Answer, Reading
from xdk_streaming.wire.arguments import accepts, check_method
from xdk_streaming.wire.caller import Call, Caller
from xdk_streaming.wire.credential import Credential
from xdk_streaming.wire.pools import race
from xdk_streaming.wire.redirects import LocationHook
from xdk_streaming.wire.scrubbed import linked
from xdk_streaming.wire.secrets import Secrets
from xdk_streaming.wire.timeouts import Timeouts
from xdk_streaming.wire.translation import translate
from xdk_streaming.wire.wait import Due, Wait

NO_VALUES: NamedValues = MappingProxyType({})


class Request:
    """The stream's request, sent anew at every attempt. For one thread.

    Callable params and headers are called at every attempt. Plain headers, and the session's Authorization,
    remain those of the first attempt: another call on a shared session must not change this stream's identity
    at its next reconnect. Raises `ValueError` if `method` is no HTTP method.
    """

    def __init__(
        self,
        session: requests.Session,
        method: str,
        url: str,
        params: NamedValuesSource = None,
        headers: NamedValuesSource = None,
        json_data: Any = None,
    ) -> None:
        check_method(method)
        self.method = method.upper()
        self.url = url
        self._session = session
        self._params = params
        self._headers = headers
        self._credential = Credential(session, self.method, url, headers)
        self._body = {} if json_data is None else {"json": json_data}
        self._identity: dict[str, Any] | None = None
        self._caller: Caller | None = None
        self._sent_headers: NamedValues = {}
        self.secrets = Secrets()
        """What this request sends, and nobody may read."""
        self.params: dict[str, Any] = {}
        """The query parameters of the last attempt."""

    def send(
        self,
        *,
        timeouts: Timeouts,
        wait: Wait,
        chunk_size: int | None,
        more: NamedValues = NO_VALUES,
    ) -> Answer:
        """Make one attempt. Raises `StreamError`, and no other `Exception`, if there is no answer.

        `more` are parameters for this attempt alone; they replace others of the same name. `Wait.wake` ends
        the attempt, and so does the limit `timeouts.attempt`. `Due` at `Wait.due_at`: the attempt then goes
        on, and the next call waits for it.
        """
        try:
            with ExitStack() as unanswered:
                caller = self._caller = self._caller or Caller(wait)
                unanswered.callback(self._end, caller)
                try:
                    response = self._response(caller, timeouts, more)
                except Due:
                    unanswered.pop_all()
                    raise
                answer = self._answered(response, chunk_size, Reading(wait, timeouts, caller, self.secrets))
                unanswered.pop_all()
                self._caller = None
                return answer
        except Due:
            raise
        except StreamError as refused:
            error = refused
        except Exception as exception:  # noqa: BLE001 - sessions, adapters, hooks and callables are foreign code
            interrupt.close_abandoned(exception, (Answer, requests.Response))
            self._note_sent(exception)
            error = translate(exception, self.secrets, _passwords(self.url, self._session))
        except BaseException as broken_off:
            interrupt.close_abandoned(broken_off, (Answer, Call, requests.Response, socket.socket))
            raise
        # Raised here, where no exception of other code becomes its context, and no frame below its traceback.
        raise error.with_traceback(None) from error.__cause__ or error.original_exception

    def renewed(self, error: StreamError) -> bool:
        """Whether X refused the credential, and a callable or an auth object now gives another one."""
        return self._credential.renewed(error)

    def _response(self, caller: Caller, timeouts: Timeouts, more: NamedValues) -> Any:
        """The response to one attempt. The user's callables run on this thread, the session on another."""
        if caller.goes_on:
            response = caller.resume()
        else:
            self.params = {**_asked(self._params), **more}
            self._sent_headers = self._identified(self._credential.headers())
            self._note_secrets()
            attempt = partial(self._followed, self._sent_headers, timeouts)
            limit = timeouts.attempt
            if limit is None:
                response = caller.call(attempt, heeds_due=True)
            else:
                late = partial(limit.passed, "No answer came")
                response = caller.call(attempt, monotonic() + limit.seconds, late, heeds_due=True)
        self._credential.note(response, self._sent_headers)
        with suppress(Exception):  # the response may be of any class
            self.secrets.note_headers(response.request.headers)
        return response

    def _note_secrets(self) -> None:
        """Remember what this attempt sends."""
        session = self._session
        self.secrets.note_headers(getattr(session, "headers", None))
        self.secrets.note_headers(self._sent_headers)
        self.secrets.note_params(self.params)
        for url in (self.url, *_proxies(session)):
            self.secrets.note_url(url)

    def _note_sent(self, exception: Exception) -> None:
        """Remember what an auth object added, such as a signature, to the request of a failed attempt."""
        for link in linked(exception):
            self.secrets.note_headers(getattr(getattr(link, "request", None), "headers", None))

    @property
    def goes_on(self) -> bool:
        """Whether an attempt is being made that was asked for before: `send` waits for it again."""
        return self._caller is not None

    def leave(self) -> None:
        """Leave the attempt that goes on, if there is one."""
        caller, self._caller = self._caller, None
        if caller is not None:
            caller.leave()
            caller.end()

    def _end(self, caller: Caller) -> None:
        self._caller = None
        caller.end()

    def _followed(self, headers: NamedValues, timeouts: Timeouts) -> Any:
        """The response that is no redirect."""
        url, method = self.url, self.method
        timeout = timeouts.pair(race(self._session, url))
        values = {"params": self.params, **self._body}
        for _ in range(_max_redirects(self._session) + 1):
            response = self._sent(method, url, headers=headers, timeout=timeout, **values)
            with ExitStack() as unread:  # a redirect's body may never end
                unread.callback(_close, response)
                there = redirects.destination(response, url, self.secrets)
                if there is None:
                    unread.pop_all()
                    return response
            after = redirects.method_after(response.status_code, method)
            values = self._body if after == method else {}
            url, method = there, after
        raise rq.TooManyRedirects

    def _sent(self, method: str, url: str, **named: Any) -> Any:
        send = getattr(self._session, method.lower())
        hook = LocationHook()
        if _would_be_replaced(self._session, named["headers"]) and accepts(send, "auth"):
            named["auth"] = _as_it_is
        if accepts(send, "allow_redirects"):
            named["allow_redirects"] = False
        if isinstance(self._session, requests.Session) and accepts(send, "hooks"):
            # requests takes the hooks of a request in place of the session's.
            named["hooks"] = {"response": [*_hooks(self._session), hook]}
        try:
            response = send(url, stream=True, **named)
        except Exception as exception:
            if isinstance(exception, rq.HTTPError) and exception.response is not None:
                response = exception.response  # a hook called raise_for_status()
            elif interrupt.quotes_a_header(exception):
                raise rq.InvalidHeader from None
            else:
                raise
        hook.put_back(response)
        return interim.final(response)

    def _answered(self, response: Any, chunk_size: int | None, reading: Reading) -> Answer:
        if isinstance(getattr(response, "status_code", None), int):
            return Answer(response, chunk_size, reading)
        raise StreamError(
            f"The session returned a {type(response).__name__} without a status_code; "
            "it must return responses like those of requests",
            StreamErrorType.FATAL_ERROR,
        )

    def _identified(self, headers: NamedValues) -> NamedValues:
        if self._identity is None:
            # A stream needs a connection of its own; see `Answer` for servers that ignore this header. And a
            # cache in the session, such as that of requests-cache, would read to the end, which never comes.
            self._identity = {
                "Connection": "close",
                "Cache-Control": "no-store",
                **_authorization(self._session),
            }
            if not callable(self._headers):
                self._identity.update(headers)
        return {**self._identity, **headers} if callable(self._headers) else self._identity


def _close(response: Any) -> None:
    with suppress(Exception):  # foreign code; there may be no close() at all
        response.close()


def _passwords(url: str, session: Any) -> set[str]:
    """User names and passwords in this URL and the proxies', split wherever a parser may split a URL."""
    urls = [url, *_proxies(session)]
    logins = [re.sub(r"^[\w+.-]+://", "", text).rpartition("@")[0] for text in map(str, urls)]
    return {piece for login in logins for piece in re.split(r"[:/?#@]", login) if piece}


def _proxies(session: Any) -> list[Any]:
    """The URLs of the session's proxies and of the environment's."""
    proxies = getattr(session, "proxies", None)
    return [*(proxies.values() if isinstance(proxies, Mapping) else ()), *getproxies().values()]


def _asked(source: NamedValuesSource) -> dict[str, Any]:
    return dict((source() if callable(source) else source) or {})


def _authorization(session: Any) -> dict[str, Any]:
    headers = getattr(session, "headers", None)
    value = headers.get("Authorization") if isinstance(headers, Mapping) else None
    return {} if value is None else {"Authorization": value}


def _would_be_replaced(session: Any, headers: NamedValues) -> bool:
    """Whether requests would replace this Authorization by a login of ~/.netrc or of the URL."""
    given = any(str(name).lower() == "authorization" and value for name, value in headers.items())
    return given and hasattr(session, "get_adapter") and not getattr(session, "auth", None)


def _as_it_is(request: Any) -> Any:
    """As the `auth` of a request: its Authorization stays."""
    return request


def _hooks(session: requests.Session) -> list[Any]:
    own = (session.hooks or {}).get("response") or []
    return [own] if callable(own) else list(own)


def _max_redirects(session: Any) -> int:
    limit = getattr(session, "max_redirects", None)
    return limit if isinstance(limit, int) else DEFAULT_REDIRECT_LIMIT
