"""Accounts for every item: what the client received, what is missing, and why.

Like X, the simulator publishes items whether or not a client is connected. An item may be missing only if
no connection could have delivered the whole item. If backfill or recovery sent an item again, the client may
have received the item once, or as often as it was sent.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from xdk_streaming.simulator.log import KILLED, Sent, ServedRequest
from xdk_streaming.simulator.partitions import of_partition
from xdk_streaming.simulator.simulator import Simulator
from xdk_streaming.x import ENDPOINTS


@dataclass
class Account:
    """The comparison of one client's items with the simulator's log."""

    published: int
    """Items published while the client was there, and items sent ahead of their time."""
    received: int
    missing: Counter[str] = field(default_factory=Counter)
    """The number of missing items for each reason; reasons are phrases for people."""
    objections: list[str] = field(default_factory=list)
    """Differences that no fault explains. Each is a defect of the client or of the simulator."""


def account(simulator: Simulator, received: Sequence[str | None], left_at: float) -> Account:
    """Compare the ids that one client received until `left_at`, Unix seconds by the simulator's clock."""
    log, requests = list(simulator.log), list(simulator.requests)
    sent: dict[int, list[int]] = defaultdict(list)
    for place, entry in enumerate(log):
        sent[entry.number].append(place)
    known = {entry.id: entry.number for entry in log}
    whole = Counter(entry.id for entry in log if entry.whole)
    numbers = [known[item_id] for item_id in received if item_id in known]
    timeline = simulator.timeline
    came_at = requests[0].opened_at if requests else left_at
    due = range(timeline.published(came_at), timeline.published(left_at))
    concerned = sorted({*_asked_for(due, requests), *sent})
    result = Account(published=len(concerned), received=len(received))
    for item_id, times in Counter(received).items():
        if item_id not in known:
            result.objections.append(f"item {item_id} was received but never sent")
        if times > max(1, whole[item_id]):
            result.objections.append(f"item {item_id} was received {times} times")
    places, in_order = _places(sent, numbers)
    if not in_order:
        result.objections.append("items were received in another order than they were sent in")
    heard = {log[place].request: place for place in places}  # the last received item of each request
    newest = max(places, default=-1)
    unmatched = set(simulator.unmatched)
    for number in sorted(set(concerned) - set(numbers)):
        blamed, reason = None, None
        if number not in sent and number in unmatched:
            reason = "matched no rule"
        elif number not in sent:
            reason = _unsent(simulator, requests, number)
        else:
            for place in sent[number]:
                blamed = log[place]
                reason = _lost(requests, blamed, place, newest, heard.get(blamed.request, -1))
                if reason is None:
                    break
        if reason is None:
            result.objections.append(_unexplained(number, blamed))
        else:
            result.missing[reason] += 1
    for number in numbers:
        entry = log[sent[number][-1]]
        if not whole[entry.id]:
            result.objections.append(f"item {entry.id} was received, but only half of it was sent")
    return result


def _asked_for(numbers: Sequence[int], requests: Iterable[ServedRequest]) -> set[int]:
    """Those of these items that are in a partition which the client has asked for; all without partitions."""
    found: set[int] = set()
    for asked in {(each.path, each.params.get("partition", "")) for each in requests}:
        endpoint = ENDPOINTS.get(asked[0])
        if endpoint is None or not asked[1]:
            return set(numbers)
        found.update(of_partition(numbers, endpoint, {"partition": asked[1]}))
    return found or set(numbers)


def _places(sent: Mapping[int, Sequence[int]], numbers: Iterable[int]) -> tuple[list[int], bool]:
    """The places of the received items in the log, and whether the items arrived in the order sent."""
    places: list[int] = []
    in_order = True
    for number in numbers:
        last = places[-1] if places else -1
        later = bisect_right(sent[number], last)
        if later < len(sent[number]):
            places.append(sent[number][later])
        elif last not in sent[number]:  # an immediate duplicate does not break the order
            in_order = False
    return places, in_order


def _lost(requests: Sequence[ServedRequest], entry: Sent, place: int, newest: int, heard: int) -> str | None:
    """Why an item that was sent did not arrive; None if unexplained.

    `newest` is the place in the log of the last item received, `heard` that of the last item received from
    the same request.
    """
    request = _by_number(requests, entry.request)
    if not entry.whole:
        return f"cut in half when connection {request.number + 1} was {request.outcome}"
    if request is requests[-1] and place > newest:
        return "still under way when the client left"
    if request.outcome == "left by the client" and place > heard:
        return "still under way when the client left"
    if request.outcome == KILLED and place > heard:
        return f"still under way when connection {request.number + 1} was killed"
    return None


def _unsent(simulator: Simulator, requests: Iterable[ServedRequest], number: int) -> str | None:
    """Why an item was never sent: no client was connected at the time. None if there is no explanation."""
    timeline = simulator.timeline
    moment = timeline.dated(number)
    before: ServedRequest | None = None
    for request in requests:
        # Counted exactly as by the connection: otherwise rounding could shift the result by one item.
        since, until = request.live_since, request.live_until
        if since is None or until is None:
            brought = range(0)
        else:
            brought = range(timeline.published(since), timeline.published(until))
        if number in brought:
            return None
        if request.opened_at <= moment:
            before = request
    if before is None:
        return None
    return f"published while nobody listened, after connection {before.number + 1} was {before.outcome}"


def _unexplained(number: int, entry: Sent | None) -> str:
    if entry is None:
        return f"item number {number} was published while a connection was live, but not sent"
    return f"item {entry.id} was sent whole on connection {entry.request + 1}, but not received"


def _by_number(requests: Sequence[ServedRequest], number: int) -> ServedRequest:
    return next(request for request in requests if request.number == number)
