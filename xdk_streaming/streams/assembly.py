"""What the two faces of a stream share: a driver, and what is seen of it."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import TypeAdapter

from xdk_streaming.callbacks import Callbacks
from xdk_streaming.clock import Clock, SystemClock
from xdk_streaming.config import Buffer, StreamConfig, as_config
from xdk_streaming.driver.driver import Driver
from xdk_streaming.driver.threaded import Threaded
from xdk_streaming.gap import Span
from xdk_streaming.recovery.bounds import between
from xdk_streaming.state import ConnectionState, StreamState, Transition
from xdk_streaming.wire.decoder import Decoder, LineDecoder
from xdk_streaming.wire.request import Request

if TYPE_CHECKING:
    import requests

T = TypeVar("T")

Json = dict[str, Any]
Fields = Mapping[str, Any]


def _nothing(*_: Any) -> None:
    pass


class Assembly(ABC, Generic[T]):
    """A driver, and what is seen of it: the same for those who iterate on a thread and on a loop."""

    def __init__(
        self,
        session: requests.Session,
        method: str,
        url: str,
        config: StreamConfig | None = None,
        params: Fields | Callable[[], Fields] | None = None,
        headers: Fields | Callable[[], Fields] | None = None,
        json_data: Any = None,
        response_model: type[T] | TypeAdapter[T] | None = None,
        *,
        state: StreamState | None = None,
        clock: Clock | None = None,
        rng: Callable[[], float] = random.random,
    ) -> None:
        config = StreamConfig() if config is None else as_config(config)
        self.state = state or StreamState()
        self._clock = clock or SystemClock()
        self._request = Request(session, method, url, params, headers, json_data)

        another = self._another  # not `self`: the driver would keep it, and what is dropped not be closed

        def refill(span: Span) -> Any:
            bounded = partial(between, span, params, camel="/powerstream" in url)
            alone = replace(config, recovery=None, buffer=None)
            return another(session, method, url, alone, bounded, headers, json_data, response_model)

        self._callbacks = self._told(config)
        self._driver = Driver(
            self._request,
            config,
            LineDecoder() if response_model is bytes else Decoder(response_model, config.on_model_error),
            self.state,
            self._callbacks,
            clock=self._clock,
            rng=rng,
            refill=refill,
        )
        self._prepare(config)

    @staticmethod
    @abstractmethod
    def _another(*arguments: Any) -> Any:
        """A stream of this face, for what remains uncovered of a gap."""

    def _told(self, config: StreamConfig) -> Callbacks:
        return Callbacks(config, self.state)

    @abstractmethod
    def _prepare(self, config: StreamConfig) -> None:
        """What the face needs besides."""

    def _buffered(
        self, config: StreamConfig, buffer: Buffer, on_ready: Callable[[], object] = _nothing
    ) -> Threaded:
        driver = self._driver
        driver.acknowledges = False
        driver.hands_over_lines = (
            buffer.overflow == "block" and config.recovery is None and config.on_model_error != "raise"
        )
        keeps = config.recovery is not None and config.recovery.checkpoint is not None
        threaded = Threaded(
            driver,
            buffer,
            self.state,
            self._clock,
            size=driver.line_bytes,
            received_at=driver.received_at,
            at_hand=lambda: True,  # the driver tells when nothing is
            on_lag=self._callbacks.tell if config.buffer is not None else _nothing,
            dropped=driver.dropped,
            mark=driver.mark,
            delivered=driver.delivered if keeps else None,
            on_ready=on_ready,
            read=driver.read,
        )
        driver.before_wait = threaded.flush
        return threaded

    @property
    def connection_state(self) -> ConnectionState:
        """Where the connection's machine stands."""
        return self._driver.machine.connection_state

    @property
    def history(self) -> tuple[Transition, ...]:
        """The last transitions, oldest first: `StreamConfig.history` of them."""
        return tuple(self._driver.machine.history)

    def __repr__(self) -> str:
        # The query may hold a secret of the user's.
        url = self._request.url.partition("?")[0]
        return f"<{type(self).__name__} {self._request.method} {url} {self.connection_state.name}>"
