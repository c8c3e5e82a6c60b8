"""A parsed object is cut to a size: what is telling first, and a small object whole."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from xdk_streaming.wire.cut import cut

SMALL: dict[str, Any] = {"type": "t", "list": [1, None, {"a": True}], "number": -(2**63), "text": "é"}


def test_an_object_that_fits_is_copied_whole() -> None:
    kept = cut(SMALL, 4_096, first=("text",))
    assert kept == SMALL
    assert list(kept) == list(SMALL)


@pytest.mark.parametrize(
    "more",
    [
        {"more": "x" * 10**6},
        {"more": "😀" * 10**6},
        {"more": [[]] * 10**6},
        {"more": {str(n): n for n in range(10**5)}},
        {"x" * 10**6: 1},
        {str(n): n for n in range(10**5)},
        {"more": [{"a": ["x" * 10**5] * 100}] * 100},
    ],
    ids=["text", "wide text", "array", "object", "name", "names", "nested"],
)
def test_of_a_larger_object_little_is_kept_and_the_telling_fields_first(more: dict[str, Any]) -> None:
    kept = cut({**more, "disconnect_type": "ForceDisconnect"}, 4_096, first=("missing", "disconnect_type"))
    assert kept["disconnect_type"] == "ForceDisconnect"
    assert len(orjson.dumps(kept)) < 4_096


def test_an_integer_of_thousands_of_digits_is_left_out() -> None:
    assert cut({"a": 10**4_000, "b": 1}, 4_096, first=()) == {"a": None, "b": 1}
