"""The four clients, each driven as its own documentation shows, with its defaults but for what is said here.

Imported by the measured process. A library is imported when its client is made, so that it
weighs on no other's memory.
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
"""Things told that are kept: a storm tells thousands."""
LENGTH = 600


class Notebook:
    """What one client gave its user."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.told: list[Told] = []
        self.closed = False
        """The user wants to stop, and listens to nothing more."""

    def item(self, item: Any) -> None:
        """The client handed this over as an item."""
        data = item.get("data") if isinstance(item, dict) else None
        if isinstance(data, dict) and "id" in data:
            self.ids.append(str(data["id"]))
        elif item != {}:
            self.tell("an item", json.dumps(item, ensure_ascii=False))

    def tell(self, channel: str, text: str) -> None:
        """The client told this."""
        if not self.closed and len(self.told) < KEPT:
            self.told.append(Told(channel, text.replace(TOKEN, MASK)[:LENGTH]))

    def error(self, channel: str, error: BaseException | None) -> None:
        """The client gave this error, or None in the place of one."""
        self.tell(channel, "None" if error is None else f"{type(error).__name__}: {error}")


class Listener(logging.Handler):
    """What a program sees that configures no logging: warnings, and worse."""

    def __init__(self, notebook: Notebook) -> None:
        super().__init__(logging.WARNING)
        self._notebook = notebook

    def emit(self, record: logging.LogRecord) -> None:
        """Note it, with the exception where one is logged."""
        error = record.exc_info[1] if record.exc_info else None
        text = record.getMessage()
        self._notebook.tell("logged", f"{text}: {type(error).__name__}: {error}" if error else text)


class Client(Protocol):
    """One client."""

    def run(self) -> None:
        """Read the stream until it ends."""

    def stop(self) -> None:
        """Ask it to stop, from another thread."""


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
        """By the method that is made for it."""
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
        """There is no method for it: close what can be closed."""
        self._session.close()
        try:
            self._items.close()
        except ValueError:  # the generator is running, which is why it cannot be closed
            return


class Elsewhere(HTTPAdapter):
    """Takes requests to another server: tweepy has X's address built in."""

    def __init__(self, old: str, new: str) -> None:
        self._old, self._new = old, new
        super().__init__()

    def send(self, request: requests.PreparedRequest, *rest: Any, **more: Any) -> requests.Response:
        """As if it had been asked for there."""
        request.url = str(request.url).replace(self._old, self._new)
        return super().send(request, *rest, **more)


class Tweepy:
    """`tweepy.StreamingClient`; what it logs by default is what its user is told."""

    X = "https://api.twitter.com"

    def __init__(self, order: Order, notebook: Notebook) -> None:
        tweepy = importlib.import_module("tweepy")
        self._client = tweepy.StreamingClient(TOKEN)
        self._client.session.mount(self.X, Elsewhere(self.X, order.url))
        self._client.on_tweet = lambda tweet: notebook.item({"data": {"id": tweet.id}})

    def run(self) -> None:
        """On this thread."""
        self._client.sample()

    def stop(self) -> None:
        """By the method that is made for it."""
        self._client.disconnect()


class LaunchDarkly:
    """`ld_eventsource.SSEClient`, set to go on after errors, which it is not by default."""

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
        """Iterate over all it has to tell."""
        for action in self._client.all:
            if isinstance(action, self._fault):
                self._notebook.error("Fault", action.error)
            elif isinstance(action, self._event):
                self._take(action.data)

    def _take(self, text: str) -> None:
        """What its user would do with an event: it hands over text."""
        try:
            item = json.loads(text.lstrip("\ufeff"))
        except (ValueError, RecursionError):
            self._notebook.tell("an item", text)
        else:
            self._notebook.item(item)

    def stop(self) -> None:
        """By the method that is made for it."""
        self._client.close()


CLIENTS: Mapping[str, Callable[[Order, Notebook], Client]] = {
    "xdk_streaming": Ours,
    "xdk": Xdk,
    "tweepy": Tweepy,
    "launchdarkly-eventsource": LaunchDarkly,
}
"""By the name under which each is installed."""
