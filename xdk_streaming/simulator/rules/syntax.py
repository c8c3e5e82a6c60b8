"""Parses rules: words, phrases, operators, `-`, OR and parentheses. AND binds more tightly than OR.

Source: docs.x.com/x-api/posts/filtered-stream/integrate/build-a-rule. X's messages about invalid rules are
known only in part, from field reports. Positions count from 1, as in X's messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from xdk_streaming.simulator.rules.terms import (
    Either,
    Entity,
    Every,
    Not,
    Operator,
    Term,
    Words,
    fold,
    words,
)

RULE_TOKEN = re.compile(
    r"""\s*(?:
    (?P<minus>-(?=\S))
    | (?P<open>\()
    | (?P<close>\))
    | (?P<operator>[A-Za-z_]+):(?P<value>"[^"]*"|[^\s()"]*)
    | "(?P<phrase>[^"]*)"
    | (?P<quote>")
    | (?P<word>[^\s()"]+)
    )""",
    re.VERBOSE,
)
BROAD = frozenset({"has", "is", "lang", "sample"})
"""Operators that X accepts only together with others, because alone they would match too much."""

DEEPEST = 50
"""Maximum depth of nested parentheses; deeper rules are refused before they overflow the stack."""


class RuleError(Exception):
    """A rule is invalid; `details` has a sentence for each error."""

    def __init__(self, *details: str) -> None:
        super().__init__("; ".join(details))
        self.details = details


class Token(NamedTuple):
    """A token of a rule, and its position."""

    kind: str
    text: str
    value: str
    position: int


def read(rule: str) -> Term:
    """Parse a rule. Raises `RuleError` if X would refuse the rule."""
    tokens = list(_tokens(rule))
    if not tokens:
        raise RuleError("Rules must not be empty")
    reader = _Reader(tokens, len(rule) + 1)
    term = reader.either()
    reader.expect_end()
    _want_something_to_seek(term)
    return term


def _tokens(rule: str) -> Iterator[Token]:
    rule = rule.rstrip()
    place = 0
    while place < len(rule):
        found = RULE_TOKEN.match(rule, place)
        assert found is not None  # the pattern matches any character
        kind = found.lastgroup if found.lastgroup != "value" else "operator"
        assert kind is not None
        position = found.start(kind) + 1
        if kind == "quote":
            raise RuleError(f"A quotation mark is not closed (at position {position})")
        yield Token(kind, found[kind], found["value"] or "", position)
        place = found.end()


class _Reader:
    """Reads the tokens once, from left to right."""

    def __init__(self, tokens: list[Token], end: int) -> None:
        self._tokens = tokens
        self._place = 0
        self._depth = 0
        self._end = end

    def either(self) -> Term:
        """Parse clauses that are separated by OR."""
        clauses = [self._every()]
        while self._next_is_or():
            self._place += 1
            clauses.append(self._every())
        return clauses[0] if len(clauses) == 1 else Either(tuple(clauses))

    def expect_end(self) -> None:
        """Raise `RuleError` if there are more tokens."""
        token = self._peek()
        if token is not None:
            raise RuleError(f"A parenthesis is closed that was not opened (at position {token.position})")

    def _every(self) -> Term:
        """Parse terms that are separated by spaces."""
        terms: list[Term] = []
        while (token := self._peek()) is not None and token.kind != "close" and not self._next_is_or():
            terms.append(self._one())
        if not terms:
            position = token.position if token is not None else self._end
            raise RuleError(f"A word, a phrase or an operator is missing (at position {position})")
        return terms[0] if len(terms) == 1 else Every(tuple(terms))

    def _one(self) -> Term:
        token = self._tokens[self._place]
        self._place += 1
        if token.kind == "minus":
            return self._negated(token)
        if token.kind == "open":
            return self._group(token)
        if token.kind == "operator":
            if not token.value.strip('" '):
                raise RuleError(f"The operator {token.text}: has no value (at position {token.position})")
            return Operator(token.text.lower())
        if token.kind == "word":
            return _word(token)
        return _sought(token)

    def _negated(self, minus: Token) -> Term:
        token = self._peek()
        if token is None or token.kind in {"minus", "close"}:
            raise RuleError(f"A negation has nothing to negate (at position {minus.position})")
        return _negation(self._one())

    def _group(self, opening: Token) -> Term:
        self._depth += 1
        if self._depth > DEEPEST:
            raise RuleError(f"More than {DEEPEST} parentheses are open (at position {opening.position})")
        term = self.either()
        self._depth -= 1
        if self._peek() is None:
            raise RuleError(f"A parenthesis is not closed (at position {opening.position})")
        self._place += 1
        return term

    def _peek(self) -> Token | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def _next_is_or(self) -> bool:
        token = self._peek()
        return token is not None and token.kind == "word" and token.text == "OR"


def _negation(term: Term) -> Term:
    """The negation of a term, in which only single terms are negated."""
    if isinstance(term, Every):
        return Either(tuple(map(_negation, term.terms)))
    if isinstance(term, Either):
        return Every(tuple(map(_negation, term.terms)))
    return term.term if isinstance(term, Not) else Not(term)


def _word(token: Token) -> Term:
    """A single word, a hashtag, a mention or a cashtag."""
    if token.text.lower() in {"and", "or"}:
        raise RuleError(
            f"Ambiguous use of {token.text} as a keyword: a space joins clauses, OR in capitals separates "
            f'them, "{token.text}" in quotation marks matches the word (at position {token.position})'
        )
    if token.text[0] in "#@$":
        found = words(token.text[1:])
        if found is not None:
            return Entity(token.text[0] + fold(token.text[1:]))
    return _sought(token)


def _sought(token: Token) -> Words:
    found = words(token.text)
    if found is None:
        raise RuleError(f"{token.text!r} has no letter and no digit (at position {token.position})")
    return found


def _want_something_to_seek(term: Term) -> None:
    if not any(_standalone(term)):
        negated = any(isinstance(part, Not) for part in _parts(term))
        raise RuleError(
            *(["Rules must contain a non-negation term (at position 1)"] if negated else []),
            "Rules must contain at least one positive clause that can stand alone: a word, a phrase, a "
            f"hashtag, or an operator other than {', '.join(f'{name}:' for name in sorted(BROAD))}",
        )


def _standalone(term: Term) -> Iterator[bool]:
    for part in _parts(term):
        if isinstance(part, Operator):
            yield part.name not in BROAD
        else:
            yield not isinstance(part, Not)


def _parts(term: Term) -> Iterator[Term]:
    """The single terms of a term, including those in groups; a negation counts as one."""
    if isinstance(term, Every | Either):
        for part in term.terms:
            yield from _parts(part)
    else:
        yield term
