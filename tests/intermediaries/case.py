"""What each case needs: an upstream, a stream that is watched for a while, and what was seen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import trustme

from xdk_streaming import Backoff, BackoffPolicy, Stream, StreamConfig, StreamError
from xdk_streaming.simulator import Simulator

PATH = "/2/tweets/sample/stream"
RATE = 20.0
PROMPT = 1.0
"""Seconds between two items, at most, of an upstream that sends twenty a second: room for a busy machine."""
SOON = Backoff(0.1)
CONFIG: dict[str, Any] = {"timeout": (3.0, 3.0), "max_retries": 5}


@dataclass
class Seen:
    """What a consumer saw of a stream."""

    items: int = 0
    connects: int = 0
    longest: float = 0.0
    """Seconds between two items, or to the first, at most."""
    errors: list[StreamError] = field(default_factory=list)
    final: StreamError | None = None

    def __str__(self) -> str:
        words = f"{self.items} items over {self.connects} connections, {self.longest:.2f} s apart at most"
        kinds = sorted({error.error_type.value for error in self.errors})
        return words + (f", errors: {', '.join(kinds)}" if kinds else "")

    def prompt(self) -> Seen:
        """Itself, if items came and came promptly."""
        assert self.items > 0, self
        assert self.longest < PROMPT, self
        return self

    def ended_with(self, kind: str, *words: str) -> Seen:
        """Itself, if this error came and says all of this."""
        errors = [*self.errors, *([self.final] if self.final else [])]
        texts = [str(error) for error in errors if error.error_type.value == kind]
        assert any(all(word in text for word in words) for text in texts), [str(each) for each in errors]
        return self


@contextmanager
def upstream(**settings: Any) -> Iterator[Simulator]:
    """The server behind the intermediary."""
    with Simulator(**{"rate": RATE, "heartbeat": 0.5, **settings}) as x:
        yield x


def session(**attributes: Any) -> requests.Session:
    """A session that ignores the environment."""
    made = requests.Session()
    made.trust_env = False
    made.headers["Authorization"] = "Bearer any-token"
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def watched(
    url: str, using: requests.Session, *, items: int = 30, seconds: float = 10.0, **settings: Any
) -> Seen:
    """Watch a stream for so many items or seconds, or until its end."""
    seen = Seen()

    def connected() -> None:
        seen.connects += 1

    config = StreamConfig(**{**CONFIG, "on_connect": connected, "on_error": seen.errors.append, **settings})
    config.backoff = BackoffPolicy(SOON, SOON, SOON, SOON)
    began = last = time.monotonic()
    try:
        with Stream(using, "get", url, config) as stream:
            for _ in stream:
                now = time.monotonic()
                seen.items, seen.longest, last = seen.items + 1, max(seen.longest, now - last), now
                if seen.items == items or now - began > seconds:
                    break
    except StreamError as error:
        seen.final = error
    return seen


def address_of(url: str) -> str:
    """Host and port of a URL."""
    return urlsplit(url).netloc


def certificate(into: Path, host: str = "127.0.0.1") -> tuple[Path, Path, Path]:
    """Files with a certificate for a host, its key, and the authority that signed it."""
    authority = trustme.CA()
    issued = authority.issue_cert(host, "localhost")
    names = chain, key, ca = into / "chain.pem", into / "key.pem", into / "ca.pem"
    chain.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    ca.write_bytes(authority.cert_pem.bytes())
    for name in names:
        name.chmod(0o644)
    return names
