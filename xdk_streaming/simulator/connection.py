"""One simulated connection: plays the steps of a script on a real socket."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress

import orjson

from xdk_streaming.simulator.backfill import delivery
from xdk_streaming.simulator.body import Body
from xdk_streaming.simulator.client_socket import ClientLeft, ClientSocket, end
from xdk_streaming.simulator.faults import RANDOM_FAULTS, STREAM_FAULTS
from xdk_streaming.simulator.line_cache import Line
from xdk_streaming.simulator.log import KILLED, OPEN, Sent
from xdk_streaming.simulator.partitions import of_partition
from xdk_streaming.simulator.present import present
from xdk_streaming.simulator.recovery import span
from xdk_streaming.simulator.script import Notice, Script
from xdk_streaming.simulator.service import Exchange, Service
from xdk_streaming.x import HEARTBEAT_LINE

SILENT = "silent"
BREATH = 0.002
"""Minimum seconds between two checks for due items: at high rates, items are sent in groups."""
BULK = 256
"""The most items written together."""
SLOW_READER = next(
    orjson.dumps(dict(step.content)) + b"\r\n"
    for step in STREAM_FAULTS["slow-reader"].script
    if isinstance(step, Notice)
)


class ScriptEnded(Exception):
    """The script has ended the connection: nothing can follow."""


class SocketWire:
    """The `Wire` of a real connection. `Wire` describes what each method does."""

    def __init__(self, service: Service, exchange: Exchange) -> None:
        self._service = service
        self._behaviour = service.behaviour
        self._timeline = service.feed.timeline
        self._exchange = exchange
        self._request = exchange.request
        self._client = ClientSocket(exchange.connection, self._behaviour.patience.seconds)
        framing = self._behaviour.sending.framing if exchange.takes_chunks else "close"
        self._body = Body(framing, self._behaviour.sending.encoding)
        self._open = False
        self._quiet_since = present()
        self._chance = random.Random(f"{self._behaviour.seed}:{self._request.number}")
        self._fault_happened = False
        self._backlog_due = True
        self._delivered_up_to: int | None = None
        """After a backfill: all items before this number were sent, and later ones follow without a gap."""
        self._live_up_to: int | None = None
        """Where the last `Live` stopped: the number of its next item."""

    def play(self, script: Script) -> None:
        """Play the script, and record how the connection ended."""
        try:
            for step in script:
                step.play(self)
            self.end()
        except ScriptEnded:
            return
        except (ClientLeft, OSError):
            if self._request.killed and self._behaviour.kill == "end" and self._open:
                with suppress(OSError):
                    self._write([self._body.end()])
            silent = self._request.outcome == SILENT
            left = "silent until the client left" if silent else "left by the client"
            self._close(KILLED if self._request.killed else left, abrupt=True)
        finally:
            self._client.close()

    def hang_up(self) -> None:
        """End the stream, from any thread."""
        if self._behaviour.kill == "end":
            self._client.leave()
        else:
            end(self._exchange.connection)

    def refuse(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self._close(f"refused with {status}", abrupt=False)
        self._exchange.answer(status, {**headers, "Content-Length": str(len(body))}, body)
        raise ScriptEnded

    def open(self, status: int, headers: Mapping[str, str]) -> None:
        self._open = True
        usual = {"Content-Type": "application/json; charset=utf-8", **self._body.headers}
        self._exchange.answer(status, {**usual, **headers})

    def serve(self, count: int) -> None:
        self._send_backlog(self._timeline.reached(present()))
        partitions = self._exchange.endpoint.partitions if "partition" in self._exchange.params else 0
        numbers = self._timeline.take(count * max(1, partitions))
        self._items(numbers)
        if self._delivered_up_to is not None and numbers.start <= self._delivered_up_to:
            self._delivered_up_to = max(self._delivered_up_to, numbers.stop)

    def live(self, seconds: float | None, *, goes_on: bool = False) -> None:
        timeline = self._timeline
        now = present()
        position = timeline.join(now)
        self._request.live_since, self._request.live_until = now, None
        self._open_body()
        if self._send_backlog(position):
            now = present()
        if goes_on and self._live_up_to is not None:
            position = min(position, self._live_up_to)
        if self._delivered_up_to is not None:
            position = min(position, self._delivered_up_to)
        since, until = now, math.inf if seconds is None else now + seconds
        while True:
            now = min(present(), until)
            due = timeline.published(now)
            while position < due:
                numbers = range(position, min(due, position + BULK))
                self._send_with_faults(numbers, live_since=since)
                position = numbers.stop
            self._request.live_until, self._live_up_to = now, position
            if self._delivered_up_to is not None:
                self._delivered_up_to = max(self._delivered_up_to, position)
            if now == until:
                return
            if now >= self._quiet_since + self._behaviour.heartbeat:
                self.send(HEARTBEAT_LINE)
            heartbeat = self._quiet_since + self._behaviour.heartbeat
            next_item = max(timeline.due_at(position), now + BREATH)
            self._client.wait(min(heartbeat, next_item, until) - present())

    def send(self, data: bytes) -> None:
        self._open_body()
        self._write([self._body.piece(data)])

    def uncompressed(self, data: bytes) -> None:
        self._open_body()
        self._write([self._body.framed(data)])

    def raw(self, data: bytes) -> None:
        self._write([data])

    def half(self, share: float) -> None:
        for _ in range(BULK):  # take the first of the next items that matches the rules
            _, lines = self._logged(self._timeline.take(1), whole=False)
            if not lines:
                continue
            ((line, _id),) = lines
            # Without the object's last byte, what was sent cannot be a complete object.
            share = self._chance.random() if self._fault_happened else share
            size = min(max(1, int(share * len(line))), len(line) - 1)
            self._open_body()
            self._write([self._body.half(line + b"\r\n", size)])
            return

    def silence(self, seconds: float | None, *, head: bool) -> None:
        if head:
            self._open_body()
        self._request.outcome = SILENT
        self._client.wait(seconds)
        self._request.outcome = OPEN

    def end(self) -> None:
        self._open_body()
        # A client that has read the end may reconnect immediately.
        self._service.slots.leave(self._request.number, abrupt=False)
        self._write([self._body.end()])
        self._close("ended cleanly", abrupt=False)
        raise ScriptEnded

    def cut(self) -> None:
        self._close("cut off", abrupt=True)
        raise ScriptEnded

    def reset(self) -> None:
        self._client.reset_on_close()
        self._close("reset", abrupt=True)
        raise ScriptEnded

    def _send_backlog(self, reached: int) -> bool:
        """Send the past items that the request asks for, once, up to `reached`. Returns whether any were due.

        A connection with a recovery range sends only that range, even if the request also asks for backfill.
        """
        if not self._backlog_due:
            return False
        self._backlog_due = False
        endpoint, params = self._exchange.endpoint, self._exchange.params
        recovery = span(endpoint.recovery_parameters, params)
        minutes = int(params.get(endpoint.backfill_parameter, "0"))
        if recovery is None and not minutes:
            return False
        now, timeline = present(), self._timeline
        since, until = recovery or (now - min(60.0 * minutes, self._behaviour.backlog), math.inf)
        chance = random.Random(f"{self._behaviour.seed}:{self._request.number}:past")
        self._open_body()
        for numbers in delivery(timeline.between(since, until, reached), chance, BULK):
            self._send_with_faults(numbers)
        if recovery is not None:
            self.end()
        self._delivered_up_to = reached
        return True

    def _send_with_faults(self, numbers: Sequence[int], live_since: float | None = None) -> None:
        """Send these items, possibly with a random fault after one of them."""
        sent, faults = 0, self._behaviour.random_faults
        numbers = of_partition(numbers, self._exchange.endpoint, self._exchange.params)
        if faults:
            made = self._service.feed.items(numbers, self._exchange.endpoint, self._exchange.params)
            for count, line in enumerate(made, 1):
                if line is not None and self._chance.random() < faults:
                    self._items(numbers[sent:count], live_since)
                    sent, self._fault_happened = count, True
                    for step in self._chance.choice(RANDOM_FAULTS).script:
                        step.play(self)
        self._items(numbers[sent:], live_since)

    def _items(self, numbers: Sequence[int], live_since: float | None = None) -> None:
        """Send these items in groups. `live_since` is the Unix time at which live sending began, if any."""
        timeline = self._timeline
        for first in range(0, len(numbers), BULK):
            some = numbers[first : first + BULK]
            if live_since is not None:
                self._request.live_until = timeline.due_at(some[-1])
                timeline.advance(some[-1] + 1)
            chosen, lines = self._logged(some, whole=True)
            if not lines:
                continue
            self._open_body()
            self._write(self._body.pieces([line for line, _ in lines]), chosen)
            if live_since is not None and self._is_behind(max(timeline.due_at(some[0]), live_since)):
                self._cut_off([], 0, chosen)

    def _logged(self, numbers: Sequence[int], *, whole: bool) -> tuple[Sequence[int], Sequence[Line]]:
        """Log the items about to be sent. Returns their numbers and their lines.

        Items are logged before they are sent: an item that a client has received is always in the log.
        """
        exchange, request, now = self._exchange, self._request.number, present()
        numbers = of_partition(numbers, exchange.endpoint, exchange.params)
        made = self._service.feed.items(numbers, exchange.endpoint, exchange.params)
        lines = [line for line in made if line is not None]
        if len(lines) < len(made):
            pairs = list(zip(numbers, made, strict=True))
            self._service.logbook.unmatched.extend(number for number, line in pairs if line is None)
            numbers = [number for number, line in pairs if line is not None]
        self._service.logbook.log.write(
            [Sent(request, number, line[1], now, whole) for number, line in zip(numbers, lines, strict=True)]
        )
        return numbers, lines

    def _is_behind(self, moment: float) -> bool:
        """Whether the client makes the server wait, and is too far behind `moment`, in Unix seconds."""
        queue = self._behaviour.patience.seconds
        return queue is not None and self._client.waited and present() - moment > queue

    def _cut_off(self, pieces: Sequence[bytes], written: int, items: Sequence[int]) -> None:
        """Cut off a slow reader after `written` bytes of `pieces`; `items` are the items in them, if any.

        With TLS or compression, no notice can follow a partly sent piece: the bytes that come next are
        already fixed.
        """
        whole = 0
        while whole < len(pieces) and written >= len(pieces[whole]):
            written -= len(pieces[whole])
            whole += 1
        rest = pieces[whole][written:] if written else b""
        if self._behaviour.patience.notice and self._open and not self._behaviour.sending.sealed:
            notice = self._body.piece(SLOW_READER) + self._body.end()
            if self._client.send_now(rest + notice) >= len(rest) and rest:
                whole, rest = whole + 1, b""
        if items and whole < len(pieces):
            self._service.logbook.log.retract(self._request.number, len(pieces) - whole, half=bool(rest))
            if self._request.live_until is not None:
                last = self._timeline.due_at(items[whole] - 1)
                self._request.live_until = min(self._request.live_until, last)
        self._close("cut off as a slow reader", abrupt=False)
        raise ScriptEnded

    def _close(self, outcome: str, *, abrupt: bool) -> None:
        self._service.slots.leave(self._request.number, abrupt=abrupt)
        self._request.close(outcome)

    def _open_body(self) -> None:
        if not self._open:
            self.open(200, {})

    def _write(self, pieces: Sequence[bytes], items: Sequence[int] = ()) -> None:
        data = b"".join(pieces)
        written = self._client.write(data)
        if written < len(data):
            self._cut_off(pieces, written, items)
        self._quiet_since = present()
