"""A fuzzer over what a server's bytes go through: framing, decoder, problems. `make fuzz SECONDS=600`.

The tests have the same properties over examples that Hypothesis draws; here atheris looks for
inputs that take paths not taken before. What it found is in the tests.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import atheris  # type: ignore[import-untyped]  # it has no types
import orjson

with atheris.instrument_imports(include=["xdk_streaming"]):
    from xdk_streaming.errors import StreamError, StreamErrorType
    from xdk_streaming.simulator.faults import STREAM_FAULTS
    from xdk_streaming.simulator.script import Flood, Limited, Raw, Refuse, Send, Uncompressed
    from xdk_streaming.simulator.script import Notice as StepNotice
    from xdk_streaming.wire import problems, verdicts
    from xdk_streaming.wire.decoder import CONTROL_MESSAGES, Decoder
    from xdk_streaming.wire.framing import Blanks, LineSplitter
    from xdk_streaming.wire.not_an_item import Invalid, NotAnItem, StreamNotice

NOW = 1_700_000_000.0
LONGEST_MESSAGE = 1500
KEYS = ("data", "errors", "type", "title", "detail", "message", "code", "disconnect_type", "connection_issue")
HEADERS = ("retry-after", "x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset")


def one_input(data: bytes) -> None:
    """Give one input to everything that reads a server's bytes."""
    provider = atheris.FuzzedDataProvider(data)
    limit = provider.ConsumeIntInRange(1, 64)
    cuts = sorted(provider.ConsumeIntInRange(0, 512) for _ in range(provider.ConsumeIntInRange(0, 6)))
    status = provider.ConsumeIntInRange(100, 599)
    headers = {name: provider.ConsumeUnicodeNoSurrogates(24) for name in HEADERS if provider.ConsumeBool()}
    body = provider.ConsumeBytes(sys.maxsize)
    framing_does_not_depend_on_cuts(body, cuts, limit)
    for line in body.split(b"\n"):
        a_line_is_an_item_or_says_what_it_is(line)
    a_refusal_is_told(problems.refusal(status, headers, body, NOW))


def framing_does_not_depend_on_cuts(stream: bytes, cuts: list[int], limit: int) -> None:
    """However a stream is cut into reads, its lines are the same."""
    whole = _lines([stream], limit)
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert _lines(pieces, limit) == whole
    assert _lines([stream[place : place + 1] for place in range(len(stream))], limit) == whole


def _lines(pieces: list[bytes], limit: int) -> tuple[list[Any], bool]:
    splitter = LineSplitter(limit)
    lines = [each for piece in pieces for line in splitter.feed(piece) for each in _singly(line)]
    return [*lines, splitter.tail()], splitter.runaway is not None


def _singly(line: Any) -> list[Any]:
    """The line; of blank lines each by itself, and without its CR."""
    if isinstance(line, Blanks):
        return [b""] * line.count
    return [b"" if line == b"\r" else line]


def a_line_is_an_item_or_says_what_it_is(line: bytes) -> None:
    """The decoder raises nothing, and a notice can be put into words, whatever it holds."""
    event = Decoder()(line)
    assert isinstance(event, NotAnItem) or (type(event) is dict and event)
    if isinstance(event, Invalid):
        assert event.reason
    if isinstance(event, StreamNotice):
        a_message_can_be_shown(problems.parting(event))
        ending = problems.ending(event)
        if ending is not None:
            a_message_can_be_shown(ending)


def a_refusal_is_told(error: StreamError) -> None:
    """It has a class, a wait that can be waited, and a message."""
    assert isinstance(error.error_type, StreamErrorType)
    assert error.retry_after is None or 0 < error.retry_after < float("inf")
    a_message_can_be_shown(error)


def a_message_can_be_shown(error: StreamError) -> None:
    """One line, printable, of bounded length."""
    message = str(error)
    assert message.isprintable()
    assert len(message) < LONGEST_MESSAGE


def bodies() -> Iterator[bytes]:
    """What the catalogue's servers send: a corpus to begin with."""
    for fault in STREAM_FAULTS.values():
        for step in fault.script:
            if isinstance(step, (Send, Flood, Uncompressed, Raw)):
                yield step.data
            elif isinstance(step, (Refuse, Limited)):
                yield step.body
            elif isinstance(step, StepNotice):
                yield orjson.dumps(dict(step.content)) + b"\r\n"


def main() -> None:
    """Fuzz for so many seconds; a surprise ends it with a traceback and the input in a file."""
    seconds = sys.argv[1] if len(sys.argv) > 1 else "600"
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        corpus, words = Path(folder, "corpus"), Path(folder, "words")
        corpus.mkdir()
        for number, body in enumerate(bodies()):
            Path(corpus, str(number)).write_bytes(body + b"\0" * 16)  # what is drawn comes from the end
        known = (*verdicts.ISSUES, *verdicts.ENDING_KINDS, *verdicts.REFUSING_KINDS, *CONTROL_MESSAGES, *KEYS)
        words.write_text("".join(f'"\\"{word}\\""\n' for word in known), encoding="utf-8")
        limits = [
            f"-max_total_time={seconds}",
            "-max_len=4096",
            "-len_control=0",
            "-timeout=10",
            "-rss_limit_mb=2048",
        ]
        atheris.Setup([sys.argv[0], *limits, f"-dict={words}", str(corpus)], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
