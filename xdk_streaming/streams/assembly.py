"""Puts a stream together from its parts, for `Stream` and `AsyncStream` alike.

Nothing runs here: the two classes know what iterates, and on which thread.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import partial, update_wrapper
from types import FunctionType
from typing import TYPE_CHECKING, Any, Generic

from pydantic import TypeAdapter

from xdk_streaming import x
from xdk_streaming.callbacks import Callbacks
from xdk_streaming.clock import Clock, SystemClock
from xdk_streaming.config import Buffer, NamedValuesSource, StreamConfig, as_config
from xdk_streaming.driver.driver import Driver
from xdk_streaming.driver.invalid_lines import InvalidLines
from xdk_streaming.driver.parts import Parts
from xdk_streaming.driver.read_ahead import ReadAhead
from xdk_streaming.driver.threaded import Threaded
from xdk_streaming.gap import Span
from xdk_streaming.machine.machine import ConnectionMachine
from xdk_streaming.recovery.bounds import between
from xdk_streaming.recovery.tracker import Tracker
from xdk_streaming.state import ConnectionState, StreamState, Transition
from xdk_streaming.wire.arguments import check_arguments
from xdk_streaming.wire.request import Request
from xdk_streaming.wire.response_model import decoder_for
from xdk_streaming.wire.secrets import shown_url

if TYPE_CHECKING:
    import requests
    from typing_extensions import TypeVar

    T = TypeVar("T", default=dict[str, Any])
else:  # a type variable's default has no effect at run time, and Python supports it only from 3.13 on
    from typing import TypeVar

    T = TypeVar("T")

Model = type[T] | TypeAdapter[T] | Callable[[bytes], T]
"""A `response_model`: a pydantic model class or a Struct, a `TypeAdapter`, `bytes`, or a function."""


class Assembly(ABC, Generic[T]):
    """A driver with its parts, and the attributes that `Stream` and `AsyncStream` share."""

    def __init_subclass__(cls) -> None:
        """Give each class a constructor of its own name, which Python shows if an argument is missing."""
        super().__init_subclass__()
        if "__init__" not in vars(cls):
            setattr(cls, "__init__", _renamed(cls.__init__, f"{cls.__qualname__}.__init__"))  # noqa: B010

    def __init__(
        self,
        session: requests.Session,
        method: str,
        url: str,
        config: StreamConfig | None = None,
        params: NamedValuesSource = None,
        headers: NamedValuesSource = None,
        json_data: Any = None,
        response_model: Model[T] | None = None,
        *,
        state: StreamState | None = None,
        clock: Clock | None = None,
        rng: Callable[[], float] = random.random,
    ) -> None:
        check_arguments(session, method, url, params, headers)
        config = StreamConfig() if config is None else as_config(config)
        # The function and not `self`: the driver would keep a dropped stream alive, which then never closed.
        another = self._another_stream

        def refill(span: Span) -> Any:
            bounded = partial(between, span, params, names=x.recovery_parameters(url))
            alone = replace(config, recovery=None, buffer=None)
            return another(session, method, url, alone, bounded, headers, json_data, response_model)

        self.state = state or StreamState()
        clock = clock or SystemClock()
        callbacks = self._make_callbacks(config)
        tracker = Tracker(config.recovery, clock=clock, refill=refill)
        request = Request(session, method, url, params, headers, json_data)
        self._parts = Parts(
            request=request,
            config=config,
            state=self.state,
            clock=clock,
            callbacks=callbacks,
            machine=ConnectionMachine(config, self.state, callbacks, rng=rng),
            decoder=decoder_for(response_model, config.on_model_error),
            tracker=tracker,
            invalid_lines=InvalidLines(self.state, callbacks, clock, request.secrets),
            unix=tracker.unix,
            refill=refill,
        )
        self._driver = Driver(self._parts)
        self._ahead = ReadAhead(self._driver, self._parts)
        self._threaded: Threaded | None = None
        self._prepare(config)

    @staticmethod
    @abstractmethod
    def _another_stream(*arguments: Any) -> Any:
        """A stream of the same class, for the uncovered span of a gap."""

    @abstractmethod
    def _make_callbacks(self, config: StreamConfig) -> Callbacks:
        """The callbacks, which know on which thread they run."""

    @abstractmethod
    def _prepare(self, config: StreamConfig) -> None:
        """Make what the class itself needs, such as the iterator."""

    def _threaded_driver(self, buffer: Buffer, on_ready: Callable[[], object] | None = None) -> Threaded:
        config, callbacks = self._parts.config, self._parts.callbacks
        return Threaded(
            self._ahead,
            buffer,
            self.state,
            self._parts.clock,
            hands_over_lines=buffer.overflow == "block"
            and (config.recovery is None or not config.recovery.dedupe)
            and config.on_model_error != "raise",
            on_lag=callbacks.report if config.buffer is not None else None,
            on_ready=on_ready,
        )

    @property
    def position(self) -> float | None:
        """From when a later stream has to ask, in Unix seconds, by the server's clock where it is known.

        This holds if what was handed over last, an item or a batch, is the last that was stored. Keep it
        beside the items, and give it to `Recovery(resume_from=...)`. Heartbeats move it, too. None before the
        first connection, and for a request with an end in time. For the thread or the task that iterates.
        """
        if self._parts.tracker.bounded:
            return None
        threaded, recovery = self._threaded, self._parts.config.recovery
        if threaded is None:
            return self._parts.tracker.position().moment
        if threaded.hand.position is None and recovery is not None:
            return recovery.resume_from
        return threaded.hand.position

    @property
    def connection_state(self) -> ConnectionState:
        """The present state of the connection, for any thread."""
        return self._parts.machine.connection_state

    @property
    def history(self) -> tuple[Transition, ...]:
        """The last transitions, oldest first, at most `StreamConfig.history` of them. For any thread."""
        return tuple(self._parts.machine.history)

    def __repr__(self) -> str:
        request = self._parts.request
        return (
            f"<{type(self).__name__} {request.method} {shown_url(request.url)} {self.connection_state.name}>"
        )


def _renamed(function: Any, name: str) -> Any:
    """A copy of the function under another name."""
    copy: Any = FunctionType(function.__code__, function.__globals__, function.__name__)
    update_wrapper(copy, function)
    copy.__defaults__, copy.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
    copy.__qualname__ = name
    del copy.__wrapped__
    return copy
