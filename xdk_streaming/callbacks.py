"""Who is told: the named callbacks and the observers, behind a fence.

What one of them raises is logged and counted, and changes nothing. Knows which callback belongs to which
record; when a record comes about is for others to say.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from xdk_streaming.config import Record, StreamConfig
from xdk_streaming.gap import Gap
from xdk_streaming.state import InvalidLine, Lag, NoticeReceived, StreamState, Transition

logger = logging.getLogger("xdk_streaming")

OWN_CALLBACK: Mapping[type, Callable[[Any], tuple[str, tuple[Any, ...]]]] = {
    Transition: lambda transition: ("on_state_change", (transition,)),
    Gap: lambda gap: ("on_gap", (gap,)),
    Lag: lambda lag: ("on_lag", (lag,)),
    InvalidLine: lambda invalid: ("on_invalid", (invalid.line, invalid.reason)),
    NoticeReceived: lambda notice: ("on_notice", (notice.content,)),
}
"""The callback that each kind of record has, and its arguments."""

ROW_CALLBACKS: Mapping[str, Callable[[Any], tuple[Any, ...]]] = {
    "on_connect": lambda transition: (),
    "on_error": lambda transition: (transition.error,),
    "on_disconnect": lambda transition: (
        transition.error and (transition.error.original_exception or transition.error),
    ),
    "on_reconnect": lambda transition: (transition.attempt, transition.delay),
}
"""The callbacks that a row of the transition table may notify, and their arguments."""


def _here(function: Callable[..., object], *arguments: Any) -> None:
    function(*arguments)


class Callbacks:
    """Tells the callbacks and observers of a `StreamConfig`, as they are set at that moment.

    Made by the assembly and handed down. They run on the thread that tells them, unless `run` takes them
    elsewhere; it returns, or raises, when they are done.
    """

    def __init__(self, config: StreamConfig, state: StreamState, run: Callable[..., object] = _here) -> None:
        self._config = config
        self._state = state
        self._run = run

    def report(self, record: Record, notify: Iterable[str] = ()) -> None:
        """Give the record to every observer, then to its own callback, then call those named in `notify`.

        Only a transition has such others: those of its row in the table. What is no `Exception`
        (`KeyboardInterrupt`, say) comes out, after the others were told.
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
        except Exception:
            self._state.callback_errors += 1
            logger.warning("The %s callback raised; the stream goes on", name, exc_info=True)
        except BaseException as interrupt:  # noqa: BLE001 - raised once the others were told
            interrupts.append(interrupt)
