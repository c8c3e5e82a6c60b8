"""Translates a server's reason to refuse or end a stream into a `StreamError`.

Reads statuses, headers and every form of error body that X is known to send. Does no I/O and decides no
state. The table in `verdicts` gives the meaning of X's words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from html import unescape
from itertools import chain, islice
from typing import Any

from pydantic_core import from_json

from xdk_streaming.errors import Problem, StreamError, StreamErrorType, excerpt
from xdk_streaming.wire import dates, limits, verdicts
from xdk_streaming.wire.cut import cut
from xdk_streaming.wire.decoder import BOM, CONTROL_MESSAGES
from xdk_streaming.wire.not_an_item import StreamNotice
from xdk_streaming.wire.secrets import NONE, Secrets
from xdk_streaming.wire.verdicts import Verdict

MAX_BODY_BYTES = 64 * 1024
"""Bytes of an error body that are read, at most."""
BODY_SECONDS = 5.0
"""Seconds to wait for an error body, at most."""
MAX_SERVER_QUOTE = 500
"""Characters of the server's own words in a message, at most."""
MAX_PROBLEMS = 1_000
"""Problems of one object that are looked at, at most."""
MAX_FIELDS_BYTES = 4_096
"""Bytes of memory that the fields of a problem take, about and at most; a problem of X's has 1,000."""
MAX_TEXT = 4 * MAX_SERVER_QUOTE
"""Characters of the kind, title and detail of a problem, at most: as many as a quote is made from."""
MAX_QUOTES = 12
"""Pieces of the server's own words in a message, at most."""
QUOTED_FIELDS = (
    "reason",
    "required_enrollment",
    "registration_url",
    "parameter",
    "value",
    "period",
    "scope",
    "product_name",
)
"""Fields of a problem that name what was refused: the parameter, the enrolment, the usage cap's period."""
TELLING_FIELDS = ("disconnect_type", "connection_issue", "type", "title", "detail", "message", *QUOTED_FIELDS)
"""Fields of a problem that are kept first if the problem is large."""
TOKEN_PATTERN = re.compile(
    r"(?<=bearer)\W+(?!tokens?\b)\S+|(?<=bearer token)\W+(?=\S*\d)\S+|[\w%+=.~-]{40,}", re.IGNORECASE
)
"""Text that may be a token: text after the word "bearer", and any word as long as a token."""
PAGE_TYPES = ("text/html", "application/xhtml")
"""Content types of web pages, as they begin."""
TITLE_PATTERN = re.compile(r"<title[^<>]*>([^<]*)", re.IGNORECASE)


def is_stream(status: int, content_type: str) -> bool:
    """Whether an answer is a stream: its status is a success, and its body is no web page."""
    success = 200 <= status < 300 and status not in verdicts.BY_STATUS
    return success and not _is_page(content_type)


def _is_page(content_type: str) -> bool:
    """Whether a body is declared as a web page."""
    return content_type.strip().lower().startswith(PAGE_TYPES)


def refusal(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    now: float,
    waited: float = 0.0,
    secrets: Secrets = NONE,
) -> StreamError:
    """The error for an answer that is no stream. Header names are in lower case; `secrets` are hidden.

    The answer came at `now`, in Unix seconds of the local clock, and its body `waited` seconds later.
    """
    text = secrets.removed_from(body.removeprefix(BOM).decode(errors="replace").strip())
    found = _json_object(text)
    content = secrets.removed_from_json(found)
    problems = list(_problems(content))
    problem, verdict = _judged_refusal(status, problems)
    page = not content and (text[:1] == "<" or _is_page(headers.get("content-type", "")))
    if page:
        verdict = verdicts.BY_STATUS_OF_A_PAGE.get(status, verdict)
    wait = _wait_asked(headers, now, waited, verdict, problem)
    said = _quoted(problems) or title_or_start(text)
    asked = f"the server asks for a wait of {wait:.0f} s" if wait is not None else ""
    return StreamError(
        _sentence(f"The server refused the stream with {status}", said, verdict, asked),
        verdict.error_type,
        status_code=status,
        response_body=excerpt(secrets.removed_from_bytes(body) if content == found else str(content)),
        problem=problem,
        retry_after=wait,
        intercepted=verdicts.may_be_intercepted(status, verdict, page=page),
    )


def ending(notice: StreamNotice) -> StreamError | None:
    """The error for a notice that ends the stream; None if the stream goes on after the notice."""
    for problem in _problems(notice.content):
        if problem.kind in verdicts.ENDING_KINDS:
            return _in_stream(problem, notice, verdicts.ENDING_KINDS[problem.kind])
    return None


def parting(notice: StreamNotice) -> StreamError:
    """The error for a notice after which the stream ended at once: the notice is taken as the reason."""
    unknown = _problem("about:blank", "Unknown problem", "", notice.content)
    problem = next(_problems(notice.content), unknown)
    return _in_stream(problem, notice, verdicts.ENDING_KINDS["operational-disconnect"])


def _in_stream(problem: Problem, notice: StreamNotice, otherwise: Verdict) -> StreamError:
    verdict = verdicts.ISSUES.get(problem.issue, otherwise)
    return StreamError(
        _sentence("The server ended the stream", _quoted([problem]), verdict),
        verdict.error_type,
        response_body=excerpt(notice.line),
        problem=problem,
    )


def _judged_refusal(status: int, problems: list[Problem]) -> tuple[Problem | None, Verdict]:
    """The most telling problem, and its verdict: by its issue, else by its kind, else by the status."""
    by_kind = {**verdicts.ENDING_KINDS, **verdicts.REFUSING_KINDS}
    for problem in problems:
        verdict = verdicts.ISSUES.get(problem.issue) or by_kind.get(problem.kind)
        # A cause that interrupts a stream cannot have refused one, and an unknown or missing issue says
        # nothing: in both cases the status says more.
        if verdict in (None, verdicts.CLIENT_FAULT):
            continue
        if verdict.error_type is not StreamErrorType.STREAM_INTERRUPTED:
            return problem, verdict
    return next(iter(problems), None), verdicts.of_status(status)


def _sentence(happened: str, said: str, verdict: Verdict, asked: str = "") -> str:
    """One sentence: what happened, the server's words, their meaning, the wait it asks for, and advice."""
    first = f"{happened}: {said.rstrip('.')}" if said else happened
    return "; ".join(part for part in (first, verdict.meaning, asked, verdict.advice) if part)


def _wait_asked(
    headers: Mapping[str, str], now: float, waited: float, verdict: Verdict, problem: Problem | None
) -> float | None:
    """Seconds that the server asks the client to wait; None if it gives no usable time."""
    asked = limits.retry_after(headers, now, waited)
    if asked is not None or verdict.error_type is not StreamErrorType.RATE_LIMITED:
        return asked
    limit = limits.rate_limit(headers)
    if limit is None or limit.remaining is None:
        # X refuses one connection too many although attempts are left: the window is then not used up.
        spent = problem is None or problem.issue != "TooManyConnections"
    else:
        spent = limit.remaining <= 0
    if not spent:
        return None
    date = dates.answered(headers)
    return limits.until_reset(limit, (now if date is None else date) + waited, dated=date is not None)


def _json_object(text: str) -> dict[str, Any]:
    """The JSON object in a body, in part if the body was cut off; empty if there is no object."""
    try:
        content = from_json(text, allow_partial="trailing-strings")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _problems(content: dict[str, Any]) -> Iterator[Problem]:
    """The problems in an object: the object itself, its `errors`, and an older API's control messages."""
    errors = content.get("errors")
    control = [{"type": name, **_as_object(content[name])} for name in CONTROL_MESSAGES if name in content]
    listed = errors if isinstance(errors, list) else []
    for fields in chain([content], islice(listed, MAX_PROBLEMS), control):
        if isinstance(fields, dict) and any(_text(fields, key) for key in ("type", "title", "message")):
            kind = _text(fields, "type").rstrip("/").rpartition("/")[2]
            title = _text(fields, "title") or _text(fields, "message")
            yield _problem(kind, title, _text(fields, "detail") or _text(fields, "reason"), fields)


def _problem(kind: str, title: str, detail: str, fields: dict[str, Any]) -> Problem:
    """A problem that takes little memory, whatever the server sent: errors keep their problems."""
    kept = cut(fields, MAX_FIELDS_BYTES, first=TELLING_FIELDS)
    return Problem(kind[:MAX_TEXT], title[:MAX_TEXT], detail[:MAX_TEXT], kept)


def _as_object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(fields: dict[str, Any], key: str) -> str:
    value = fields.get(key)
    return value if isinstance(value, str) else ""


def _quoted(problems: Iterable[Problem]) -> str:
    """The problems' titles, causes, details and other telling fields, each once."""
    words = dict.fromkeys(word for problem in problems for word in _words(problem))
    return clean(", ".join(list(words)[:MAX_QUOTES]))


def _words(problem: Problem) -> Iterator[str]:
    yield from filter(None, (problem.title or problem.kind, problem.issue, problem.detail))
    for name in QUOTED_FIELDS:
        value = problem.fields.get(name)
        if isinstance(value, str) and value not in ("", problem.detail):
            yield f"{name.replace('_', ' ')} {value}"


def title_or_start(text: str) -> str:
    """A quote from a body that is no problem object: a web page's title, or the beginning of a text."""
    if text[:1] in ("{", "["):
        return ""
    title = TITLE_PATTERN.search(text)
    if title is None and text[:1] == "<":
        return ""
    said = clean(unescape(title[1]) if title else text)
    return "" if "\ufffd" in said else said  # the body has another encoding, or is compressed


def clean(text: str) -> str:
    """The text as one line of bounded length, without any token that the server may have sent back."""
    begun = text[:MAX_TEXT]  # longer than the result, so that no token is cut into a short word
    printable = "".join(character if character.isprintable() else " " for character in begun)
    return " ".join(TOKEN_PATTERN.sub(" [hidden]", printable).split())[:MAX_SERVER_QUOTE].strip()
