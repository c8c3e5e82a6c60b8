"""The settings of a stream: values, checked at construction and at every assignment."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import field, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from xdk_streaming import x
from xdk_streaming.backoff import X_LADDERS, BackoffPolicy
from xdk_streaming.errors import StreamError
from xdk_streaming.gap import Gap
from xdk_streaming.retry_policy import RetryPolicy
from xdk_streaming.state import InvalidLine, Lag, NoticeReceived, Transition

C = TypeVar("C")

Record = Transition | Gap | Lag | InvalidLine | NoticeReceived
"""What an observer gets: one frozen record for each thing that happened."""
Observer = Callable[[Record], Any]
"""A callable that gets every record; what it returns is ignored."""

NamedValues = Mapping[str, Any]
"""Query parameters or headers, by name."""
NamedValuesSource = NamedValues | Callable[[], NamedValues] | None
"""Query parameters or headers: plain ones, or a callable that gives them anew at every attempt."""


def _endless(value: object) -> object:
    """Accept an infinite limit as no limit, as `max_retries=float("inf")` works in `xdk.streaming`."""
    return -1 if value == math.inf else value


def _as_path(path: Path | str | None) -> Path | None:
    return None if path is None else Path(path)


RetryLimit = Annotated[int, BeforeValidator(_endless)]
Seconds = Annotated[float, Field(ge=0)]
FiniteSeconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Factor = Annotated[float, Field(ge=1, allow_inf_nan=False)]
MAX_UNIX_SECONDS = 1e11
"""The year 5138. A larger number gives milliseconds."""
Bytes = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]


def _named_arguments(cls: type[C]) -> type[C]:
    """Check positional arguments under their names; without this, pydantic's errors say only "0" or "1"."""
    names = [each.name for each in fields(cls) if not each.kw_only]  # type: ignore[arg-type]  # it is one
    checked = cls.__init__

    @wraps(checked)
    def init(self: C, *positional: Any, **named: Any) -> None:
        if len(positional) > len(names):
            given = len(positional)
            raise TypeError(f"{cls.__name__} takes {len(names)} positional arguments, {given} given")
        checked(self, **dict(zip(names, positional, strict=False)), **named)

    setattr(cls, "__init__", init)  # noqa: B010 - assigned plainly, type checkers refuse it
    return cls


def _extensible(cls: type[C]) -> type[C]:
    """Let a derived dataclass add fields, whose assignment pydantic would refuse."""
    own = {each.name for each in fields(cls)}  # type: ignore[arg-type]  # it is one
    checked = cls.__setattr__

    def set_attribute(self: C, name: str, value: Any) -> None:
        added = name not in own and any(each.name == name for each in fields(self))  # type: ignore[arg-type]
        (object.__setattr__ if added else checked)(self, name, value)

    setattr(cls, "__setattr__", set_attribute)  # noqa: B010 - as above
    return cls


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Recovery:
    """How to get missed items back: X's backfill, and a filter that delivers no item twice.

    X sends at most five minutes again, only to apps with the entitlement, and repeats items that were
    received before (docs.x.com/x-api/fundamentals/recovery-and-redundancy). If X refuses the backfill, the
    stream does not ask for it again. A bad value raises `ValueError`.
    """

    parameter: str | None = x.BACKFILL_PARAMETERS[0]
    """X's name for the minutes of backfill; on Powerstream it is `backfillMinutes`. None asks for none."""
    max_minutes: Annotated[int, Field(ge=1)] = x.MAX_BACKFILL_MINUTES
    """Minutes of backfill to ask for, at most."""
    key: Callable[[Any], Hashable] | None = None
    """A function from an item to the key that identifies it. None uses the item's id or `event_uuid`, or else
    its whole content. It is called on the thread that reads."""
    window: PositiveSeconds = 600.0
    """Seconds for which an item's key is remembered, at least, by the monotonic clock. The time is shorter if
    more than `max_ids` items come in it."""
    max_ids: Annotated[int, Field(ge=1)] = 2_150_000
    """Keys remembered at least: five minutes of a firehose partition at its peak of 7,160 items a second."""
    checkpoint: Annotated[Path | str | None, AfterValidator(_as_path)] = None
    """A file that records delivered items across restarts, one file per stream. Kept as a `Path`."""
    resume_from: Annotated[float, Field(ge=0, le=MAX_UNIX_SECONDS)] | None = None
    """A `Stream.position` that an earlier process has stored: what came later is asked for again. In Unix
    seconds. None begins anew, or where the checkpoint ends; the two exclude each other."""
    dedupe: bool = True
    """Whether repeated items are filtered out. False keeps no keys, for a store that recognizes repeats."""

    def __post_init__(self) -> None:
        if self.checkpoint is not None and self.resume_from is not None:
            raise ValueError(
                "checkpoint and resume_from are both set; each says where to go on, so set only one of them"
            )
        if self.key is not None and not self.dedupe:
            raise ValueError("key is set, but with dedupe=False no keys are kept; leave one of them out")


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Buffer:
    """Read in a separate thread, and keep the items that the consumer has not taken yet.

    X disconnects a slow reader and discards the items that waited for it. An item counts as the bytes of its
    line; a decoded item takes several times as much memory. A bad value raises `ValueError`.
    """

    max_bytes: Bytes = 64 * 2**20
    """Bytes of lines that the buffer holds, at most."""
    overflow: Literal["block", "drop_oldest", "fail"] = "block"
    """What happens if the buffer is full: "block" stops reading; "drop_oldest" drops the oldest items, counts
    them and reports a `Gap`; "fail" ends the stream with an error."""
    high_watermark: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Share of `max_bytes`. Once more is queued, `on_lag` reports that the consumer is behind."""
    low_watermark: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of `max_bytes`. Once no more is queued, `on_lag` reports that the consumer has caught up."""

    def __post_init__(self) -> None:
        if self.low_watermark >= self.high_watermark:
            raise ValueError(
                f"low_watermark is {self.low_watermark}, must be below high_watermark, {self.high_watermark}"
            )


@_extensible
@_named_arguments
@dataclass(config=ConfigDict(validate_assignment=True, extra="forbid"))
class StreamConfig:
    """How a stream connects, waits and reports. Durations are in seconds, sizes in bytes.

    A bad value raises a `ValueError` at construction and at assignment. The error names the field, the value
    and the allowed range. An assigned value takes effect at its next use; a timeout, at the next attempt.
    Callbacks run on the thread that iterates, in the order of the table in docs/callbacks-and-observers.md.
    An exception from a callback is logged and counted, and changes nothing else.
    """

    max_retries: RetryLimit = 10
    """Consecutive reconnection attempts without progress. 0 gives up at the first loss; a negative number
    sets no limit."""
    initial_backoff: FiniteSeconds = 1.0
    """Seconds to wait before the first reconnection attempt."""
    max_backoff: Seconds = 64.0
    """Seconds that a delay of ours lasts at most. A delay that the server asks for may be longer."""
    backoff_multiplier: Factor = 2.0
    """Factor by which the delay grows at each attempt."""
    jitter: bool = True
    """Spread each delay over its upper half, so that clients disconnected together do not return together."""
    timeout: PositiveSeconds | tuple[PositiveSeconds | None, PositiveSeconds | None] | None = None
    """Seconds allowed for connecting and for each wait for bytes; or a pair of the two, as in requests."""
    chunk_size: Bytes | None = 1024
    """Bytes to ask `iter_content` for if the response offers nothing better. With requests' own responses the
    value neither delays an item nor costs speed."""

    on_connect: Callable[[], Any] | None = None
    """Called when a stream has opened."""
    on_disconnect: Callable[[Exception | None], Any] | None = None
    """Called when an open connection is gone, with its cause: the original exception if there is one, else
    the `StreamError`; None after a clean end or a stop."""
    on_reconnect: Callable[[int, float], Any] | None = None
    """Called before the wait, with the attempt (1-based) and its delay in seconds."""
    on_error: Callable[[StreamError], Any] | None = None
    """Called once for each error."""

    stall_timeout: PositiveSeconds | None = field(default=30.0, kw_only=True)
    """Seconds of silence that count as a fault, whatever `timeout` says; None turns the check off. X sends a
    heartbeat at least every 20 s (docs.x.com/x-api/fundamentals/consuming-streaming-data)."""
    max_item_bytes: Bytes = field(default=32 * 2**20, kw_only=True)
    """Bytes of the longest line that is kept."""
    backoff: BackoffPolicy | None = field(default=None, kw_only=True)
    """A ladder for each class of loss, in place of `initial_backoff` and `backoff_multiplier`. None uses
    those two. `max_backoff` caps every ladder."""
    retry_policy: RetryPolicy = field(default=RetryPolicy(), kw_only=True)
    """Which errors are final, and for how long a doubtful one is retried."""
    on_state_change: Callable[[Transition], Any] | None = field(default=None, kw_only=True)
    """Called for every transition, before the other callbacks of that transition."""
    on_invalid: Callable[[bytes, str], Any] | None = field(default=None, kw_only=True)
    """Called with each line that is no item, and the reason."""
    on_model_error: Literal["report", "yield", "raise"] = field(default="report", kw_only=True)
    """What happens to an item that `response_model` refuses: "report" gives it to `on_invalid`, "yield"
    delivers it as a plain dict, "raise" ends the stream with an error."""
    on_notice: Callable[[dict[str, Any]], Any] | None = field(default=None, kw_only=True)
    """Called with each object that is about the stream, carries no data and does not end the stream."""
    recovery: Recovery | None = field(default=None, kw_only=True)
    """Ask X for missed items, which needs an entitlement. None does not ask."""
    on_gap: Callable[[Gap], Any] | None = field(default=None, kw_only=True)
    """Called when an outage is over, with what was missed and which part of it the backfill covers. Also
    called without `recovery`."""
    buffer: Buffer | None = field(default=None, kw_only=True)
    """Read in a separate thread, on which the callbacks then run. None reads on the thread that iterates."""
    on_lag: Callable[[Lag], Any] | None = field(default=None, kw_only=True)
    """Called when the consumer falls behind the buffer, and when it has caught up."""
    history: Count = field(default=100, kw_only=True)
    """Transitions that `Stream.history` keeps."""
    observers: tuple[Observer, ...] = field(default=(), kw_only=True)
    """Any number of callables. Each gets every `Transition`, `Gap`, `Lag`, `InvalidLine` and
    `NoticeReceived`, on the thread of the callbacks and before the callback for that record. An exception
    from an observer is logged and counted as for a callback, and the other observers still get the record."""

    @classmethod
    def for_x(cls, **overrides: Any) -> StreamConfig:
        """Settings as X publishes them: its backoff ladders (`X_LADDERS`), no retry limit, 21 s of silence.

        A heartbeat comes every 20 s, and X asks for a new connection after 20 s without a heartbeat
        (docs.x.com/x-api/fundamentals/handling-disconnections). The extra second keeps a heartbeat that is
        still on its way from looking like a fault. `overrides` are fields of `StreamConfig`. Raises
        `ValueError` for a bad value, and for an override that has no effect beside `backoff`.
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
    """The settings as a `StreamConfig` of this package: converted if they are of `xdk.streaming`'s own class.

    Such settings exist if they were made before `patch_xdk()`.
    """
    if isinstance(settings, StreamConfig):
        return settings
    if not is_dataclass(settings) or isinstance(settings, type):
        raise TypeError(f"config is a {type(settings).__name__}, must be a StreamConfig")
    return StreamConfig(**{each.name: getattr(settings, each.name) for each in fields(settings)})
