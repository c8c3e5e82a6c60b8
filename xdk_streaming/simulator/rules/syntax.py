"""Reads a rule: words, phrases, operators, `-`, OR and parentheses. AND binds closer than OR.

Source: docs.x.com/x-api/posts/filtered-stream/integrate/build-a-rule. What X says about a rule that
it does not take is known from field reports only in part; positions count from 1, as there.
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
"""Operators that X takes only beside others: alone they would match too much."""

DEEPEST = 50
"""Parentheses within one another: what is deeper is refused before it fills the stack."""


class RuleError(Exception):
    """What is wrong with a rule, in a sentence for each fault."""

    def __init__(self, *details: str) -> None:
        super().__init__("; ".join(details))
        self.details = details


class Token(NamedTuple):
    """A piece of a rule, and where it stands."""

    kind: str
    text: str
    value: str
    position: int


def read(rule: str) -> Term:
    """What the rule seeks. Raises `RuleError` where X would not take it."""
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
        assert found is not None  # the pattern takes any character
        kind = found.lastgroup if found.lastgroup != "value" else "operator"
        assert kind is not None
        position = found.start(kind) + 1
        if kind == "quote":
            raise RuleError(f"A quotation mark is not closed (at position {position})")
        yield Token(kind, found[kind], found["value"] or "", position)
        place = found.end()


class _Reader:
    """Goes through the tokens once, from left to right."""

    def __init__(self, tokens: list[Token], end: int) -> None:
        self._tokens = tokens
        self._place = 0
        self._depth = 0
        self._end = end

    def either(self) -> Term:
        """Clauses with OR between them."""
        clauses = [self._every()]
        while self._next_is_or():
            self._place += 1
            clauses.append(self._every())
        return clauses[0] if len(clauses) == 1 else Either(tuple(clauses))

    def expect_end(self) -> None:
        """Nothing may follow but what was read."""
        token = self._peek()
        if token is not None:
            raise RuleError(f"A parenthesis is closed that was not opened (at position {token.position})")

    def _every(self) -> Term:
        """Terms with spaces between them."""
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
    """Its opposite, in which only single terms are negated."""
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
            f'them, "{token.text}" in quotation marks seeks the word (at position {token.position})'
        )
    if token.text[0] in "#@$":
        found = words(token.text[1:])
        if found is not None:
            return Entity(token.text[0] + fold(token.text[1:]))
    return _sought(token)


def _sought(token: Token) -> Words:
    found = words(token.text)
    if found is None:
        raise RuleError(f"There is no letter and no digit in {token.text!r} (at position {token.position})")
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
    """Its terms, those within groups included; a negation as a whole."""
    if isinstance(term, Every | Either):
        for part in term.terms:
            yield from _parts(part)
    else:
        yield term
