"""The transition table, held against a second one that was typed by hand.

`EXPECTED` is made from nothing but the enums. `objections` compares a table with it in
every cell and under every outcome of every guard; that it sees what it should is shown by
damaging the real table in every way that comes to mind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from itertools import product

import pytest

from helpers.expected import EXPECTED, Cell, Outcome, Truth, expected, guards_of
from xdk_streaming.config import StreamConfig
from xdk_streaming.machine.machine import ConnectionMachine
from xdk_streaming.machine.table import FINAL, INITIAL, TABLE, Row
from xdk_streaming.state import ConnectionState, Trigger

Table = tuple[Row, ...]

DISCONNECTED, FAILED = ConnectionState.DISCONNECTED, ConnectionState.FAILED

CELLS: list[Cell] = list(product(Trigger, ConnectionState))


# The checker.


def taken(rows: list[Row], truth: Truth) -> int | None:
    """The place of the first row whose guard holds: in that order the machine tries them."""
    return next((place for place, row in enumerate(rows) if row.guard is None or truth[row.guard]), None)


def outcome(rows: list[Row], truth: Truth) -> Outcome | None:
    place = taken(rows, truth)
    return None if place is None else Outcome(rows[place].dest, rows[place].action, rows[place].notify)


def rows_of(table: Table, cell: Cell) -> list[Row]:
    return [row for row in table if (row.trigger, row.source) == cell]


def truths(rows: Iterable[Row], cells: Iterable[Cell]) -> list[Truth]:
    """Every outcome of every guard there is in these rows, or in what is expected of these cells."""
    in_rows = {row.guard for row in rows if row.guard is not None}
    guards = sorted(in_rows.union(*(guards_of(EXPECTED.get(cell)) for cell in cells)))
    return [dict(zip(guards, values, strict=True)) for values in product([True, False], repeat=len(guards))]


def objections(table: Table) -> list[str]:
    """Everything that is wrong with a table."""
    found = [
        *_objections_to_names(table),
        *_objections_to_ways(table),
        *(objection for cell in CELLS for objection in _objections_to_cell(table, cell)),
    ]
    return list(dict.fromkeys(found))


def _objections_to_cell(table: Table, cell: Cell) -> Iterator[str]:
    rows, name = rows_of(table, cell), f"{cell[0].name} in {cell[1].name}"
    every_truth = truths(rows, [cell])
    for truth in every_truth:
        given, wanted = outcome(rows, truth), expected(cell, truth)
        if given is None and wanted is not None:
            yield f"{name}: no row for {wanted}"
        elif given is not None and wanted is None:
            yield f"{name}: should be illegal, but leads to {given.dest.name}"
        elif given != wanted:
            yield f"{name}: {given}, not {wanted}"
    for place in set(range(len(rows))) - {taken(rows, truth) for truth in every_truth}:
        yield f"{name}: row {place} can never be taken"
    if rows and rows[-1].guard is not None and all(expected(cell, truth) for truth in every_truth):
        yield f"{name}: always legal, but its last row is guarded"


def _objections_to_names(table: Table) -> Iterator[str]:
    callbacks = {field.name for field in fields(StreamConfig) if field.name.startswith("on_")}
    for row in table:
        name = f"{row.trigger.name} in {row.source.name}"
        for method in (row.guard, row.action):
            if method is not None and not callable(getattr(ConnectionMachine, method, None)):
                yield f"{name}: {method} is no method of the machine"
        for callback in row.notify:
            if callback not in callbacks:
                yield f"{name}: {callback} is no callback of the configuration"
        if not row.reason.strip():
            yield f"{name}: no reason is given"


def _objections_to_ways(table: Table) -> Iterator[str]:
    for row in table:
        if row.source is FAILED and not row.internal:
            yield f"{row.trigger.name} leads out of FAILED"
    reached = {DISCONNECTED}
    for _ in ConnectionState:
        reached |= {row.dest for row in table if row.source in reached}
    for state in ConnectionState:
        if state not in reached:
            yield f"{state.name} is never reached"
        if state is not FAILED and all(row.internal for row in table if row.source is state):
            yield f"{state.name} is never left"


# The table.


def test_the_table_leaves_nothing_to_object_to() -> None:
    assert objections(TABLE) == []


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell[0].name}-{cell[1].name}")
def test_every_cell_does_what_was_typed_by_hand_under_every_outcome_of_every_guard(cell: Cell) -> None:
    every_truth = truths(TABLE, CELLS)
    assert len(every_truth) == 128
    for truth in every_truth:
        assert outcome(rows_of(TABLE, cell), truth) == expected(cell, truth)


def test_a_life_begins_disconnected_and_failing_is_final() -> None:
    assert INITIAL is DISCONNECTED
    assert FINAL is FAILED


@pytest.mark.parametrize(
    "row", TABLE, ids=lambda row: f"{row.trigger.name}-{row.source.name}-{row.dest.name}"
)
def test_a_row_is_internal_if_it_leads_back_to_its_source(row: Row) -> None:
    assert row.internal == (row.dest == row.source)


def test_no_two_rows_give_the_same_reason() -> None:
    reasons = [row.reason for row in TABLE]
    assert len(set(reasons)) == len(reasons)


def test_no_method_of_the_machine_is_named_like_a_trigger() -> None:
    """`transitions` would leave such a method alone, and the trigger without its own."""
    assert [trigger for trigger in Trigger if hasattr(ConnectionMachine, trigger.value)] == []


def test_the_order_of_the_cells_does_not_matter() -> None:
    shuffled = sorted(TABLE, key=lambda row: (row.source.value, row.trigger.value))
    assert tuple(shuffled) != TABLE
    assert objections(tuple(shuffled)) == []


# Damage controls: what the checker objects to.


def label(place: int) -> str:
    row = TABLE[place]
    return f"{place}-{row.trigger.name}-{row.source.name}-{row.dest.name}"


def changed(place: int, row: Row) -> Table:
    return (*TABLE[:place], row, *TABLE[place + 1 :])


def wrong_destinations() -> Iterator[tuple[str, Table]]:
    for place, row in enumerate(TABLE):
        for dest in ConnectionState:
            if dest is not row.dest:
                yield f"{label(place)}-to-{dest.name}", changed(place, replace(row, dest=dest))


def wrong_sources() -> Iterator[tuple[str, Table]]:
    for place, row in enumerate(TABLE):
        for source in ConnectionState:
            if source is not row.source:
                yield f"{label(place)}-from-{source.name}", changed(place, replace(row, source=source))


def wrong_triggers() -> Iterator[tuple[str, Table]]:
    for place, row in enumerate(TABLE):
        for trigger in Trigger:
            if trigger is not row.trigger:
                yield f"{label(place)}-on-{trigger.name}", changed(place, replace(row, trigger=trigger))


def wrong_guards() -> Iterator[tuple[str, Table]]:
    guards = {None, *(row.guard for row in TABLE)}
    for place, row in enumerate(TABLE):
        for guard in sorted(guards - {row.guard}, key=str):
            yield f"{label(place)}-if-{guard}", changed(place, replace(row, guard=guard))


def wrong_actions() -> Iterator[tuple[str, Table]]:
    actions = {None, *(row.action for row in TABLE)}
    for place, row in enumerate(TABLE):
        for action in sorted(actions - {row.action}, key=str):
            yield f"{label(place)}-does-{action}", changed(place, replace(row, action=action))


def wrong_notifications() -> Iterator[tuple[str, Table]]:
    for place, row in enumerate(TABLE):
        wrong = {(*row.notify, "on_notice"), row.notify[:-1], row.notify[::-1]} - {row.notify}
        for notify in sorted(wrong):
            yield f"{label(place)}-tells-{'-'.join(notify)}", changed(place, replace(row, notify=notify))


def turned_round() -> Iterator[tuple[str, Table]]:
    """The rows of one cell in the opposite order: the unguarded one first."""
    for cell in CELLS:
        rows = rows_of(TABLE, cell)
        if len(rows) > 1:
            others = tuple(row for row in TABLE if row not in rows)
            yield f"{cell[0].name}-{cell[1].name}", (*others, *reversed(rows))


def guarded_throughout() -> Iterator[tuple[str, Table]]:
    for place, row in enumerate(TABLE):
        if row.guard is None:
            yield label(place), changed(place, replace(row, guard="fatal"))


def ways_out_of_failed() -> Iterator[tuple[str, Table]]:
    for trigger, dest in product(Trigger, ConnectionState):
        if dest is not FAILED:
            yield f"{trigger.name}-{dest.name}", (*TABLE, Row(trigger, FAILED, dest, "it may yet recover"))


def rows_in_illegal_cells() -> Iterator[tuple[str, Table]]:
    for trigger, state in CELLS:
        if (trigger, state) not in EXPECTED:
            for dest in ConnectionState:
                row = Row(trigger, state, dest, "why not")
                yield f"{trigger.name}-{state.name}-{dest.name}", (*TABLE, row)


def without(*triggers: Trigger) -> Table:
    return tuple(row for row in TABLE if row.trigger not in triggers)


def of(damages: Iterable[tuple[str, Table]]) -> list[object]:
    return [pytest.param(table, id=name) for name, table in damages]


PLACES = [pytest.param(place, id=label(place)) for place in range(len(TABLE))]
GUARDED = [pytest.param(place, id=label(place)) for place, row in enumerate(TABLE) if row.guard]
ACTING = [pytest.param(place, id=label(place)) for place, row in enumerate(TABLE) if row.action]
TELLING = [pytest.param(place, id=label(place)) for place, row in enumerate(TABLE) if row.notify]


def saying(phrase: str, table: Table) -> list[str]:
    return [objection for objection in objections(table) if phrase in objection]


@pytest.mark.parametrize("place", PLACES)
def test_a_row_that_is_dropped_is_missed(place: int) -> None:
    row = TABLE[place]
    damaged = (*TABLE[:place], *TABLE[place + 1 :])
    name = f"{row.trigger.name} in {row.source.name}: "
    assert saying(name, damaged)


@pytest.mark.parametrize("place", PLACES)
def test_a_duplicate_row_is_objected_to(place: int) -> None:
    twice = (*TABLE[: place + 1], *TABLE[place:])
    assert len(twice) == len(TABLE) + 1
    assert saying("can never be taken", twice)


@pytest.mark.parametrize("damaged", of(wrong_destinations()))
def test_a_wrong_destination_is_objected_to(damaged: Table) -> None:
    assert objections(damaged)


@pytest.mark.parametrize("damaged", of(wrong_sources()))
def test_a_wrong_source_is_objected_to(damaged: Table) -> None:
    assert objections(damaged)


@pytest.mark.parametrize("damaged", of(wrong_triggers()))
def test_a_wrong_trigger_is_objected_to(damaged: Table) -> None:
    assert objections(damaged)


@pytest.mark.parametrize("damaged", of(wrong_guards()))
def test_another_guard_or_none_is_objected_to(damaged: Table) -> None:
    assert objections(damaged)


@pytest.mark.parametrize("damaged", of(wrong_actions()))
def test_another_action_or_none_is_objected_to(damaged: Table) -> None:
    assert objections(damaged)


@pytest.mark.parametrize("damaged", of(wrong_notifications()))
def test_one_callback_more_or_less_or_another_order_is_objected_to(damaged: Table) -> None:
    assert objections(damaged)


@pytest.mark.parametrize("damaged", of(turned_round()))
def test_an_unguarded_row_before_a_guarded_one_is_objected_to(damaged: Table) -> None:
    assert saying("can never be taken", damaged)


@pytest.mark.parametrize("damaged", of(guarded_throughout()))
def test_a_guard_on_the_last_row_of_a_cell_that_is_always_legal_is_objected_to(damaged: Table) -> None:
    assert saying("its last row is guarded", damaged)


@pytest.mark.parametrize("place", GUARDED)
def test_a_misspelt_guard_is_objected_to(place: int) -> None:
    row = TABLE[place]
    assert saying(f"{row.guard}x is no method", changed(place, replace(row, guard=f"{row.guard}x")))


@pytest.mark.parametrize("place", ACTING)
def test_a_misspelt_action_is_objected_to(place: int) -> None:
    row = TABLE[place]
    assert saying(f"{row.action}x is no method", changed(place, replace(row, action=f"{row.action}x")))


@pytest.mark.parametrize("place", TELLING)
def test_a_misspelt_callback_is_objected_to(place: int) -> None:
    row = TABLE[place]
    misspelt = replace(row, notify=(*row.notify[:-1], f"{row.notify[-1]}x"))
    assert saying(f"{row.notify[-1]}x is no callback", changed(place, misspelt))


@pytest.mark.parametrize("place", PLACES)
def test_a_row_without_a_reason_is_objected_to(place: int) -> None:
    assert saying("no reason is given", changed(place, replace(TABLE[place], reason=" ")))


@pytest.mark.parametrize("damaged", of(rows_in_illegal_cells()))
def test_a_row_in_a_cell_that_should_be_illegal_is_objected_to(damaged: Table) -> None:
    assert saying("should be illegal", damaged)


@pytest.mark.parametrize("damaged", of(ways_out_of_failed()))
def test_a_way_out_of_failed_is_objected_to(damaged: Table) -> None:
    assert saying("leads out of FAILED", damaged)


def test_a_state_that_nothing_leads_to_is_objected_to() -> None:
    assert saying("STREAMING is never reached", without(Trigger.OPENED))


def test_a_state_that_nothing_leads_out_of_is_objected_to() -> None:
    assert saying("BACKOFF is never left", without(Trigger.WAITED, Trigger.RETRY, Trigger.STOP))


def test_an_empty_table_is_objected_to() -> None:
    assert len(saying("no row for", ())) >= len(EXPECTED)
