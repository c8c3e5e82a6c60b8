"""X's streams as an explicit state machine: a drop-in for `xdk.streaming`."""

from xdk_streaming.backoff import Backoff, BackoffPolicy
from xdk_streaming.compat import patch_xdk
from xdk_streaming.config import Buffer, Recovery, StreamConfig
from xdk_streaming.errors import Problem, RetriesExhausted, StreamError, StreamErrorType
from xdk_streaming.gap import Gap
from xdk_streaming.recovery.dedupe import item_key
from xdk_streaming.retry_policy import RetryPolicy
from xdk_streaming.state import (
    ConnectionState,
    InvalidLine,
    Lag,
    NoticeReceived,
    RateLimit,
    StreamState,
    Transition,
    Trigger,
)
from xdk_streaming.streams.aio import AsyncStream, astream_with_retry
from xdk_streaming.streams.sync import Stream, stream_with_retry

__version__ = "0.1.0"

__all__ = [
    "AsyncStream",
    "Backoff",
    "BackoffPolicy",
    "Buffer",
    "ConnectionState",
    "Gap",
    "InvalidLine",
    "Lag",
    "NoticeReceived",
    "Problem",
    "RateLimit",
    "Recovery",
    "RetriesExhausted",
    "RetryPolicy",
    "Stream",
    "StreamConfig",
    "StreamError",
    "StreamErrorType",
    "StreamState",
    "Transition",
    "Trigger",
    "astream_with_retry",
    "item_key",
    "patch_xdk",
    "stream_with_retry",
]
