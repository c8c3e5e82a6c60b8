"""A log call is fenced like a callback: what a handler or a filter raises changes nothing in a stream."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from xdk_streaming import Stream, StreamConfig
from xdk_streaming.log import NAME, Log, calm, logger
from xdk_streaming.simulator import Refuse, Serve
from xdk_streaming.testing import FakeClock, ScriptedSession

URL = "https://api.x.com/2/tweets/sample/stream"


class Broken(logging.Handler):
    """A handler whose exceptions come out of the log call, as those of a markup error do in rich."""

    def emit(self, record: logging.LogRecord) -> None:
        raise ValueError(f"closing tag in {record.getMessage()!r}")


@pytest.fixture
def broken() -> Iterator[None]:
    handler, own = Broken(), logging.getLogger(NAME)
    before = own.level
    own.addHandler(handler)
    own.setLevel(logging.DEBUG)
    yield
    own.removeHandler(handler)
    own.setLevel(before)


@pytest.mark.usefixtures("broken")
def test_a_handler_that_raises_does_not_end_the_stream(capsys: pytest.CaptureFixture[str]) -> None:
    session = ScriptedSession([(Refuse(503, b"[/bold]"),), (Serve(3),)])
    with Stream(session, "get", URL, StreamConfig(max_retries=1), clock=FakeClock()) as stream:
        assert len([next(iter(stream)) for _ in range(3)]) == 3


@pytest.mark.usefixtures("broken")
def test_the_first_exception_of_a_handler_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log()
    log.warning("first")
    log.error("second")
    printed = capsys.readouterr().err
    assert printed.startswith("A log handler raised; the stream goes on:\nTraceback")
    assert "closing tag in 'first'" in printed
    assert "second" not in printed


@pytest.mark.usefixtures("broken")
def test_nothing_is_printed_if_logging_must_not_raise(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    Log().warning("first")
    assert capsys.readouterr().err == ""


def test_a_record_names_the_line_that_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logger.debug("one")
    logger.log(logging.INFO, "two %d", 2)
    logger.error("three", exc_info=True)
    assert [(each.levelno, each.getMessage()) for each in caplog.records] == [
        (logging.DEBUG, "one"),
        (logging.INFO, "two 2"),
        (logging.ERROR, "three"),
    ]
    assert {(each.name, each.pathname) for each in caplog.records} == {(NAME, __file__)}


LEVELS = """
import logging, sys
{before}
import xdk_streaming
print(logging.getLevelName(logging.getLogger("transitions.core").getEffectiveLevel()))
"""


@pytest.mark.parametrize(
    ("before", "level"),
    [
        ("logging.basicConfig(level=logging.INFO)", "WARNING"),
        ("logging.getLogger('transitions').setLevel(logging.DEBUG)", "DEBUG"),
        ("logging.getLogger('transitions.core').setLevel(logging.INFO)", "INFO"),
    ],
)
def test_transitions_own_records_are_left_out_unless_somebody_asked_for_them(before: str, level: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", LEVELS.format(before=before)], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == level


@pytest.mark.parametrize("parents", [logging.NOTSET, logging.INFO])
@pytest.mark.parametrize("own", [logging.NOTSET, logging.DEBUG])
def test_a_level_that_somebody_has_set_stays(parents: int, own: int) -> None:
    parent, child = logging.getLogger("somebody"), logging.getLogger("somebody.else")
    parent.setLevel(parents)
    child.setLevel(own)
    calm("somebody.else")
    assert child.level == (logging.WARNING if (parents, own) == (logging.NOTSET, logging.NOTSET) else own)
    parent.setLevel(logging.NOTSET)
    child.setLevel(logging.NOTSET)


def test_a_logger_directly_under_the_root_is_calmed() -> None:
    calm("somebody_new")
    assert logging.getLogger("somebody_new").level == logging.WARNING
