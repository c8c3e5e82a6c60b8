"""Callbacks and observers that take something else than they get."""

from xdk_streaming import StreamConfig, Transition


def takes_a_transition(transition: Transition) -> None:
    """As an observer it would get gaps as well."""


def takes_a_name(name: str) -> None:
    """No callback gets one alone."""


def takes_an_attempt(attempt: int) -> None:
    """The delay comes with it."""


def takes_nothing() -> None:
    """Only on_connect gets nothing."""


StreamConfig(on_state_change=takes_a_transition, on_connect=takes_nothing)
StreamConfig(observers=(takes_a_transition,))  # refused: an observer gets every record
StreamConfig(observers=takes_a_transition)  # refused: a tuple of them
StreamConfig(on_connect=takes_a_name)  # refused: it gets nothing
StreamConfig(on_disconnect=takes_nothing)  # refused: it gets the reason
StreamConfig(on_reconnect=takes_an_attempt)  # refused: it gets the delay, too
StreamConfig(on_error=takes_a_name)  # refused: it gets a StreamError
StreamConfig(on_invalid=lambda line: None)  # refused: it gets the reason, too
StreamConfig(on_gap=takes_a_transition)  # refused: it gets a Gap
config = StreamConfig()
config.on_lag = takes_a_name  # refused: it gets a Lag
