from __future__ import annotations

import time

import pytest
import requests

from xdk_streaming.simulator import Simulator, present
from xdk_streaming.wire import dates


def test_the_simulators_time_begins_as_that_of_the_wall_clock() -> None:
    assert abs(present.present() - time.time()) < 60  # this machine's clock may be set while the tests run


def test_a_clock_that_is_set_moves_nothing_and_the_date_of_answers_agrees(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Simulator() as simulator:
        before, real = present.present(), time.time
        monkeypatch.setattr(time, "time", lambda: real() - 86_400.0)
        answer = requests.get(f"{simulator.url}/nowhere", timeout=30)
        after = present.present()
    date = dates.answered({"date": answer.headers["Date"]})
    assert date is not None
    assert before - 1 <= date <= after
