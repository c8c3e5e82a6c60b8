"""Estimates the memory that a long line takes when it is parsed, without parsing the line.

Three bytes of JSON can become an object of 90 bytes, and one emoji makes each character of its string take
four bytes. Nearly all lines are short, and nobody asks about them. Knows nothing of lines, limits or models.
"""

from __future__ import annotations

import re

COMMA, ARRAY, OBJECT, COLON = 112, 112, 200, 64
"""Bytes that a value, an array, an object and a name take at most: the results themselves, and what orjson
keeps about each of them while it parses. Measured on CPython 3.10 to 3.14, and rounded up."""
MANY_QUOTES = 200_000
"""With more quotes than this, a line is weighed as if all of it were one string and no string."""
FEW_STRINGS = 1_000
"""Strings that are looked at one after the other, at most."""
CONTINUATIONS = bytes(range(0x80, 0xC0))
"""The bytes of UTF-8 that continue a character."""
FOUR_BYTES = re.compile(rb"[\xf0-\xff]|\\u[dD][89abAB]")
"""What makes each character of a string take four bytes: a character beyond U+FFFF, raw or escaped."""
TWO_BYTES = re.compile(rb"[\xc4-\xff]|\\u")
"""What makes each character of a string take two bytes, or four: a character beyond U+00FF."""


def weight(line: bytes) -> int:
    """Bytes of memory that this line takes at most when it is parsed, beside the line itself.

    Takes a few hundredths of a second for 32 MiB.
    """
    if b"\\" not in line and line.isascii():
        outside = _outside_of_few_strings(line)
        if outside is not None:
            return _structure(outside) + len(line)
    # Only a quote ends a string, so with a letter for each escaped quote, every second piece is a string.
    # No `count` over the whole line: it takes ten times as long as a search.
    bare = line.replace(b"\\\\", b"x").replace(b'\\"', b"x") if b"\\" in line else line
    pieces = bare.split(b'"', MANY_QUOTES)
    if len(pieces) > MANY_QUOTES:
        return _structure(line) + text_weight(line)
    between = b"".join(pieces[::2])
    return _structure(between) + text_weight(between) + sum(map(text_weight, pieces[1::2]))


def _outside_of_few_strings(line: bytes) -> bytes | None:
    """What stands between the strings of a line without a backslash; None if there are more than a few.

    A line is long because of one string, as a rule, and this does not copy the string.
    """
    outside, start = bytearray(), 0
    for _ in range(FEW_STRINGS):
        opening = line.find(b'"', start)
        if opening < 0:
            return bytes(outside + line[start:])
        outside += line[start:opening]
        start = line.find(b'"', opening + 1) + 1
        if not start:
            return bytes(outside)
    return None


def _structure(text: bytes) -> int:
    values = COMMA * (text.count(b",") + 1) + ARRAY * text.count(b"[")
    return values + OBJECT * text.count(b"{") + COLON * text.count(b":")


def text_weight(text: bytes) -> int:
    """Bytes that the characters of this text take at most, as one string."""
    if text.isascii():
        if b"\\" not in text or b"\\u" not in text:  # a search for one byte is the quicker one
            return len(text)
        characters = len(text)
    else:
        characters = len(text.translate(None, CONTINUATIONS))
    if FOUR_BYTES.search(text):
        return 4 * characters
    return 2 * characters if TWO_BYTES.search(text) else characters
