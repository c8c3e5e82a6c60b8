"""Compares published and received posts: only counting."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.chaos.publisher import Published
from benchmarks.chaos.task import Task

TOLERANCE = 0.25
"""Seconds between a post's publication and its sending, on a busy machine."""
COMMITTED = 2.0
"""Seconds before a kill in which delivered posts may not be committed: one, plus one for a busy machine."""

LATE = 10.0
"""Seconds by which the last received post may lag at the end of a run."""


@dataclass
class Outcome:
    """The result of a run."""

    published: int
    received: int = 0
    missing: list[Published] = field(default_factory=list, repr=False)
    """Posts that never arrived, published between the first and the last received post."""
    unexplained: int = 0
    """Missing posts outside every reported gap; if the app is entitled to backfill, all missing posts."""
    repeats: int = 0
    repeats_against_the_rule: int = 0
    """Duplicates of posts that were not yielded just before a kill."""
    out_of_order: int = 0
    """Posts that arrived after a later post."""
    gaps: Counter[str] = field(default_factory=Counter)
    """Gaps by the reason why part of them remains uncovered."""
    idle_gaps: int = 0
    """Gaps without a lost connection."""
    restarts: int = 0
    kills: int = 0
    connections: int = 0
    behind: float = 0.0
    """Seconds between the publication of the last received post and of the last published one."""
    surprises: list[str] = field(default_factory=list)
    """Expectations of the task that were not met."""
    played: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether the run kept all guarantees."""
        return self.received > 0 and not (
            self.unexplained
            or self.repeats_against_the_rule
            or self.idle_gaps
            or self.surprises
            or self.behind > LATE
        )


def account(
    task: Task,
    posts: Sequence[Published],
    ends: Sequence[float],
    diary: Sequence[str],
    kills: Sequence[float],
) -> Outcome:
    """Compare the posts of a run. `ends` and `kills` are the Unix times of lost connections and of kills."""
    gaps = [json.loads(entry[4:]) for entry in diary if entry.startswith("gap ")]
    outcome = Outcome(len(posts), kills=len(kills), restarts=diary.count("restart"), connections=len(ends))
    outcome.gaps.update(gap["why"] or "covered" for gap in gaps)
    came = _count_arrivals(outcome, [entry for entry in diary if entry[0].isdigit()], posts, kills)
    _count_missing(outcome, posts, came, [] if task.entitled else gaps)
    if task.connections is not None and len(ends) > task.connections:
        outcome.surprises.append(f"{len(ends)} connections instead of {task.connections}")
    if task.told and task.told not in outcome.gaps:
        outcome.surprises.append(f"no gap has the reason {task.told}")
    moments = [*ends, *kills]
    outages = [any(_within(at, gap["lost_at"], gap["back_at"]) for at in moments) for gap in gaps]
    outcome.idle_gaps = outages.count(False)
    return outcome


def _count_arrivals(
    outcome: Outcome, entries: Sequence[str], posts: Sequence[Published], kills: Sequence[float]
) -> dict[str, float]:
    """The ids of received posts, with the Unix times of their first arrivals; without posts of faults."""
    published = {post.id: post.at for post in posts}
    came: dict[str, float] = {}
    newest = 0.0
    for entry in entries:
        name, _, moment = entry.partition(" ")
        if name not in published:
            continue
        if name in came:
            outcome.repeats += 1
            uncommitted = any(kill - COMMITTED <= came[name] <= kill <= float(moment) for kill in kills)
            outcome.repeats_against_the_rule += not uncommitted
        else:
            came[name] = float(moment)
            outcome.out_of_order += published[name] < newest
            newest = max(newest, published[name])
    outcome.received = len(came)
    return came


def _count_missing(
    outcome: Outcome, posts: Sequence[Published], came: dict[str, float], gaps: Sequence[dict[str, Any]]
) -> None:
    dates = [post.at for post in posts if post.id in came]
    first, last = min(dates, default=0.0), max(dates, default=0.0)
    outcome.missing = [post for post in posts if first < post.at < last and post.id not in came]
    outcome.behind = posts[-1].at - last if posts else 0.0
    spans = [gap["uncovered"] for gap in gaps if gap["uncovered"]]
    outcome.unexplained = sum(not any(_within(post.at, *span) for span in spans) for post in outcome.missing)


def _within(moment: float, since: float, until: float) -> bool:
    return since - TOLERANCE <= moment <= until + TOLERANCE


def told(task: Task, outcome: Outcome) -> Iterator[str]:
    """The result in words."""
    faults = f"{sum(outcome.played.values())} faults of {len(outcome.played)} kinds"
    yield f"{outcome.published:,} posts at {task.rate:,} a second, {faults}, in {outcome.seconds:.0f} s"
    yield (
        f"{outcome.connections} connections, {outcome.restarts} restarts after final errors, "
        f"{outcome.kills} kills, {task.stops} stops"
    )
    yield (
        f"{outcome.received:,} received, {outcome.out_of_order:,} of them out of order; "
        f"{len(outcome.missing):,} missing, {outcome.unexplained} of them unexplained"
    )
    yield f"{outcome.repeats:,} repeated, {outcome.repeats_against_the_rule} against the rule"
    reasons = ", ".join(f"{count} {why}" for why, count in outcome.gaps.most_common()) or "none"
    yield f"gaps: {reasons}; {outcome.idle_gaps} without an outage; {outcome.behind:.1f} s behind at the end"
    yield from outcome.surprises
