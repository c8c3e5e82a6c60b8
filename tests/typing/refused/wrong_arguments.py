"""Streams, sessions and machines that are made wrongly."""

import random

import requests

from xdk_streaming import Stream, StreamConfig, StreamState, stream_with_retry
from xdk_streaming.machine import TABLE, ConnectionMachine, Trigger, dot, mermaid
from xdk_streaming.simulator import Serve
from xdk_streaming.testing import FakeClock, ScriptedSession

session = requests.Session()
URL = "https://api.x.com/2/tweets/sample/stream"

Stream(session, "get")  # refused: no URL
stream_with_retry(session, URL)  # refused: no method
Stream("session", "get", URL)  # refused: a session
Stream(session, "get", URL, {"max_retries": 3})  # refused: a StreamConfig
Stream(session, "get", URL, params="a=b")  # refused: a mapping
Stream(session, "get", URL, response_model="Post")  # refused: a class, an adapter or a function
Stream(session, "get", URL, None, None, None, None, None, StreamState())  # refused: by name
Stream(session, "get", URL, clock=3.0)  # refused: a clock
Stream(session, "get", URL, rng=random.Random())  # refused: a function that gives a number
stream_with_retry(session, "get", URL, clock=FakeClock())  # refused: for that take Stream
print(Stream(session, "get", URL).connection)  # refused: it is called connection_state
Stream(session, "get", URL).send(None)  # refused: a stream is no generator
ScriptedSession([Serve(2)])  # refused: a script is a sequence of steps
ScriptedSession([(Serve(2),)], FakeClock())  # refused: by name
machine = ConnectionMachine(StreamConfig(), StreamState())
machine.fire(Trigger.START)  # refused: an Event
mermaid(machine.connection_state)  # refused: the table comes first
dot(TABLE, machine.connection_state)  # refused: by name
machine.connection_state = None  # refused: only the machine assigns it
