"""Texts from a server, made harmless for a terminal, which obeys control characters and bidi marks."""

from __future__ import annotations


def plain(words: object) -> str:
    """The words on one line, with a space for each character that cannot be seen."""
    text = str(words)
    return text if text.isprintable() else "".join(mark if mark.isprintable() else " " for mark in text)


def escaped(json_text: str) -> str:
    """The same JSON, with an escape for each character that cannot be seen."""
    return json_text if json_text.isprintable() else "".join(map(_escaped, json_text))


def _escaped(mark: str) -> str:
    if mark.isprintable():
        return mark
    units = mark.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
