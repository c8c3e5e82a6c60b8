"""The four clients, each used as its documentation shows, with its defaults except as noted here.

Imported by the measured process. A library is imported when its client is made, so that only the
measured client takes memory.
"""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import requests
from requests.adapters import HTTPAdapter

from .figures import Order, Told

PATH = "/2/tweets/sample/stream"
TOKEN = "token-of-the-benchmark"
MASK = "[token]"
KEPT = 30
"""The most reports to keep: endless reconnects cause thousands."""
LENGTH = 600


class Notebook:
    """Everything that one client reported to its user."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.told: list[Told] = []
        self.closed = False
        """Stop recording: the user wants to stop."""

    def item(self, item: Any) -> None:
        """Record an object that the client yielded as an item."""
        data = item.get("data") if isinstance(item, dict) else None
        if isinstance(data, dict) and "id" in data:
            self.ids.append(str(data["id"]))
        elif item != {}:
            self.tell("an item", json.dumps(item, ensure_ascii=False))

    def tell(self, channel: str, text: str) -> None:
        """Record something that the client reported."""
        if not self.closed and len(self.told) < KEPT:
            self.told.append(Told(channel, text.replace(TOKEN, MASK)[:LENGTH]))

    def error(self, channel: str, error: BaseException | None) -> None:
        """Record an error, or None if the client gave none."""
        self.tell(channel, "None" if error is None else f"{type(error).__name__}: {error}")


class Listener(logging.Handler):
    """The log as a program without logging configuration sees it: warnings and above."""

    def __init__(self, notebook: Notebook) -> None:
        super().__init__(logging.WARNING)
        self._notebook = notebook

    def emit(self, record: logging.LogRecord) -> None:
        """Record a log message, with the exception if there is one."""
        error = record.exc_info[1] if record.exc_info else None
        text = record.getMessage()
        self._notebook.tell("logged", f"{text}: {type(error).__name__}: {error}" if error else text)


class Client(Protocol):
    """One client."""

    def run(self) -> None:
        """Read the stream until it ends."""

    def stop(self) -> None:
        """Ask the client to stop, from another thread."""


class Ours:
    """`xdk_streaming.Stream`, with all its callbacks."""

    def __init__(self, order: Order, notebook: Notebook) -> None:
        from xdk_streaming import Stream, StreamConfig

        settings: dict[str, Any] = {"stall_timeout": order.silence, "max_item_bytes": order.longest}
        config = StreamConfig(
            on_error=lambda error: notebook.error("on_error", error),
            on_disconnect=lambda error: notebook.error("on_disconnect", error),
            on_reconnect=lambda attempt, delay: notebook.tell("on_reconnect", f"{attempt}, {delay:.2f} s"),
            on_invalid=lambda _line, reason: notebook.tell("on_invalid", reason),
            on_notice=lambda notice: notebook.tell("on_notice", json.dumps(notice)),
            **{name: value for name, value in settings.items() if value is not None},
        )
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        self._notebook = notebook
        self._stream: Stream[dict[str, Any]] = Stream(session, "get", order.url + PATH, config)

    def run(self) -> None:
        """Iterate."""
        for item in self._stream:
            self._notebook.item(item)

    def stop(self) -> None:
        """Stop by the client's own method."""
        self._stream.stop()


class Xdk:
    """`xdk.streaming.stream_with_retry`, with its callbacks; without a model, so items are dicts."""

    def __init__(self, order: Order, notebook: Notebook) -> None:
        xdk = importlib.import_module("xdk.streaming")
        config = xdk.StreamConfig(
            on_error=lambda error: notebook.error("on_error", error),
            on_disconnect=lambda error: notebook.error("on_disconnect", error),
            on_reconnect=lambda attempt, delay: notebook.tell("on_reconnect", f"{attempt}, {delay:.2f} s"),
            timeout=order.silence,
        )
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {TOKEN}"
        self._notebook = notebook
        self._items = xdk.stream_with_retry(self._session, "get", order.url + PATH, config)

    def run(self) -> None:
        """Iterate."""
        for item in self._items:
            self._notebook.item(item)

    def stop(self) -> None:
        """Close everything that can be closed: xdk has no method to stop."""
        self._session.close()
        try:
            self._items.close()
        except ValueError:  # a running generator cannot be closed
            return


class Elsewhere(HTTPAdapter):
    """Redirects requests to another server, because X's address is built into tweepy."""

    def __init__(self, old: str, new: str) -> None:
        self._old, self._new = old, new
        super().__init__()

    def send(self, request: requests.PreparedRequest, *rest: Any, **more: Any) -> requests.Response:
        """Send the request to the other server."""
        request.url = str(request.url).replace(self._old, self._new)
        return super().send(request, *rest, **more)


class Tweepy:
    """`tweepy.StreamingClient`, which reports to its user by logging."""

    X = "https://api.twitter.com"

    def __init__(self, order: Order, notebook: Notebook) -> None:
        tweepy = importlib.import_module("tweepy")
        self._client = tweepy.StreamingClient(TOKEN)
        self._client.session.mount(self.X, Elsewhere(self.X, order.url))
        self._client.on_tweet = lambda tweet: notebook.item({"data": {"id": tweet.id}})

    def run(self) -> None:
        """Read on this thread."""
        self._client.sample()

    def stop(self) -> None:
        """Stop by the client's own method."""
        self._client.disconnect()


class LaunchDarkly:
    """`ld_eventsource.SSEClient`, set to continue after errors, which is not its default."""

    def __init__(self, order: Order, notebook: Notebook) -> None:
        source = importlib.import_module("ld_eventsource")
        config = importlib.import_module("ld_eventsource.config")
        actions = importlib.import_module("ld_eventsource.actions")
        timeout = importlib.import_module("urllib3").Timeout(read=order.silence)
        self._client = source.SSEClient(
            config.ConnectStrategy.http(
                order.url + PATH,
                headers={"Authorization": f"Bearer {TOKEN}"},
                urllib3_request_options={"timeout": timeout} if order.silence else None,
            ),
            error_strategy=config.ErrorStrategy.always_continue(),
        )
        self._event, self._fault = actions.Event, actions.Fault
        self._notebook = notebook

    def run(self) -> None:
        """Iterate over all events."""
        for action in self._client.all:
            if isinstance(action, self._fault):
                self._notebook.error("Fault", action.error)
            elif isinstance(action, self._event):
                self._take(action.data)

    def _take(self, text: str) -> None:
        """Handle an event as a user would: events contain text."""
        try:
            item = json.loads(text.lstrip("\ufeff"))
        except (ValueError, RecursionError):
            self._notebook.tell("an item", text)
        else:
            self._notebook.item(item)

    def stop(self) -> None:
        """Stop by the client's own method."""
        self._client.close()


CLIENTS: Mapping[str, Callable[[Order, Notebook], Client]] = {
    "xdk_streaming": Ours,
    "xdk": Xdk,
    "tweepy": Tweepy,
    "launchdarkly-eventsource": LaunchDarkly,
}
"""The clients, by distribution name."""
