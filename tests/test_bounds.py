"""Everything that is kept is bounded in bytes, whatever the server sends."""

from __future__ import annotations

import gc
import pickle
import tracemalloc
from types import FrameType, TracebackType

import pytest
import requests

from helpers.servers import Peer, served
from xdk_streaming import Stream, StreamConfig
from xdk_streaming.errors import MAX_BODY, StreamError, StreamErrorType, excerpt, forget_locals
from xdk_streaming.recovery.dedupe import MAX_KEY_LENGTH, Dedupe, bounded_key, item_key
from xdk_streaming.state import ConnectionState, Transition
from xdk_streaming.wire import problems
from xdk_streaming.wire.chunks import Dechunker
from xdk_streaming.wire.decoder import Decoder
from xdk_streaming.wire.framing import Blanks, LineSplitter, may_be_item
from xdk_streaming.wire.not_an_item import Heartbeat, StreamNotice

SIZES = {"ascii": "x", "accents": "é", "kanji": "漢", "emoji": "😀"}


# Errors


@pytest.mark.parametrize("unit", SIZES.values(), ids=SIZES)
def test_a_body_is_kept_up_to_8_kib_and_says_that_it_was_cut(unit: str) -> None:
    body = unit * 10**5
    for given in (body, body.encode()):
        error = StreamError("It went wrong.", StreamErrorType.SERVER_ERROR, response_body=excerpt(given))
        kept = error.response_body or ""
        assert kept.startswith(unit * 100)
        assert kept.endswith(("characters]", "bytes]"))
        assert len(kept) * (1 if kept.isascii() else 4) <= MAX_BODY
        assert pickle.loads(pickle.dumps(error)).response_body == kept


def test_a_short_body_is_kept_as_it_is() -> None:
    assert excerpt(b"caf\xe9") == "caf\ufffd"
    assert excerpt("x" * MAX_BODY) == "x" * MAX_BODY


def notice(**fields: object) -> StreamNotice:
    content = {"errors": [{"title": "t", **fields}]}
    return StreamNotice(content, repr(content).encode())


@pytest.mark.parametrize("unit", SIZES.values(), ids=SIZES)
def test_a_large_ending_notice_leaves_a_small_error_that_still_says_why(unit: str) -> None:
    large = notice(
        more=unit * 10**6,
        title=unit * 10**6,
        detail=unit * 10**6,
        disconnect_type="SlowReader",
        type="x/operational-disconnect",
    )
    for error in (problems.ending(large), problems.parting(large)):
        assert error is not None
        assert error.problem is not None
        assert (error.problem.kind, error.problem.issue) == ("operational-disconnect", "SlowReader")
        assert "posts were lost" in str(error)
        assert len(pickle.dumps(error)) < 50_000


def test_of_very_many_problems_in_an_object_the_first_thousand_are_looked_at() -> None:
    passing = [{"title": "t", "type": "x/other"}] * 1_000
    end = {"title": "t", "type": "x/operational-disconnect"}
    assert problems.ending(StreamNotice({"errors": [*passing[1:], end]}, b"")) is not None
    assert problems.ending(StreamNotice({"errors": [*passing, end]}, b"")) is None


def frames(trace: TracebackType | None) -> list[FrameType]:
    return [] if trace is None else [trace.tb_frame, *frames(trace.tb_next)]


def test_a_kept_error_says_where_it_came_from_and_holds_no_local_variables() -> None:
    def fault() -> None:
        buffer = bytes(10**6)
        raise OSError(len(buffer))

    def translated() -> None:
        line = b"line"
        try:
            fault()
        except OSError as cause:
            raise StreamError(repr(line), StreamErrorType.STREAM_INTERRUPTED) from cause

    with pytest.raises(StreamError) as caught:
        translated()
    error = caught.value
    forget_locals(error)
    assert error.__cause__ is not None
    inner = [frame for frame in frames(error.__cause__.__traceback__) if frame.f_code is fault.__code__]
    assert [frame.f_locals for frame in inner] == [{}]


def test_a_hundred_transitions_take_less_than_a_megabyte() -> None:
    line = b'{"title":"' + b"x" * 10**6 + b'","type":"x/operational-disconnect"}\n'

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        peer.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(line), line))

    def stop(change: Transition) -> None:
        if len(stream.history) == 100:
            stream.stop()

    with served(serve) as url:
        config = StreamConfig(max_retries=-1, initial_backoff=0.0, max_backoff=0.0, on_state_change=stop)
        stream = Stream(requests.Session(), "get", url, config)
        tracemalloc.start()
        try:
            assert list(stream) == []
            gc.collect()
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert len(stream.history) == 100
    assert stream.connection_state is ConnectionState.DISCONNECTED
    # The history, a line that something may still hold, and what is imported meanwhile.
    assert kept < 2_000_000


# Blank lines


def test_blank_lines_in_a_row_are_gathered_and_all_of_them_counted() -> None:
    lines = LineSplitter(10**6).feed(b"\n" * 1_000 + b"a line of twelve\n" + b"\r\n" * 500)
    assert lines == [Blanks(999), b"", b"a line of twelve", Blanks(499), b"\r"]
    events = [event for event in map(Decoder(), lines) if isinstance(event, Heartbeat)]
    assert sum(event.count for event in events) == 1_500


def test_a_line_too_short_for_an_item_is_not_decoded_to_count_it() -> None:
    assert [may_be_item(line) for line in (b"", b"x", b"{}", b"garbage", Blanks(9))] == [False] * 5
    assert may_be_item(b'{"":0}')


# Chunks


def test_frames_with_an_extension_are_not_remembered() -> None:
    chunks = Dechunker()
    for number in range(100):
        assert chunks.feed(b"1;%d=%b\r\nx\r\n" % (number, b"y" * 1_000)) == b"x"
    assert chunks.feed(b"1\r\nx\r\n1\r\nx\r\n") == b"xx"
    assert sum(map(len, chunks._sizes)) < 100


# Keys

LONG = "9" * 10**6


SHORT_KEYS = ["", "9" * MAX_KEY_LENGTH, b"digest", 0, 2**63, True, None, 1.5, ("a", 1), frozenset("ab")]


@pytest.mark.parametrize("key", SHORT_KEYS)
def test_a_short_key_is_kept_as_it_is(key: object) -> None:
    assert bounded_key(key) is key


LONG_KEYS = [
    LONG,
    LONG.encode(),
    "\ud83d" * 100,
    10**5_000,
    -(10**5_000),
    (LONG, 1),
    ("a", LONG),
    (LONG,),
    tuple(range(100)),
    ((1, 2), 3),
    frozenset([LONG, "a"]),
    frozenset(range(100)),
    (frozenset(["a"]), b"b", 1.5, None),
]


def test_a_long_key_becomes_a_digest_and_each_its_own() -> None:
    digests = [bounded_key(key) for key in LONG_KEYS]
    assert all(isinstance(digest, bytes) and len(digest) == 16 for digest in digests)
    assert len(set(digests)) == len(LONG_KEYS)
    assert digests == [bounded_key(pickle.loads(pickle.dumps(key))) for key in LONG_KEYS]


def test_an_item_with_a_long_id_is_known_again_and_its_id_is_not_kept() -> None:
    dedupe = Dedupe()
    line = b'{"id_str":"%b2"}' % LONG.encode()
    for item in ({"data": {"id": LONG}}, {"data": {"event_uuid": LONG + "1"}}, line):
        assert dedupe.is_new(item)
        assert not dedupe.is_new(item)
        assert isinstance(dedupe.last_key, bytes)
        assert dedupe.last_key == item_key(item)


def test_the_keys_of_a_users_function_are_bounded_too() -> None:
    dedupe = Dedupe(lambda item: (item["a"], LONG))
    assert dedupe.is_new({"a": 1})
    assert dedupe.is_new({"a": 2})
    assert not dedupe.is_new({"a": 1})
    assert isinstance(dedupe.last_key, bytes)
