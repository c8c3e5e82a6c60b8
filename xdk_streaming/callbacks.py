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

Call = tuple[str, tuple[Any, ...]]
"""A callback, by the name of its field, and its arguments."""

OWN_CALLBACK: Mapping[type, Callable[[Any], Call]] = {
    Transition: lambda transition: ("on_state_change", (transition,)),
    Gap: lambda gap: ("on_gap", (gap,)),
    Lag: lambda lag: ("on_lag", (lag,)),
    InvalidLine: lambda invalid: ("on_invalid", (invalid.line, invalid.reason)),
    NoticeReceived: lambda notice: ("on_notice", (notice.content,)),
}
"""The callback that each kind of record has."""


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

    def tell(self, record: Record, then: Iterable[Call] = ()) -> None:
        """Give the record to every observer and to its own callback, and make these calls after it.

        What is no `Exception` (`KeyboardInterrupt`, say) comes out, after the others were told.
        """
        interrupts: list[BaseException] = []
        for observer in self._config.observers:
            self._call("observer", observer, (record,), interrupts)
        for name, arguments in (OWN_CALLBACK[type(record)](record), *then):
            callback = getattr(self._config, name)
            if callback is not None:
                self._call(f"{name} callback", callback, arguments, interrupts)
        if interrupts:
            raise interrupts[0]

    def _call(
        self,
        name: str,
        function: Callable[..., object],
        arguments: tuple[Any, ...],
        interrupts: list[BaseException],
    ) -> None:
        try:
            self._run(function, *arguments)
        except Exception:
            self._state.callback_errors += 1
            logger.warning("The %s raised; the stream goes on", name, exc_info=True)
        except BaseException as interrupt:  # noqa: BLE001 - raised once the others were told
            interrupts.append(interrupt)
