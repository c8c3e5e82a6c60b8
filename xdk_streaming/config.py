"""What a user can set: values only, checked when they are given and when they are assigned."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from xdk_streaming import x
from xdk_streaming.backoff import X_LADDERS, BackoffPolicy
from xdk_streaming.errors import StreamError
from xdk_streaming.gap import Gap
from xdk_streaming.state import InvalidLine, Lag, NoticeReceived, Transition

C = TypeVar("C")

Record = Transition | Gap | Lag | InvalidLine | NoticeReceived
"""What an observer gets: one frozen record for each thing that happened."""
Observer = Callable[[Record], Any]

NamedValues = Mapping[str, Any]
"""Query parameters or headers, by name."""
NamedValuesSource = NamedValues | Callable[[], NamedValues] | None
"""Query parameters or headers: plain ones, or a callable that gives them anew at every attempt."""


def _endless(value: object) -> object:
    """An infinite limit is no limit: the way `max_retries=float("inf")` works in `xdk.streaming`."""
    return -1 if value == math.inf else value


def _as_path(path: Path | str | None) -> Path | None:
    return None if path is None else Path(path)


RetryLimit = Annotated[int, BeforeValidator(_endless)]
Seconds = Annotated[float, Field(ge=0)]
FiniteSeconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Factor = Annotated[float, Field(ge=1, allow_inf_nan=False)]
Bytes = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]


def _named_arguments(cls: type[C]) -> type[C]:
    """Have positional arguments checked under their names: pydantic's errors else say only "0" or "1"."""
    names = [field.name for field in fields(cls) if not field.kw_only]  # type: ignore[arg-type]  # it is one
    checked = cls.__init__

    @wraps(checked)
    def init(self: C, *positional: Any, **named: Any) -> None:
        if len(positional) > len(names):
            given = len(positional)
            raise TypeError(f"{cls.__name__} takes {len(names)} positional arguments, {given} given")
        checked(self, **dict(zip(names, positional, strict=False)), **named)

    setattr(cls, "__init__", init)  # noqa: B010 - assigned plainly, type checkers refuse it
    return cls


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Recovery:
    """How to get back what was missed: X's backfill, and not giving the same item out twice.

    X brings back at most five minutes, to those entitled to it, and repeats what was received before
    (docs.x.com/x-api/fundamentals/recovery-and-redundancy). Where it refuses, it is not asked again.
    """

    parameter: str | None = x.BACKFILL_PARAMETERS[0]
    """What X calls it: `backfillMinutes` on Powerstream. None: nothing is asked for."""
    max_minutes: Annotated[int, Field(ge=1)] = x.MAX_BACKFILL_MINUTES
    key: Callable[[Any], Hashable] | None = None
    """What tells an item from all others. None: its id or `event_uuid`, else the whole of it."""
    window: PositiveSeconds = 600.0
    """Seconds for which an item's key is remembered, at least; fewer where there are more than `max_ids`."""
    max_ids: Annotated[int, Field(ge=1)] = 2_150_000
    """Keys remembered at least: five minutes of a firehose partition at its peak of 7,160 a second."""
    checkpoint: Annotated[Path | str | None, AfterValidator(_as_path)] = None
    """A file in which to remember, across restarts, what was delivered. One stream each. Kept as a `Path`."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Buffer:
    """Read in a thread of its own, and keep what the consumer has not come to yet.

    X cuts a slow reader off and throws away what waited for it. Items count with the bytes of their
    lines; decoded, they take several times that.
    """

    max_bytes: Bytes = 64 * 2**20
    overflow: Literal["block", "drop_oldest", "fail"] = "block"
    """Stop reading; drop the oldest items, count them and report a `Gap`; or fail."""
    high_watermark: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Share of `max_bytes` from which `on_lag` is told that the consumer lags."""
    low_watermark: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of `max_bytes` below which it is told that it no longer does."""

    def __post_init__(self) -> None:
        if self.low_watermark >= self.high_watermark:
            raise ValueError(
                f"low_watermark is {self.low_watermark}, must be below high_watermark, {self.high_watermark}"
            )


@_named_arguments
@dataclass(config=ConfigDict(validate_assignment=True, extra="forbid"))
class StreamConfig:
    """How a stream connects, waits and reports. Seconds and bytes throughout.

    A bad value raises a `ValueError` that names the field, the value and what is allowed,
    at construction and at assignment alike. An assigned value counts from its next use:
    timeouts from the next attempt. Callbacks run on the thread that iterates, in the order
    of the table in the README; an exception that one raises is logged and counted, and
    changes nothing else.
    """

    max_retries: RetryLimit = 10
    """Reconnection attempts without progress between them; 0 gives up at the first loss, a
    negative number never."""
    initial_backoff: FiniteSeconds = 1.0
    max_backoff: Seconds = 64.0
    """No delay of ours exceeds it. What the server asks for may."""
    backoff_multiplier: Factor = 2.0
    jitter: bool = True
    """Spread each delay over its upper half, so that clients cut off together do not return together."""
    timeout: PositiveSeconds | tuple[PositiveSeconds | None, PositiveSeconds | None] | None = None
    """Bounds connecting and each wait for bytes, or (connecting, each wait), as in requests."""
    chunk_size: Bytes | None = 1024
    """What `iter_content` is asked for where it has to be used. Neither delays an item nor costs speed
    on requests' own responses."""

    on_connect: Callable[[], Any] | None = None
    on_disconnect: Callable[[Exception | None], Any] | None = None
    on_reconnect: Callable[[int, float], Any] | None = None
    on_error: Callable[[StreamError], Any] | None = None

    stall_timeout: PositiveSeconds | None = Field(default=30.0, kw_only=True)
    """Seconds of silence that make a fault, whatever `timeout` says; None for off. X sends a heartbeat
    at least every 20 s (docs.x.com/x-api/fundamentals/consuming-streaming-data)."""
    max_item_bytes: Bytes = Field(default=32 * 2**20, kw_only=True)
    """The longest line that is kept."""
    backoff: BackoffPolicy | None = Field(default=None, kw_only=True)
    """A ladder for each class of loss, in place of `initial_backoff` and `backoff_multiplier`; None for those
    two. `max_backoff` caps them all."""
    on_state_change: Callable[[Transition], Any] | None = Field(default=None, kw_only=True)
    on_invalid: Callable[[bytes, str], Any] | None = Field(default=None, kw_only=True)
    """A line that is no item, and the reason."""
    on_model_error: Literal["report", "yield", "raise"] = Field(default="report", kw_only=True)
    """An item that `response_model` refuses: to `on_invalid`, out as the plain dict, or an error."""
    on_notice: Callable[[dict[str, Any]], Any] | None = Field(default=None, kw_only=True)
    """An errors-only object that does not end the stream."""
    recovery: Recovery | None = Field(default=None, kw_only=True)
    """Whether to ask X for what was missed, which needs an entitlement; None for not."""
    on_gap: Callable[[Gap], Any] | None = Field(default=None, kw_only=True)
    """An outage is over: what was missed, and what of it is brought back. With or without `recovery`."""
    buffer: Buffer | None = Field(default=None, kw_only=True)
    """Whether to read in a thread of its own, on which the callbacks then run; None for not."""
    on_lag: Callable[[Lag], Any] | None = Field(default=None, kw_only=True)
    """The consumer has begun to lag behind the buffer, or has caught up."""
    history: Count = Field(default=100, kw_only=True)
    """Transitions that `Stream.history` keeps."""
    observers: tuple[Observer, ...] = Field(default=(), kw_only=True)
    """Any number of callables. Each gets every `Transition`, `Gap`, `Lag`, `InvalidLine` and
    `NoticeReceived`, on the thread of the callbacks and before the callback for that record. If an observer
    raises, that is logged and counted as for a callback, and the other observers get the record too."""

    @classmethod
    def for_x(cls, **overrides: Any) -> StreamConfig:
        """Settings as X publishes them: its backoff ladders (`X_LADDERS`), no retry limit, 21 s of silence.

        A heartbeat comes every 20 s, and X asks for a new connection after 20 s without one
        (docs.x.com/x-api/fundamentals/handling-disconnections); the second more keeps a heartbeat
        that is on its way from looking like a fault. `overrides` are fields of `StreamConfig`.
        Raises `ValueError` where one has no effect beside `backoff`.
        """
        for name in ("initial_backoff", "backoff_multiplier"):
            if name in overrides:
                raise ValueError(
                    f"{name} has no effect in for_x, which waits by X's own ladders; "
                    f"give backoff=BackoffPolicy(...) for others, or StreamConfig({name}=...) for one"
                )
        return cls(
            **{
                "max_retries": -1,
                "max_backoff": X_LADDERS.server.cap,
                "stall_timeout": 21.0,
                "backoff": X_LADDERS,
                **overrides,
            }
        )


def as_config(settings: object) -> StreamConfig:
    """Settings of `xdk.streaming`'s own class, made before `patch_xdk()`, as ours; ours as they are."""
    if isinstance(settings, StreamConfig):
        return settings
    if not is_dataclass(settings) or isinstance(settings, type):
        raise TypeError(f"config is a {type(settings).__name__}, must be a StreamConfig")
    return StreamConfig(**{field.name: getattr(settings, field.name) for field in fields(settings)})
