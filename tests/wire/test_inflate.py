"""Compressed bodies undone in bulk, by each inflater that is installed."""

from __future__ import annotations

import gzip
import sys
import tracemalloc
import zlib
from importlib.util import find_spec

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import DecodeError

from xdk_streaming.wire.inflate import ENGINES, INFLATE_VARIABLE, MAX_INFLATED_BYTES, Inflater, engine

TEXT = b'{"data":{"id":"1"}}\r\n' * 50
INSTALLED = [name for name, module in ENGINES.items() if find_spec(module.partition(".")[0])]


@pytest.fixture(params=INSTALLED)
def inflater(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(INFLATE_VARIABLE, request.param)
    name: str = request.param
    return name


def raw(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


FORMS = {"gzip": gzip.compress(TEXT), "x-gzip": gzip.compress(TEXT), "deflate": zlib.compress(TEXT)}


def test_both_inflaters_are_tested() -> None:
    assert INSTALLED == ["zlib-ng", "stdlib"]


@pytest.mark.usefixtures("inflater")
@pytest.mark.parametrize(
    ("coding", "coded"), [*FORMS.items(), ("deflate", raw(TEXT))], ids=[*FORMS, "raw deflate"]
)
@given(data=st.data())
def test_a_body_comes_out_as_it_went_in_however_it_is_cut(
    coding: str, coded: bytes, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(coded)), max_size=8)))
    stream = Inflater(coding)
    pieces = [coded[start:end] for start, end in zip([0, *cuts], [*cuts, len(coded)], strict=True)]
    assert b"".join(part for piece in pieces for part in stream.feed(piece)) == TEXT


@pytest.mark.usefixtures("inflater")
def test_what_is_flushed_can_be_read_at_once() -> None:
    compressor, stream = zlib.compressobj(wbits=31), Inflater("gzip")
    for number in range(20):
        line = b'{"data":{"id":"%d"}}\r\n' % number
        assert b"".join(stream.feed(compressor.compress(line) + compressor.flush(zlib.Z_SYNC_FLUSH))) == line


@pytest.mark.usefixtures("inflater")
def test_gzip_may_have_several_members() -> None:
    members = gzip.compress(b"one\n") + gzip.compress(b"") + gzip.compress(b"two\n")
    assert b"".join(Inflater("gzip").feed(members)) == b"one\ntwo\n"


@pytest.mark.usefixtures("inflater")
@pytest.mark.parametrize(
    "rubbish", [b"rubbish", bytes(100), gzip.compress(b"no")[:3] + b"\xff" * 50], ids=ascii
)
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_garbage_after_the_end_is_ignored(coding: str, rubbish: bytes) -> None:
    stream = Inflater(coding)
    assert b"".join(stream.feed(FORMS[coding] + rubbish)) == TEXT
    assert b"".join(stream.feed(b"and more of it")) == b""


@pytest.mark.usefixtures("inflater")
@pytest.mark.parametrize("cut", [None, 1, 3000], ids=["whole", "bytes", "halves"])
def test_what_comes_before_a_fault_comes_out_before_it_is_raised(cut: int | None) -> None:
    compressor = zlib.compressobj(wbits=31)
    sound = compressor.compress(TEXT) + compressor.flush(zlib.Z_SYNC_FLUSH)
    coded = sound + b"\xff" * 60
    stream = Inflater("gzip")
    read = b""
    with pytest.raises(DecodeError):
        for start in range(0, len(coded), cut or len(coded)):
            for part in stream.feed(coded[start : start + (cut or len(coded))]):
                assert part
                read += part
    assert read == TEXT


@pytest.mark.usefixtures("inflater")
@pytest.mark.parametrize(("coding", "coded"), [("gzip", b"plain text"), ("deflate", b"\xff\xff\xff\xff")])
def test_what_is_not_of_the_coding_is_a_fault(coding: str, coded: bytes) -> None:
    with pytest.raises(DecodeError, match="not compressed as its headers say"):
        list(Inflater(coding).feed(coded))


@pytest.mark.usefixtures("inflater")
def test_few_bytes_that_unfold_to_many_do_so_in_parts() -> None:
    coded = gzip.compress(bytes(64 * MAX_INFLATED_BYTES))
    tracemalloc.start()
    try:
        lengths = [len(part) for part in Inflater("gzip").feed(coded)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(lengths) == 64 * MAX_INFLATED_BYTES
    assert max(lengths) <= MAX_INFLATED_BYTES
    assert peak < 8 * MAX_INFLATED_BYTES


def test_the_fastest_that_is_installed_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(INFLATE_VARIABLE, raising=False)
    assert engine().__name__ == ENGINES[INSTALLED[0]]
    monkeypatch.setitem(sys.modules, "zlib_ng", None)
    monkeypatch.setitem(sys.modules, "zlib_ng.zlib_ng", None)
    assert engine() is zlib


@pytest.mark.parametrize("asked", ["gzip", "", "ZLIB-NG"])
def test_an_inflater_that_there_is_not_is_a_clear_error(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(INFLATE_VARIABLE, asked)
    with pytest.raises(ValueError, match=f"{INFLATE_VARIABLE} is '{asked}', must be one of zlib-ng, stdlib"):
        engine()
