"""The app's rules on the filtered stream, and X's responses to requests that change them.

Source: docs.x.com/x-api/stream/update-stream-rules; the bodies of refusals come from field reports (issues of
xdevplatform and of its clients). X documents neither the statuses of refusals nor what happens to valid rules
in a list with an invalid one. Here the valid rules are accepted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xdk_streaming.simulator.content.snowflakes import exact_moment, snowflake
from xdk_streaming.simulator.present import present
from xdk_streaming.simulator.rules.syntax import RuleError, read
from xdk_streaming.simulator.rules.terms import Term, Text
from xdk_streaming.x import MAX_RULE_LENGTH, MAX_RULES, PROBLEMS

TOO_MANY_RULES = {
    "title": "RulesCapExceeded",
    "detail": "Your app would exceed its maximum number of rules.",
    "type": PROBLEMS + "rule-cap",
}
NOT_THERE = {
    "errors": [{"parameters": {}, "message": "Rule does not exist"}],
    "title": "Invalid Request",
    "detail": "One or more parameters to your request was invalid.",
    "type": PROBLEMS + "invalid-request",
}

ApiResponse = tuple[int, dict[str, Any]]
"""A status and a body."""


@dataclass(frozen=True)
class BookedRule:
    """One parsed rule of an app."""

    id: str
    value: str
    tag: str | None
    term: Term

    @property
    def shown(self) -> dict[str, str]:
        """The rule as the rules endpoints show it."""
        return {"id": self.id, "value": self.value, **self.label}

    @property
    def label(self) -> dict[str, str]:
        """The tag of the rule, if it has one."""
        return {} if self.tag is None else {"tag": self.tag}


class RuleBook:
    """An app's rules. Changes apply immediately; with X, they take about 20 seconds."""

    def __init__(self, most: int = MAX_RULES) -> None:
        self.most = most
        self.revision = 0
        """The number of changes so far."""
        self._rules: tuple[BookedRule, ...] = ()
        self._made = 0
        self._lock = threading.Lock()

    @property
    def rules(self) -> Sequence[BookedRule]:
        """The current rules, oldest first."""
        return self._rules

    def matching(self, text: str) -> list[dict[str, str]]:
        """Id and tag of each rule that matches a post with this text."""
        read = Text(text)
        return [{"id": rule.id, **rule.label} for rule in self._rules if rule.term.matches(read)]

    def add(self, wanted: Iterable[Mapping[str, str]], *, dry_run: bool = False) -> ApiResponse:
        """Add rules, each with a value and optionally a tag. With `dry_run`, only report the result."""
        with self._lock:
            added, errors = self._read(wanted)
            if len(self._rules) + len(added) > self.most:
                return 422, TOO_MANY_RULES
            if added and not dry_run:
                self._replace((*self._rules, *added))
        counts = {"created": len(added), "not_created": len(errors)}
        counts |= {"valid": len(added), "invalid": len(errors)}
        body: dict[str, Any] = {"data": [rule.shown for rule in added]} if added else {}
        body |= {"meta": _meta(summary=counts)} | ({"errors": errors} if errors else {})
        refused = not added and any(error["title"] != "DuplicateRule" for error in errors)
        return 400 if refused else 201, body

    def delete(self, ids: Iterable[str], values: Iterable[str], *, dry_run: bool = False) -> ApiResponse:
        """Delete the rules with these ids, and those with these values."""
        wanted = [*ids], [*values]
        with self._lock:
            known = [{rule.id for rule in self._rules}, {rule.value for rule in self._rules}]
            missing = sum(
                name not in there for names, there in zip(wanted, known, strict=True) for name in names
            )
            return self._delete(
                lambda rule: rule.id in wanted[0] or rule.value in wanted[1], missing, dry_run
            )

    def delete_all(self, *, dry_run: bool = False) -> ApiResponse:
        """Delete every rule."""
        with self._lock:
            return self._delete(lambda rule: True, 0, dry_run)

    def _delete(self, chosen: Callable[[BookedRule], bool], missing: int, dry_run: bool) -> ApiResponse:
        left = tuple(rule for rule in self._rules if not chosen(rule))
        deleted = len(self._rules) - len(left)
        if deleted and not dry_run:
            self._replace(left)
        body: dict[str, Any] = {"meta": _meta(summary={"deleted": deleted, "not_deleted": missing})}
        if missing:
            body["errors"] = [NOT_THERE] * missing
        return 400 if missing and not deleted else 200, body

    def _read(self, wanted: Iterable[Mapping[str, str]]) -> tuple[list[BookedRule], list[dict[str, Any]]]:
        """The valid rules, and the errors of the others."""
        known = {rule.value: rule.id for rule in self._rules}
        added: list[BookedRule] = []
        errors: list[dict[str, Any]] = []
        for entry in wanted:
            value = entry["value"].strip()
            if value in known:
                errors.append(_duplicate(value, known[value]))
                continue
            try:
                term = _term(value)
            except RuleError as refusal:
                errors.append(_invalid(entry["value"], refusal.details))
                continue
            self._made += 1
            known[value] = snowflake(present(), self._made)
            added.append(BookedRule(known[value], value, entry.get("tag"), term))
        return added, errors

    def _replace(self, rules: tuple[BookedRule, ...]) -> None:
        self._rules = rules
        self.revision += 1


def listing(rules: Iterable[BookedRule], next_token: str | None) -> dict[str, Any]:
    """The body of X's response to a request for rules: one page."""
    shown = [rule.shown for rule in rules]
    more = {} if next_token is None else {"next_token": next_token}
    return ({"data": shown} if shown else {}) | {"meta": _meta(result_count=len(shown), **more)}


def _meta(**more: Any) -> dict[str, Any]:
    return {"sent": exact_moment(present()), **more}


def _term(value: str) -> Term:
    if len(value) > MAX_RULE_LENGTH:
        raise RuleError(
            f"Rules must not be longer than {MAX_RULE_LENGTH} characters; this one has {len(value)}"
        )
    return read(value)


def _duplicate(value: str, known: str) -> dict[str, Any]:
    return {"value": value, "id": known, "title": "DuplicateRule", "type": PROBLEMS + "duplicate-rules"}


def _invalid(value: str, details: Sequence[str]) -> dict[str, Any]:
    type_ = PROBLEMS + "invalid-rules"
    return {"value": value, "details": [*details], "title": "UnprocessableEntity", "type": type_}
