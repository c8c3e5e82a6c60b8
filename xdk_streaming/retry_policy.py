"""Which errors are final, and how long to hope in doubtful cases: a value, without a clock of its own."""

from __future__ import annotations

from dataclasses import dataclass

from xdk_streaming.errors import RETRYABLE, StreamError, StreamErrorType


@dataclass(frozen=True)
class RetryPolicy:
    """Which errors end a stream. An error that is not final is retried, as far as `max_retries` allows.

    An error that the settings themselves ask for is final under every policy: `on_model_error="raise"`,
    and a full `Buffer(overflow="fail")`. A bad value raises `ValueError`.
    """

    final: frozenset[StreamErrorType] = frozenset(StreamErrorType) - RETRYABLE
    """The classes of errors that end a stream at once. Any other set is kept as a frozenset."""
    renewals: int = 1
    """How often X may refuse the credential before a stream opens, and be asked anew. X is asked anew only if
    a callable or an auth object gives a credential that differs from the refused one."""
    patience: float = 900.0
    """Seconds (monotonic) for which a stream that has run before retries errors that are `intercepted`: a
    refused certificate, a login page. The seconds count from the first such error, and begin anew after any
    other error. Afterwards the next such error is final, whatever its class; math.inf sets no limit."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "final", frozenset(self.final))
        for each in self.final:
            if not isinstance(each, StreamErrorType):
                raise ValueError(f"final has {each!r}, must have members of StreamErrorType alone")
        for name in ("renewals", "patience"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, must be at least 0")

    def __repr__(self) -> str:
        """The same text in every process: the order of a set differs, and that of the classes does not."""
        final = ", ".join(each.name for each in StreamErrorType if each in self.final)
        return f"RetryPolicy(final={{{final}}}, renewals={self.renewals}, patience={self.patience})"

    def is_final(self, error: StreamError) -> bool:
        """Whether an error of this class ends the stream at once."""
        return error.error_type in self.final
