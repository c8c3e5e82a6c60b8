"""Calls the named callbacks and the observers, and contains the exceptions that they raise.

An `Exception` from a callback or observer is logged and counted, and changes nothing else. This module knows
which callback belongs to which record. When a record is made is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from xdk_streaming.config import Record, StreamConfig
from xdk_streaming.gap import Gap
from xdk_streaming.log import logger
from xdk_streaming.state import InvalidLine, Lag, NoticeReceived, StreamState, Transition

OWN_CALLBACK: Mapping[type, Callable[[Any], tuple[str, tuple[Any, ...]]]] = {
    Transition: lambda transition: ("on_state_change", (transition,)),
    Gap: lambda gap: ("on_gap", (gap,)),
    Lag: lambda lag: ("on_lag", (lag,)),
    InvalidLine: lambda invalid: ("on_invalid", (invalid.line, invalid.reason)),
    NoticeReceived: lambda notice: ("on_notice", (notice.content,)),
}
"""For each kind of record: the name of its callback, and the arguments of the call."""

ROW_CALLBACKS: Mapping[str, Callable[[Any], tuple[Any, ...]]] = {
    "on_connect": lambda transition: (),
    "on_error": lambda transition: (transition.error,),
    "on_disconnect": lambda transition: (
        transition.error and (transition.error.original_exception or transition.error),
    ),
    "on_reconnect": lambda transition: (transition.attempt, transition.delay),
}
"""The callbacks that a row of the transition table may notify, and the arguments of each call."""

CALLBACKS = (
    "on_state_change",
    *ROW_CALLBACKS,
    "on_invalid",
    "on_notice",
    "on_gap",
    "on_lag",
)
"""The names of all callbacks of a `StreamConfig`."""


def _here(function: Callable[..., object], *arguments: Any) -> None:
    function(*arguments)


class Callbacks:
    """Calls the callbacks and observers that a `StreamConfig` holds at the moment of the report.

    The assembly makes this object and hands it to the other parts. Callbacks run on the thread that calls
    `report`, unless `run` takes them to another thread. `run` returns, or raises, when the callback is done.
    """

    def __init__(self, config: StreamConfig, state: StreamState, run: Callable[..., object] = _here) -> None:
        self._config = config
        self._state = state
        self._run = run

    def report(self, record: Record, notify: Iterable[str] = ()) -> None:
        """Give the record to every observer, then to its own callback, then call those named in `notify`.

        Only a transition uses `notify`: its row in the table names the callbacks. If one of the calls raises
        something other than an `Exception`, such as `KeyboardInterrupt`, the remaining calls are made first,
        and it is then raised.
        """
        config = self._config
        interrupts: list[BaseException] = []
        for observer in config.observers:
            self._call("observer", observer, (record,), interrupts)
        name, arguments = OWN_CALLBACK[type(record)](record)
        self._call(name, getattr(config, name), arguments, interrupts)
        for name in notify:
            self._call(name, getattr(config, name), ROW_CALLBACKS[name](record), interrupts)
        if interrupts:
            raise interrupts[0]

    def _call(
        self,
        name: str,
        function: Callable[..., object] | None,
        arguments: tuple[Any, ...],
        interrupts: list[BaseException],
    ) -> None:
        if function is None:
            return
        try:
            self._run(function, *arguments)
        except Exception:  # noqa: BLE001 - callbacks are the user's code
            self._state.callback_errors += 1
            logger.warning("The %s callback raised; the stream goes on", name, exc_info=True)
        except BaseException as interrupt:  # noqa: BLE001 - raised after the remaining calls
            interrupts.append(interrupt)
