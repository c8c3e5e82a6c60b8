"""`xdk-streaming demo`: ten seconds of posts from a simulator that keeps breaking the connection."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

import requests
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from xdk_streaming import StreamConfig, StreamState, Transition, Trigger, stream_with_retry
from xdk_streaming.cli.small_diagram import COLOURS
from xdk_streaming.simulator import UNAVAILABLE, End, Live, Reset, Script, Simulator, Stall
from xdk_streaming.simulator.account import Account, account

DEMO_SECONDS = 10.0
POSTS_PER_SECOND = 8.0
HEARTBEAT_INTERVAL = 0.1
STALL_TIMEOUT = 1.0
"""Seconds, short enough for each fault to happen within the demo; with X, 20 s and more are usual."""

PLAN: Mapping[str, Script] = {
    "ended cleanly": (Live(1.5), End()),
    "reset": (Live(1.5), Reset()),
    "refused with 503": (UNAVAILABLE,),
    "silent until the client left": (Live(1.5), Stall()),
}
"""The scripts of the first connections, keyed by the outcome that the simulator logs for each."""


def demo() -> None:
    """Stream from a local simulator that breaks the connection in four ways. No token or network is needed.

    Exits with 1 if an item is missing that none of the faults explains.
    """
    logging.getLogger("xdk_streaming").setLevel(
        logging.ERROR
    )  # the demo itself shows what the library would log
    console = Console(highlight=False, soft_wrap=True)
    state = StreamState()
    config = StreamConfig(
        initial_backoff=0.3,
        max_backoff=1.0,
        stall_timeout=STALL_TIMEOUT,
        on_state_change=lambda change: _show_change(console, change),
    )
    received: list[str | None] = []
    with Simulator(
        script=list(PLAN.values()), rate=POSTS_PER_SECOND, heartbeat=HEARTBEAT_INTERVAL
    ) as simulator:
        console.print(
            f"Streaming from {simulator.url}/2/tweets/search/stream for {DEMO_SECONDS:.0f} seconds\n"
        )
        end = time.monotonic() + DEMO_SECONDS
        with requests.Session() as session:
            session.trust_env = False  # the user's proxy cannot reach loopback
            session.headers["Authorization"] = "Bearer demo"
            posts = stream_with_retry(
                session,
                "get",
                f"{simulator.url}/2/tweets/search/stream",
                config,
                params={"tweet.fields": "lang"},
                state=state,
            )
            for post in posts:
                received.append(post["data"]["id"])
                _show_post(console, post)
                if time.monotonic() >= end:
                    break
            left_at = time.time()
            posts.close()
        result = account(simulator, received, left_at)
        suffered = {request.outcome for request in simulator.requests}
    result.objections += [
        f"a planned fault did not happen: {fault}" for fault in PLAN if fault not in suffered
    ]
    _show_summary(console, result, state)
    if result.objections:
        raise typer.Exit(1)


def _show_post(console: Console, post: Mapping[str, Any]) -> None:
    data = post["data"]
    words = " ".join(data["text"].split())
    line = Text(f"  {data['id']}  {data['lang']:3} {words}", style="dim", no_wrap=True)
    line.truncate(console.width - 1, overflow="ellipsis")
    console.print(line)


def _show_change(console: Console, change: Transition) -> None:
    line = Text.assemble(
        (time.strftime("%H:%M:%S ", time.localtime(change.at)), "dim"),
        (change.source.name, COLOURS[change.source]),
        " → ",
        (change.dest.name, f"bold {COLOURS[change.dest]}"),
        f"  {change.trigger.value}: {change.reason}",
    )
    if change.trigger is Trigger.RETRY and change.attempt is not None:
        line.append(f"  [attempt {change.attempt}, in {change.delay:.2f} s]", style="bold")
    if change.error is not None:
        line.append(f"\n         {change.error.error_type.name}: {change.error}", style="yellow")
    console.print(line)


def _show_summary(console: Console, result: Account, state: StreamState) -> None:
    console.print()
    table = Table(title="Published posts, accounted for", title_justify="left", show_header=False)
    table.add_column(justify="right")
    table.add_column()
    table.add_row(str(result.published), "posts published during the demo")
    table.add_row(str(result.received), "received exactly once", style="green")
    for reason, count in result.missing.items():
        table.add_row(str(count), reason, style="yellow")
    for objection in result.objections:
        table.add_row("!", objection, style="bold red")
    console.print(table)
    console.print(
        f"{state.reconnects} reconnects, {state.heartbeats} heartbeats, {state.bytes_received:,} bytes, "
        f"{state.invalid_items} incomplete lines reported"
    )
    if result.objections:
        console.print("The two sides disagree: see the lines marked with !", style="bold red")
    else:
        console.print("Both sides agree: every missing post is explained.", style="bold green")
