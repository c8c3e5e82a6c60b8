from __future__ import annotations

import pickle
from typing import Any

import pytest
import requests

from xdk_streaming.errors import Problem, RetriesExhausted, StreamError, StreamErrorType

RETRYABLE = {
    "CONNECTION_ERROR": True,
    "TIMEOUT": True,
    "SERVER_ERROR": True,
    "RATE_LIMITED": True,
    "STREAM_INTERRUPTED": True,
    "AUTHENTICATION_ERROR": False,
    "CLIENT_ERROR": False,
    "FATAL_ERROR": False,
}

TOKEN = "AAAA-secret-token"


class TwoArguments(Exception):
    """Its class cannot be called with the text alone."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)

    def __str__(self) -> str:
        return "gone"


class Prefixed(Exception):
    """Its class can be called with the text alone, but says something else then."""

    def __init__(self, code: object) -> None:
        super().__init__(f"code {code}")


class Unspeakable(Exception):
    """Even its text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def nowhere_to_be_found(text: str = "gone") -> Exception:
    class Local(Exception):
        """No other process can import it."""

    return Local(text)


def unpicklable() -> Exception:
    class Unpicklable(Exception):
        def __reduce__(self) -> Any:
            raise RuntimeError("not me")

    return Unpicklable("gone")


def travelled(error: StreamError) -> StreamError:
    arrived = pickle.loads(pickle.dumps(error))
    assert isinstance(arrived, StreamError)
    return arrived


def caused_by(cause: Exception) -> StreamError:
    return StreamError("It broke.", StreamErrorType.STREAM_INTERRUPTED, cause)


# What the names and values are.


def test_there_are_the_eight_types_of_the_original_and_no_more() -> None:
    assert [member.name for member in StreamErrorType] == list(RETRYABLE)


@pytest.mark.parametrize("name", RETRYABLE)
def test_the_value_of_a_type_is_its_name_in_lower_case(name: str) -> None:
    assert StreamErrorType[name].value == name.lower()


@pytest.mark.parametrize(("name", "retryable"), RETRYABLE.items())
def test_the_type_alone_says_whether_a_retry_can_help(name: str, retryable: bool) -> None:
    assert StreamError("It broke.", StreamErrorType[name], status_code=503).is_retryable is retryable
    assert StreamError("It broke.", StreamErrorType[name], status_code=401).is_retryable is retryable


def test_the_five_arguments_can_be_given_by_position_in_the_originals_order() -> None:
    cause = OSError("gone")
    error = StreamError("It broke.", StreamErrorType.TIMEOUT, cause, 408, "a body")

    assert str(error) == "It broke."
    assert error.error_type is StreamErrorType.TIMEOUT
    assert error.original_exception is cause
    assert error.status_code == 408
    assert error.response_body == "a body"


def test_everything_but_message_and_type_is_none_unless_given() -> None:
    error = StreamError("It broke.", StreamErrorType.TIMEOUT)

    assert error.original_exception is None
    assert error.status_code is None
    assert error.response_body is None
    assert error.problem is None
    assert error.retry_after is None
    assert error.problem_kind is None


def test_ours_can_only_be_given_by_name() -> None:
    arguments: Any = ("It broke.", StreamErrorType.TIMEOUT, None, 408, "a body", None)
    with pytest.raises(TypeError):
        StreamError(*arguments)


def test_the_problem_kind_is_that_of_the_problem() -> None:
    problem = Problem("usage-capped", "Usage cap", "All posts of this month are used up.")
    assert StreamError("No.", StreamErrorType.CLIENT_ERROR, problem=problem).problem_kind == "usage-capped"


@pytest.mark.parametrize(
    ("fields", "issue"),
    [
        ({"disconnect_type": "SlowReader"}, "SlowReader"),
        ({"connection_issue": "TooManyConnections"}, "TooManyConnections"),
        ({"disconnect_type": "InternalError", "connection_issue": "TooManyConnections"}, "InternalError"),
        ({"disconnect_type": None, "connection_issue": "TooManyConnections"}, "TooManyConnections"),
        ({"disconnect_type": ["SlowReader"]}, ""),
        ({"connection_issue": 5}, ""),
        ({}, ""),
    ],
    ids=str,
)
def test_the_issue_of_a_problem_is_xs_word_for_the_cause(fields: dict[str, object], issue: str) -> None:
    assert Problem("a-kind", "A title", "", fields).issue == issue


def test_a_problem_does_not_show_its_raw_fields_in_its_repr() -> None:
    problem = Problem("usage-capped", "Usage cap", "All used up.", {"account_id": "a-secret"})
    assert "a-secret" not in repr(problem)
    assert problem.fields == {"account_id": "a-secret"}


def test_exhausted_retries_are_a_stream_error() -> None:
    assert issubclass(RetriesExhausted, StreamError)
    assert RetriesExhausted("Enough.", StreamErrorType.FATAL_ERROR).is_retryable is False


# What is left of an error that was pickled.


@pytest.mark.parametrize("kind", [StreamError, RetriesExhausted])
def test_pickling_keeps_the_class_and_every_field(kind: type[StreamError]) -> None:
    problem = Problem("rate-limit", "Too many", "Wait a little.", {"type": "about:rate-limit", "n": 3})
    error = kind(
        "X asks for a pause.",
        StreamErrorType.RATE_LIMITED,
        ConnectionResetError("Connection reset by peer"),
        429,
        '{"title":"Too many"}',
        problem=problem,
        retry_after=12.5,
    )
    arrived = travelled(error)

    assert type(arrived) is kind
    assert str(arrived) == "X asks for a pause."
    assert arrived.error_type is StreamErrorType.RATE_LIMITED
    assert type(arrived.original_exception) is ConnectionResetError
    assert str(arrived.original_exception) == "Connection reset by peer"
    assert arrived.status_code == 429
    assert arrived.response_body == '{"title":"Too many"}'
    assert arrived.problem == problem
    assert arrived.problem.fields == {"type": "about:rate-limit", "n": 3}
    assert arrived.retry_after == 12.5


def test_pickling_an_error_without_a_cause_invents_none() -> None:
    assert travelled(StreamError("It broke.", StreamErrorType.TIMEOUT)).original_exception is None


@pytest.mark.parametrize(
    "cause",
    [TwoArguments(410, "gone"), nowhere_to_be_found(), unpicklable()],
    ids=["constructor", "local class", "reducer"],
)
def test_a_cause_that_cannot_be_rebuilt_pickles_as_class_name_and_text(cause: Exception) -> None:
    arrived = travelled(caused_by(cause)).original_exception

    assert type(arrived) is Exception
    assert str(arrived) == f"{type(cause).__name__}: gone"


@pytest.mark.parametrize(
    "cause",
    [ConnectionResetError(104, "Connection reset by peer"), KeyError("data"), Prefixed(410)],
    ids=lambda cause: type(cause).__name__,
)
def test_a_cause_says_the_same_after_the_journey(cause: Exception) -> None:
    arrived = travelled(travelled(caused_by(cause)))

    said = str(arrived.original_exception)
    assert said == str(cause) or said.endswith(f": {cause}")
    assert said.count("code") <= 1


def test_a_cause_that_says_nothing_and_cannot_be_rebuilt_travels_as_its_class_name() -> None:
    arrived = travelled(caused_by(nowhere_to_be_found("")))
    assert "Local" in str(arrived.original_exception)


def test_a_cause_without_words_does_not_keep_its_error_from_travelling() -> None:
    arrived = travelled(caused_by(Unspeakable()))

    assert str(arrived) == "It broke."
    assert "Unspeakable" in repr(arrived.original_exception)


def test_the_request_that_hangs_on_a_cause_stays_behind_with_its_token() -> None:
    request = requests.Request("GET", "https://api.x.com/2/tweets/sample/stream").prepare()
    request.headers["Authorization"] = f"Bearer {TOKEN}"
    response = requests.Response()
    response.request = request
    cause = requests.ConnectionError("Connection aborted.", request=request, response=response)
    assert TOKEN.encode() in pickle.dumps(cause.request)

    pickled = pickle.dumps(caused_by(cause))

    assert TOKEN.encode() not in pickled
    arrived = pickle.loads(pickled).original_exception
    assert type(arrived) is requests.ConnectionError
    assert str(arrived) == "Connection aborted."
    assert arrived.request is None
    assert cause.request is request
