"""Items a CPU second: this package beside `xdk`, on the same bytes, in one run.

Both hold a connection to one server, in another process, that sends posts as fast as they
are taken, one a chunk. They read in turns, a block of items each, and the order changes
every round, so that whatever else the machine does falls on both. Only the ratio means
anything elsewhere.
"""

from __future__ import annotations

import importlib
import multiprocessing
import socketserver
import time
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import orjson
import requests

from xdk_streaming import stream_with_retry
from xdk_streaming.simulator.endpoints import ENDPOINTS
from xdk_streaming.simulator.world.items import make_item

BLOCK = 2_000
ROUNDS = 12
POSTS = 500
FIELDS = {
    "tweet.fields": "author_id,created_at,lang,public_metrics,entities,conversation_id,context_annotations",
    "expansions": "author_id,referenced_tweets.id",
    "user.fields": "created_at,description,public_metrics,profile_image_url,verified",
}


def posts() -> bytes:
    """Some posts of real-looking size, each a line and a chunk."""
    endpoint = ENDPOINTS["/2/tweets/sample/stream"]
    lines = [
        orjson.dumps(make_item(endpoint, number, 1.7e9 + number, 0, FIELDS)) + b"\r\n"
        for number in range(POSTS)
    ]
    return b"".join(b"%x\r\n%b\r\n" % (len(line), line) for line in lines)


def serve(ready: Connection) -> None:
    """Send posts to whoever connects, without end."""
    body = posts()

    class Firehose(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            self.wfile.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            with suppress(OSError):  # the reader has had enough
                while True:
                    self.wfile.write(body)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Firehose) as server:
        server.daemon_threads = True
        ready.send((server.server_address[1], len(body) // POSTS))
        server.serve_forever()


def take(items: Iterator[Any], count: int) -> float:
    """CPU seconds that so many items cost."""
    started = time.process_time()
    for _ in range(count):
        next(items)
    return time.process_time() - started


def main() -> None:
    """Measure, and print the ratio."""
    theirs = importlib.import_module("xdk.streaming").stream_with_retry
    ours_end, child_end = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(child_end,), daemon=True)
    server.start()
    port, size = ours_end.recv()
    with requests.Session() as session:
        session.trust_env = False
        readers = {
            name: stream(session, "get", f"http://127.0.0.1:{port}/")
            for name, stream in {"xdk_streaming": stream_with_retry, "xdk": theirs}.items()
        }
        spent = dict.fromkeys(readers, 0.0)
        for items in readers.values():
            take(items, BLOCK)
        for number in range(ROUNDS):
            for name in sorted(readers, reverse=bool(number % 2)):
                spent[name] += take(readers[name], BLOCK)
            print(f"\rround {number + 1} of {ROUNDS}", end="", flush=True)
        for items in readers.values():
            items.close()
    server.terminate()
    server.join()
    print(f"\rposts of {size:,} bytes, one a chunk, {BLOCK * ROUNDS:,} each")
    for name, seconds in spent.items():
        print(f"{name:14} {BLOCK * ROUNDS / seconds:9,.0f} items a CPU second")
    print(f"{'ratio':14} {spent['xdk'] / spent['xdk_streaming']:9.2f}")


if __name__ == "__main__":
    main()
