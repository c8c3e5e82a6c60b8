"""The tracker's door: what it asks for, and when it looks at the clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from xdk_streaming import Recovery
from xdk_streaming.recovery.checkpoint import Checkpoint
from xdk_streaming.recovery.store import Delivered
from xdk_streaming.recovery.tracker import Tracker
from xdk_streaming.testing import FakeClock


def test_the_time_that_a_checkpoint_takes_to_load_is_asked_for_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock(now=1_000_059.0)

    def load(checkpoint: Checkpoint) -> Delivered:
        clock.now += 2.0
        return Delivered(1_000_000.0, ())

    monkeypatch.setattr(Checkpoint, "load", load)
    tracker = Tracker(Recovery(checkpoint=tmp_path / "seen"), clock=clock)
    assert tracker.params(None) == {"backfill_minutes": 2}


def test_what_was_bounded_at_first_stays_bounded() -> None:
    tracker = Tracker(None, clock=FakeClock())
    assert not tracker.bounded
    tracker.opened(1_000_000.0, {"end_time": "2026-01-01T00:00:00Z"})
    tracker.opened(1_000_001.0, {})
    assert tracker.bounded


@pytest.mark.parametrize("error", [KeyError("row"), ArithmeticError(), MemoryError()], ids=repr)
def test_a_store_that_raises_anything_at_all_ends_the_stream_and_does_not_hang_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    class Broken:
        def __init__(self, *_: Any) -> None:
            pass

        def begin(self) -> Delivered:
            raise error

        def close(self) -> None:
            pass

    monkeypatch.setattr("xdk_streaming.recovery.checkpoint.CheckpointStore", Broken)
    with pytest.raises(Exception, match="cannot be opened") as raised:
        Checkpoint(tmp_path / "seen").load()
    assert raised.value.__class__.__name__ == "StreamError"
