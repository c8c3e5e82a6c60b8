"""The terms of a rule, and how they match a post's text.

Source: docs.x.com/x-api/posts/filtered-stream/integrate/build-a-rule. Only whole words match, regardless of
case; accents count. In scripts without spaces between words, a word matches anywhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

WORDS = re.compile(r"\w+")
ENTITIES = re.compile(r"[#@$]\w+")
UNSPACED = re.compile("[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f]")
"""Letters of Thai, Lao, Khmer, Japanese and Chinese."""


class Text:
    """A post's text, split into words once for all rules."""

    def __init__(self, text: str) -> None:
        folded = fold(text)
        self.words = spaced(folded)
        self.entities = frozenset(ENTITIES.findall(folded))


class Term(Protocol):
    """A part of a rule."""

    def matches(self, text: Text) -> bool:
        """Whether the text matches the term."""


@dataclass(frozen=True)
class Words:
    """A word, or a phrase of consecutive words."""

    sought: str

    def matches(self, text: Text) -> bool:  # noqa: D102 - said once, in the Protocol
        return self.sought in text.words


@dataclass(frozen=True)
class Entity:
    """A hashtag, a mention or a cashtag, with its sign."""

    sought: str

    def matches(self, text: Text) -> bool:  # noqa: D102 - said once, in the Protocol
        return self.sought in text.entities


@dataclass(frozen=True)
class Operator:
    """`from:`, `lang:`, `has:` and similar operators, which are not simulated and match everything."""

    name: str

    def matches(self, text: Text) -> bool:  # noqa: D102 - said once, in the Protocol
        return True


@dataclass(frozen=True)
class Not:
    """A negation. Operators, which match everything, are not negated: the rule would never match."""

    term: Term

    def matches(self, text: Text) -> bool:  # noqa: D102 - said once, in the Protocol
        return isinstance(self.term, Operator) or not self.term.matches(text)


@dataclass(frozen=True)
class Every:
    """Terms that must all match (AND)."""

    terms: Sequence[Term]

    def matches(self, text: Text) -> bool:  # noqa: D102 - said once, in the Protocol
        return all(term.matches(text) for term in self.terms)


@dataclass(frozen=True)
class Either:
    """Terms of which one must match (OR)."""

    terms: Sequence[Term]

    def matches(self, text: Text) -> bool:  # noqa: D102 - said once, in the Protocol
        return any(term.matches(text) for term in self.terms)


def fold(text: str) -> str:
    """The text in the form used for comparison."""
    return unicodedata.normalize("NFC", text.casefold())


def spaced(folded: str) -> str:
    """The words of a text, with one space around each."""
    return f" {' '.join(WORDS.findall(folded))} "


def words(text: str) -> Words | None:
    """The term for a word or phrase of a rule; None if it has no letter and no digit."""
    sought = spaced(fold(text))
    if not sought.strip():
        return None
    return Words(sought.strip() if UNSPACED.search(sought) else sought)
