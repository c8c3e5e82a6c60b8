from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, make_dataclass
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import xdk  # type: ignore[import-untyped]
import xdk.stream.client  # type: ignore[import-untyped]
import xdk.streaming  # type: ignore[import-untyped]

import xdk_streaming
from xdk_streaming import StreamErrorType, Transition, Trigger, patch_xdk
from xdk_streaming.simulator import End, Refuse, Reset, Script, Send, Serve, Simulator, Stall
from xdk_streaming.x import ENDPOINTS

NAMES = ("stream_with_retry", "StreamConfig", "StreamError", "StreamErrorType", "StreamState")
ORIGINALS = {name: getattr(xdk.streaming, name) for name in NAMES}
OURS = {name: getattr(xdk_streaming, name) for name in NAMES}
HELD = {
    "xdk": {"StreamConfig", "StreamError", "StreamErrorType", "StreamState"},
    "xdk.streaming": set(NAMES),
    "xdk.stream.client": {"StreamConfig", "StreamError", "stream_with_retry"},
}
METHODS = sorted(
    name
    for name, method in inspect.getmembers(xdk.stream.client.StreamClient, inspect.isfunction)
    if "stream_config" in inspect.signature(method).parameters
)
FIELDS = {
    "tweet_fields": ["created_at", "lang"],
    "user_fields": ["verified_type"],
    "expansions": ["author_id"],
    "like_with_tweet_author_fields": ["timestamp_ms", "liked_tweet_author_id"],
}
USER_CODE = """
import xdk.streaming
from xdk import StreamConfig
from xdk.streaming import StreamError, StreamErrorType as Kind

def outcome(stream):
    try:
        return list(stream)
    except StreamError as error:
        return error
"""

Holdings = dict[tuple[str, str], object]


def holdings() -> Holdings:
    """Under which names which loaded module holds xdk's originals, or ours."""
    watched = {id(thing) for thing in (*ORIGINALS.values(), *OURS.values())}
    return {
        (module_name, name): value
        for module_name, module in list(sys.modules.items())
        if isinstance(module, ModuleType)
        for name, value in list(vars(module).items())
        if id(value) in watched
    }


@pytest.fixture(autouse=True)
def xdk_as_it_was() -> Iterator[None]:
    """Whatever a test does: the tests after it find xdk's originals in xdk."""
    yield
    for module_name, names in HELD.items():
        for name in names:
            setattr(sys.modules[module_name], name, ORIGINALS[name])


@pytest.fixture
def patch(xdk_as_it_was: None) -> Iterator[Callable[[], Callable[[], None]]]:
    """`patch_xdk`, undone at the end, last patch first."""
    undoings: list[Callable[[], None]] = []

    def patch_for_now() -> Callable[[], None]:
        undoings.append(patch_xdk())
        return undoings[-1]

    yield patch_for_now
    while undoings:
        undoings.pop()()


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A loaded module of user code that took names from xdk before anybody patched it."""
    module = ModuleType("user_code")
    exec(USER_CODE, vars(module))
    monkeypatch.setitem(sys.modules, "user_code", module)
    return module


@pytest.fixture
def client() -> Iterator[Callable[..., Any]]:
    """Makes the official client; the environment's proxies and certificates do not count."""
    clients: list[Any] = []

    def make(simulator: Simulator, token: str = "a-token") -> Any:
        clients.append(xdk.Client(base_url=simulator.url, bearer_token=token))
        clients[-1].session.trust_env = False
        return clients[-1]

    yield make
    for made in clients:
        made.session.close()


# What is rebound, and what undoes it


@pytest.mark.parametrize("module_name", HELD)
def test_every_name_a_module_of_xdk_holds_is_ours_after_the_patch(
    module_name: str, patch: Callable[[], Callable[[], None]]
) -> None:
    module = sys.modules[module_name]
    before = {name for name in NAMES if getattr(module, name, None) is ORIGINALS[name]}
    patch()
    after = {name for name in NAMES if getattr(module, name, None) is OURS[name]}
    assert before == after == HELD[module_name]


def test_a_users_module_gets_ours_under_the_names_it_chose(
    user: ModuleType, patch: Callable[[], Callable[[], None]]
) -> None:
    assert (user.StreamConfig, user.StreamError, user.Kind) == (
        ORIGINALS["StreamConfig"],
        ORIGINALS["StreamError"],
        ORIGINALS["StreamErrorType"],
    )
    patch()
    assert user.StreamConfig is xdk_streaming.StreamConfig
    assert user.StreamError is xdk_streaming.StreamError
    assert user.Kind is xdk_streaming.StreamErrorType


def test_the_patch_turns_each_original_into_its_replacement_and_touches_nothing_else(
    user: ModuleType, patch: Callable[[], Callable[[], None]]
) -> None:
    replacement = {id(ORIGINALS[name]): OURS[name] for name in NAMES}
    # This file holds the originals only inside a dict, where a patch of modules does not reach.
    before = holdings()
    patch()
    assert holdings() == {where: replacement.get(id(value), value) for where, value in before.items()}


def test_the_undo_restores_every_name_in_every_module_exactly(
    user: ModuleType, patch: Callable[[], Callable[[], None]]
) -> None:
    before, order = holdings(), [list(vars(sys.modules[name])) for name in HELD]
    undo = patch()
    assert holdings() != before
    undo()
    assert holdings() == before
    assert [list(vars(sys.modules[name])) for name in HELD] == order


def test_patching_twice_changes_no_more_than_patching_once(
    user: ModuleType, patch: Callable[[], Callable[[], None]]
) -> None:
    patch()
    once = holdings()
    patch()
    assert holdings() == once


def test_the_undo_of_a_second_patch_leaves_the_first_in_place(
    user: ModuleType, patch: Callable[[], Callable[[], None]]
) -> None:
    before = holdings()
    undo_first = patch()
    patched = holdings()
    undo_second = patch()
    undo_second()
    assert holdings() == patched
    undo_first()
    assert holdings() == before


def test_two_undos_restore_xdk_in_either_order(
    user: ModuleType, patch: Callable[[], Callable[[], None]]
) -> None:
    before = holdings()
    undo_first, undo_second = patch(), patch()
    undo_first()
    assert holdings() == before
    undo_second()
    assert holdings() == before


def test_an_undo_that_has_run_does_not_undo_a_later_patch(
    user: ModuleType, patch: Callable[[], Callable[[], None]]
) -> None:
    undo = patch()
    patched = holdings()
    undo()
    patch()
    undo()
    assert holdings() == patched


def test_what_is_no_module_among_the_loaded_ones_does_no_harm(
    monkeypatch: pytest.MonkeyPatch, patch: Callable[[], Callable[[], None]]
) -> None:
    monkeypatch.setitem(sys.modules, "blocked", None)
    monkeypatch.setitem(sys.modules, "slotted", object())
    patch()
    assert xdk.stream.client.stream_with_retry is xdk_streaming.stream_with_retry


def test_the_patch_imports_xdk_itself_so_that_later_imports_find_ours() -> None:
    script = """
import sys
import xdk_streaming
before = [name for name in sys.modules if name.split(".")[0] == "xdk"]
xdk_streaming.patch_xdk()
from xdk import StreamError
from xdk.streaming import StreamConfig
from xdk.stream.client import stream_with_retry
print(before, *(thing.__module__ for thing in (StreamError, StreamConfig, stream_with_retry)))
"""
    folder = Path(xdk_streaming.__file__).parents[1]
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, check=True, capture_output=True, text=True, timeout=30
    )
    assert run.stdout.split() == [
        "[]",
        "xdk_streaming.errors",
        "xdk_streaming.config",
        "xdk_streaming.streams.sync",
    ]


# Where it refuses


@pytest.mark.parametrize("absent", HELD)
def test_without_xdk_an_import_error_says_what_to_install(
    absent: str, user: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = holdings()
    with monkeypatch.context() as blocked:
        blocked.setitem(sys.modules, absent, None)
        with pytest.raises(ImportError, match=re.escape(absent)) as caught:
            patch_xdk()
    assert "pip install xdk" in str(caught.value)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    assert holdings() == before


def swapped_fields() -> type:
    names = [field.name for field in fields(ORIGINALS["StreamConfig"])]
    names[:2] = names[1::-1]
    return make_dataclass("StreamConfig", [(name, Any, None) for name in names])


def one_field_more() -> type:
    names = [field.name for field in fields(ORIGINALS["StreamConfig"])]
    return make_dataclass("StreamConfig", [(name, Any, None) for name in [*names, "proxy"]])


def renamed_field() -> type:
    names = [field.name for field in fields(ORIGINALS["StreamState"])]
    return make_dataclass("StreamState", [(name, Any, None) for name in ["retries", *names[1:]]])


def one_member_more() -> Any:
    members = {member.name: member.value for member in ORIGINALS["StreamErrorType"]}
    return Enum("StreamErrorType", {**members, "QUOTA_ERROR": "quota_error"})


def no_enum_any_more() -> type:
    members = {member.name: member.value for member in ORIGINALS["StreamErrorType"]}
    return type("StreamErrorType", (), members)


def one_parameter_more() -> Any:
    def stream_with_retry(
        session: Any,
        method: str,
        url: str,
        config: Any = None,
        params: Any = None,
        headers: Any = None,
        json_data: Any = None,
        response_model: Any = None,
        proxy: Any = None,
    ) -> None:
        raise NotImplementedError

    return stream_with_retry


def one_argument_less_in_front() -> type:
    class StreamError(Exception):
        def __init__(self, error_type: Any, original_exception: Any = None) -> None:
            raise NotImplementedError

    return StreamError


CHANGED = {
    swapped_fields: "StreamConfig",
    one_field_more: "StreamConfig",
    renamed_field: "StreamState",
    one_member_more: "StreamErrorType",
    no_enum_any_more: "StreamErrorType",
    one_parameter_more: "stream_with_retry",
    one_argument_less_in_front: "StreamError",
}


@pytest.mark.parametrize(("change", "name"), CHANGED.items(), ids=[change.__name__ for change in CHANGED])
def test_an_xdk_with_another_surface_is_refused_and_left_as_it_is(
    change: Callable[[], Any], name: str, user: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = change()
    monkeypatch.setattr(xdk.streaming, name, changed)
    before = holdings()
    with pytest.raises(RuntimeError, match=f"{name} .*Nothing was changed"):
        patch_xdk()
    assert holdings() == before
    assert getattr(xdk.streaming, name) is changed


@pytest.mark.parametrize("name", NAMES)
def test_an_xdk_that_lacks_a_name_is_refused_and_left_as_it_is(
    name: str, user: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(xdk.streaming, name)
    before = holdings()
    with pytest.raises(RuntimeError, match=f"has no {name}\\b.*Nothing was changed"):
        patch_xdk()
    assert holdings() == before
    assert not hasattr(xdk.streaming, name)


# Live: the official client against the simulator


def arguments_of(method: Callable[..., Any]) -> dict[str, Any]:
    """Whatever the method insists on, and those fields it lets a caller choose."""
    parameters = inspect.signature(method).parameters
    required = {
        name: 1 for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty
    }
    chosen = {name: value for name, value in FIELDS.items() if name in parameters}
    if "like_with_tweet_author_fields" in parameters:
        chosen["expansions"] = ["liked_tweet_id"]  # likes have expansions of their own
    return {**required, **chosen}


def query_of(arguments: dict[str, Any]) -> dict[str, str]:
    """What such arguments look like to the server."""
    return {
        name.replace("_fields", ".fields"): ",".join(value) if isinstance(value, list) else str(value)
        for name, value in arguments.items()
    }


def model_of(method: Callable[..., Any]) -> Any:
    """The model that the method's annotation promises."""
    promised = re.fullmatch(r"Generator\[(\w+), None, None]", inspect.signature(method).return_annotation)
    assert promised is not None
    return getattr(xdk.stream.client, promised[1])


def test_the_official_client_has_fifteen_streaming_methods_all_in_one_place() -> None:
    official = xdk.Client()
    official.session.close()
    found = [
        (place, name)
        for place, part in vars(official).items()
        for name, method in inspect.getmembers(part, inspect.ismethod)
        if "stream_config" in inspect.signature(method).parameters
    ]
    assert sorted(found) == [("stream", name) for name in METHODS]
    assert len(METHODS) == 15


def test_some_of_the_fifteen_take_a_partition_and_some_take_fields() -> None:
    taken = [arguments_of(getattr(xdk.stream.client.StreamClient, name)) for name in METHODS]
    assert sum("partition" in arguments for arguments in taken) == 10
    assert sum("tweet_fields" in arguments for arguments in taken) == 10


@pytest.mark.parametrize("name", METHODS)
def test_each_streaming_method_of_xdk_runs_through_this_package_over_an_end_and_a_reset(
    name: str, patch: Callable[[], Callable[[], None]], client: Callable[..., Any]
) -> None:
    patch()
    changes: list[Transition] = []
    losses: list[Exception | None] = []
    config = xdk.StreamConfig(
        initial_backoff=0.0, on_state_change=changes.append, on_disconnect=losses.append
    )
    script: list[Script] = [(Serve(2), End()), (Serve(2), Reset())]
    with Simulator(rate=0, token="a-token", script=script, then=(Serve(2), Stall())) as simulator:
        method = getattr(client(simulator).stream, name)
        arguments = arguments_of(method)
        stream = method(**arguments, stream_config=config)
        items = [next(stream) for _ in range(6)]
        running = stream.gi_yieldfrom.gi_code
        stream.close()

    assert running is xdk_streaming.stream_with_retry.__code__
    assert [change.trigger for change in changes] == [
        *(Trigger.START, Trigger.OPENED, Trigger.ENDED),
        *(Trigger.RETRY, Trigger.WAITED, Trigger.OPENED, Trigger.BROKE),
        *(Trigger.RETRY, Trigger.WAITED, Trigger.OPENED, Trigger.STOP),
    ]
    assert [isinstance(loss, Exception) for loss in losses] == [False, True, False]
    (path,) = {visit.path for visit in simulator.requests}
    assert [visit.params for visit in simulator.requests] == [query_of(arguments)] * 3
    model = model_of(method)
    assert {type(item) for item in items} == {model}
    assert items == [
        model.model_validate_json(simulator.item(sent.number, ENDPOINTS[path], query_of(arguments))[0])
        for sent in simulator.log
        if sent.whole
    ]


def test_fields_asked_for_through_xdk_arrive_in_its_models(
    patch: Callable[[], Callable[[], None]], client: Callable[..., Any]
) -> None:
    patch()
    with Simulator(rate=0, then=(Serve(1), Stall())) as simulator:
        stream = client(simulator).stream.posts_firehose(
            partition=20, tweet_fields=["created_at", "lang"], expansions=["author_id"]
        )
        item = next(stream)
        stream.close()
    assert item.data.id == simulator.log[0].id
    assert item.data.created_at is not None
    assert item.data.lang is not None
    assert item.includes.users[0].id == item.data.author_id


def test_user_code_catches_our_error_by_the_name_it_imported_from_xdk(
    user: ModuleType, patch: Callable[[], Callable[[], None]], client: Callable[..., Any]
) -> None:
    patch()
    with Simulator(token="the right one") as simulator:
        outcome = user.outcome(client(simulator, token="a wrong one").stream.posts())
    assert type(outcome) is xdk_streaming.StreamError
    assert outcome.error_type is StreamErrorType.AUTHENTICATION_ERROR is user.Kind.AUTHENTICATION_ERROR
    assert outcome.status_code == 401
    assert len(simulator.requests) == 1


def test_a_refused_partition_raises_our_error_with_what_the_server_said(
    user: ModuleType, patch: Callable[[], Callable[[], None]], client: Callable[..., Any]
) -> None:
    patch()
    with Simulator() as simulator:
        outcome = user.outcome(client(simulator).stream.posts_sample10(partition=3))
    assert type(outcome) is xdk_streaming.StreamError
    assert (outcome.error_type, outcome.status_code) == (StreamErrorType.CLIENT_ERROR, 400)
    assert "partition" in str(outcome.response_body)


def test_after_the_undo_xdk_streams_by_itself_again(
    user: ModuleType, patch: Callable[[], Callable[[], None]], client: Callable[..., Any]
) -> None:
    patch()()
    with Simulator(token="the right one") as simulator:
        outcome = user.outcome(client(simulator, token="a wrong one").stream.posts())
    assert type(outcome) is ORIGINALS["StreamError"]


def test_a_stream_that_runs_when_the_patch_is_undone_goes_on_with_ours(
    patch: Callable[[], Callable[[], None]], client: Callable[..., Any]
) -> None:
    undo = patch()
    changes: list[Transition] = []
    config = xdk.StreamConfig(initial_backoff=0.0, on_state_change=changes.append)
    with Simulator(rate=0, script=[(Serve(1), End())], then=(Serve(1), Stall())) as simulator:
        stream = client(simulator).stream.posts(stream_config=config)
        first = next(stream)
        undo()
        second = next(stream)
        stream.close()
    assert [first.data.id, second.data.id] == [sent.id for sent in simulator.log]
    assert changes[-1].trigger is Trigger.STOP


# What the original loses


def test_a_whole_post_beside_a_partial_error_comes_from_the_official_client(
    patch: Callable[[], Callable[[], None]], client: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    error = {
        "title": "Not Found Error",
        "detail": "Could not find user with author_id: [5].",
        "type": "https://api.twitter.com/2/problems/resource-not-found",
        "resource_type": "user",
        "resource_id": "5",
        "parameter": "author_id",
        "value": "5",
    }
    line = json.dumps({"data": {"id": "1", "text": "whole"}, "errors": [error]}).encode() + b"\n"
    patch()
    with Simulator(script=[(Send(line), End())], then=(Refuse(401),)) as simulator:
        posts = client(simulator).stream.posts_sample()
        assert next(posts).data.id == "1"
        posts.close()
    assert "no item" in caplog.text
    assert "errors" in caplog.text
