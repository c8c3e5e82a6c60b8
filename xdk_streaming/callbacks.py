"""The user's functions, behind a fence: what one raises is logged and counted, and changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from xdk_streaming.config import StreamConfig
from xdk_streaming.state import StreamState

logger = logging.getLogger("xdk_streaming")


class Callbacks:
    """Calls the callbacks of a `StreamConfig` by field name, as they are set at that moment."""

    def __init__(self, config: StreamConfig, state: StreamState) -> None:
        self._config = config
        self._state = state
        self.run: Callable[..., object] = _at_once
        """Calls what it is given, and returns or raises when that is done: here and now, or on a loop."""

    def call(self, name: str, *arguments: Any) -> None:
        """Call one, where it is set. Only what is no `Exception` (Ctrl-C, say) gets out."""
        callback = getattr(self._config, name)
        if callback is None:
            return
        try:
            self.run(callback, *arguments)
        except Exception:
            self._state.callback_errors += 1
            logger.warning("The %s callback raised; the stream goes on", name, exc_info=True)


def _at_once(callback: Callable[..., object], *arguments: Any) -> None:
    callback(*arguments)
