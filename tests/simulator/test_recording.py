from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xdk_streaming.simulator.recording import Recording


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recorded.ndjson"


def all_lines(path: Path) -> list[bytes]:
    recording = Recording(path)
    try:
        return [recording.line(number) for number in range(len(recording))]
    finally:
        recording.close()


ends = st.sampled_from([b"\n", b"\r\n"])
contents = (
    st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"")).filter(lambda data: data[-1:] != b"\r")
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(contents, ends), min_size=1), st.booleans())
def test_every_line_but_blank_ones_is_read_byte_for_byte(
    path: Path, given_lines: list[tuple[bytes, bytes]], ended: bool
) -> None:
    data = b"".join(content + end for content, end in given_lines)
    path.write_bytes(data if ended else data.removesuffix(given_lines[-1][1]))
    expected = [content for content, _ in given_lines if content.strip()]
    if expected:
        assert all_lines(path) == expected
    else:
        with pytest.raises(ValueError, match="no lines to replay"):
            Recording(path)


def test_what_stands_in_a_line_is_not_touched(path: Path) -> None:
    line = '  {"text": "a\u2028b\x85c", "sp" :1}\t '.encode()
    path.write_bytes(line + b"\r\n")
    assert all_lines(path) == [line]


def test_lines_can_be_asked_for_in_any_order(path: Path) -> None:
    path.write_bytes(b"one\n\ntwo\r\nthree")
    recording = Recording(path)
    assert len(recording) == 3
    assert [recording.line(number) for number in (2, 0, 1, 0)] == [b"three", b"one", b"two", b"one"]
    recording.close()


def test_several_threads_get_the_right_lines(path: Path) -> None:
    expected = [b'{"id":"%d","pad":"%s"}' % (number, b"x" * (number % 97)) for number in range(200)]
    path.write_bytes(b"\n".join(expected))
    recording = Recording(path)
    with ThreadPoolExecutor(8) as pool:
        asked = [number % 200 for number in range(2_000)]
        assert list(pool.map(recording.line, asked)) == [expected[number] for number in asked]
    recording.close()


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n \t\r\n"])
def test_a_file_without_a_line_is_refused_by_name(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"recorded\.ndjson has no lines to replay; expected one JSON object"
    ):
        Recording(path)


def test_a_missing_file_raises_oserror(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Recording(path)


def test_a_closed_recording_reads_nothing_more(path: Path) -> None:
    path.write_bytes(b"{}\n")
    recording = Recording(path)
    recording.close()
    with pytest.raises(ValueError, match="closed"):
        recording.line(0)
