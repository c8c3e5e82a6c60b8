"""What a rule is made of, and whether a post's text has it.

Source: docs.x.com/x-api/posts/filtered-stream/integrate/build-a-rule. Words are compared without
regard to case, and whole; accents count. Where a script puts no space between words, a word counts
wherever it stands.
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
    """A post's text, taken apart once for all rules."""

    def __init__(self, text: str) -> None:
        folded = fold(text)
        self.words = spaced(folded)
        self.entities = frozenset(ENTITIES.findall(folded))


class Term(Protocol):
    """A part of a rule."""

    def matches(self, text: Text) -> bool:
        """Whether the text has it."""


@dataclass(frozen=True)
class Words:
    """A word, or a phrase: these words, one right after the other."""

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
    """`from:`, `lang:`, `has:` and their like: said to match everything: what they ask is not simulated."""

    name: str

    def matches(self, text: Text) -> bool:  # noqa: D102 - said once, in the Protocol
        return True


@dataclass(frozen=True)
class Not:
    """A negation. What is said to match everything is not negated: it would silence the rule."""

    term: Term

    def matches(self, text: Text) -> bool:  # noqa: D102 - said once, in the Protocol
        return isinstance(self.term, Operator) or not self.term.matches(text)


@dataclass(frozen=True)
class Every:
    """Terms with spaces between them."""

    terms: Sequence[Term]

    def matches(self, text: Text) -> bool:  # noqa: D102 - said once, in the Protocol
        return all(term.matches(text) for term in self.terms)


@dataclass(frozen=True)
class Either:
    """Terms with OR between them."""

    terms: Sequence[Term]

    def matches(self, text: Text) -> bool:  # noqa: D102 - said once, in the Protocol
        return any(term.matches(text) for term in self.terms)


def fold(text: str) -> str:
    """The text as it is compared."""
    return unicodedata.normalize("NFC", text.casefold())


def spaced(folded: str) -> str:
    """Its words with one space around each."""
    return f" {' '.join(WORDS.findall(folded))} "


def words(text: str) -> Words | None:
    """What a word or a phrase of a rule seeks; None where no letter and no digit is in it."""
    sought = spaced(fold(text))
    if not sought.strip():
        return None
    return Words(sought.strip() if UNSPACED.search(sought) else sought)
