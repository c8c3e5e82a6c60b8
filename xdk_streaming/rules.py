"""The rules of the filtered stream: list, add, delete, count, and make them those that are wanted.

    from xdk_streaming.rules import Rule, Rules

    rules = Rules(session)
    rules.sync([Rule("cat has:images", "cats with images"), Rule("dog -puppy")])

Each call is one request, or one for each page of a list. Nothing is retried. Answers are bounded: 8 MiB, a
minute, a thousand pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests

from xdk_streaming.wire.resource import Resource, as_object
from xdk_streaming.x import BASE_URL, MAX_RULES_PER_PAGE, RULE_COUNTS, RULES


@dataclass(frozen=True)
class Rule:
    """A rule: a post that matches `value` is delivered, together with the rule's id and `tag`."""

    value: str
    tag: str | None = None
    id: str | None = None
    """X's id of the rule; None if the rule was not read from X."""

    @property
    def content(self) -> dict[str, str]:
        """The rule as X takes it."""
        return {"value": self.value, **({} if self.tag is None else {"tag": self.tag})}


@dataclass(frozen=True)
class RefusedRule:
    """A rule that X did not add, or an id that it did not delete."""

    value: str
    """The rule, or the id."""
    reasons: tuple[str, ...]
    """X's words."""
    exists_as: str | None = None
    """The id of the rule that has this value already; None if that is not the reason."""


@dataclass(frozen=True)
class Changes:
    """What a request changed, or with `dry_run` would have changed."""

    added: tuple[Rule, ...] = ()
    deleted: int = 0
    refused: tuple[RefusedRule, ...] = ()

    @property
    def failed(self) -> tuple[RefusedRule, ...]:
        """The refused rules without those that exist already."""
        return tuple(each for each in self.refused if each.exists_as is None)


@dataclass(frozen=True)
class RulePlan:
    """What has to change so that the rules are those that are wanted."""

    add: tuple[Rule, ...] = ()
    delete: tuple[Rule, ...] = ()
    retag: tuple[tuple[Rule, Rule], ...] = ()
    """Rules of the same value but another tag: the present one, and the wanted one. X has no request to
    change a tag, so such a rule is deleted and added, and misses posts in between."""
    keep: tuple[Rule, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing has to change."""
        return not (self.add or self.delete or self.retag)


@dataclass(frozen=True)
class RuleCount:
    """How many rules there are, and how many there may be. None for what X does not say."""

    rules: int | None
    max_rules: int | None


class Rules:
    """The rules of an app. Every method raises `StreamError` if X does not answer, or refuses all of it.

    `session` is a `requests.Session` that sends the app's bearer token. For one thread.
    """

    def __init__(self, session: requests.Session, base_url: str = BASE_URL) -> None:
        self._session = session
        self._base_url = base_url

    def list(self) -> list[Rule]:
        """All rules, as X lists them."""
        entries = self._resource().pages({"max_results": str(MAX_RULES_PER_PAGE)})
        return [_rule(entry) for entry in entries]

    def count(self) -> RuleCount:
        """How many rules there are, without listing them."""
        data = as_object(Resource(self._session, self._base_url, RULE_COUNTS).ask("GET").get("data"))
        app = as_object(data.get("client_app_rules_count"))
        return RuleCount(_number(app.get("rule_count")), _number(data.get("cap_per_client_app")))

    def add(self, rules: Iterable[Rule], *, dry_run: bool = False) -> Changes:
        """Add rules. Those that X accepts stay, even if it refuses others."""
        wanted = [rule.content for rule in rules]
        if not wanted:
            return Changes()
        answer = self._resource().ask("POST", params=_params(dry_run), body={"add": wanted})
        data = answer.get("data")
        added = (
            tuple(_rule(each) for each in data if isinstance(each, dict)) if isinstance(data, list) else ()
        )
        return Changes(added=added, refused=tuple(map(_refused, _objects(answer, "errors"))))

    def delete(self, ids: Iterable[str], *, dry_run: bool = False) -> Changes:
        """Delete the rules with these ids."""
        wanted = list(ids)
        if not wanted:
            return Changes()
        body = {"delete": {"ids": wanted}}
        return self._deleted(self._resource().ask("POST", params=_params(dry_run), body=body))

    def delete_all(self, *, dry_run: bool = False) -> Changes:
        """Delete all rules."""
        params = {**_params(dry_run), "delete_all": "true"}
        return self._deleted(self._resource().ask("POST", params=params, body={}))

    def plan(self, wanted: Iterable[Rule]) -> RulePlan:
        """What `sync` would change. Raises `ValueError` if a value is wanted twice with different tags."""
        tags: dict[str, Rule] = {}
        for rule in wanted:
            if tags.setdefault(rule.value, rule).tag != rule.tag:
                raise ValueError(f"the rule {rule.value!r} is wanted with two different tags")
        present = {rule.value: rule for rule in self.list()}
        both = [(present[value], tags[value]) for value in tags if value in present]
        return RulePlan(
            add=tuple(tags[value] for value in tags if value not in present),
            delete=tuple(rule for value, rule in present.items() if value not in tags),
            retag=tuple(pair for pair in both if pair[0].tag != pair[1].tag),
            keep=tuple(old for old, new in both if old.tag == new.tag),
        )

    def sync(self, wanted: Iterable[Rule]) -> Changes:
        """Make the rules those that are wanted; a second call changes nothing.

        Adds before it deletes. If X refuses one of the new rules, nothing is deleted.
        """
        plan = self.plan(wanted)
        added = self.add(plan.add)
        if added.failed:
            return added
        old = self.delete(_ids([*plan.delete, *(old for old, _ in plan.retag)]))
        again = self.add(new for _, new in plan.retag)
        return Changes(
            (*added.added, *again.added), old.deleted, (*added.refused, *old.refused, *again.refused)
        )

    def _resource(self) -> Resource:
        return Resource(self._session, self._base_url, RULES)

    def _deleted(self, answer: Mapping[str, Any]) -> Changes:
        summary = as_object(as_object(answer.get("meta")).get("summary"))
        refused = tuple(map(_refused, _objects(answer, "errors")))
        missed = _number(summary.get("not_deleted")) or 0
        rest = (RefusedRule("", ("X gives no reason",)),) * (missed - len(refused))
        return Changes(deleted=_number(summary.get("deleted")) or 0, refused=(*refused, *rest))


def _ids(rules: Sequence[Rule]) -> list[str]:
    return [rule.id for rule in rules if rule.id is not None]


def _params(dry_run: bool) -> dict[str, str]:
    return {"dry_run": "true"} if dry_run else {}


def _rule(entry: Mapping[str, Any]) -> Rule:
    tag, id_ = entry.get("tag"), entry.get("id")
    return Rule(
        str(entry.get("value", "")), None if tag is None else str(tag), None if id_ is None else str(id_)
    )


def _objects(answer: Mapping[str, Any], name: str) -> Sequence[dict[str, Any]]:
    entries = answer.get(name)
    return [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []


def _refused(error: Mapping[str, Any]) -> RefusedRule:
    """The reasons about the rule itself; if there are none, the general one."""
    details, nested = error.get("details"), error.get("errors")
    nearest: list[Any] = [*details] if isinstance(details, list) else []
    if isinstance(nested, list):
        nearest += [as_object(each).get("message") for each in nested]
    given = [str(each) for each in nearest if each] or [
        str(each) for each in (error.get("detail"), error.get("title")) if each
    ]
    exists_as = str(error.get("id", "?")) if error.get("title") == "DuplicateRule" else None
    value = error.get("value", error.get("id", ""))
    return RefusedRule(str(value), tuple(given) or ("X gives no reason",), exists_as)


def _number(value: object) -> int | None:
    try:
        return int(value) if isinstance(value, (int, str)) else None
    except ValueError:
        return None
