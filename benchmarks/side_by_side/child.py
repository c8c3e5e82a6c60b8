"""The measured process: one client, read on one thread; other threads watch it and ask it to stop.

Takes an `Order` as JSON on its command line. Writes a line when the client is about to connect.
After a line on stdin, asks the client to stop, and writes a `Report`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from .clients import CLIENTS, Client, Listener, Notebook
from .figures import Order, Report

STATM = Path("/proc/self/statm")
MIB = 2**20
TOO_MUCH = 400 * MIB
"""Memory growth in bytes at which a process is ended, to protect the machine."""
BETWEEN_LOOKS = 0.02


class Measured:
    """A running client."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._notebook = Notebook()
        logging.getLogger().addHandler(Listener(self._notebook))
        self._client: Client = CLIENTS[order.client](order, self._notebook)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._start = _resident()
        self._grown = 0
        self._ending = threading.Lock()

    def run(self) -> NoReturn:
        """Run until asked to stop."""
        threading.Thread(target=self._watch, daemon=True).start()
        print("started", flush=True)
        self._reader.start()
        sys.stdin.readline()
        ended = not self._reader.is_alive()
        self._notebook.closed = True
        asked = time.monotonic()
        threading.Thread(target=self._client.stop, daemon=True).start()  # the request itself may block
        self._reader.join(self._order.patience)
        stopped = None if ended or self._reader.is_alive() else time.monotonic() - asked
        self._report(ended=ended, stop=stopped)

    def _read(self) -> None:
        try:
            self._client.run()
        except Exception as error:  # noqa: BLE001 - users see any exception
            self._notebook.error("raised", error)

    def _watch(self) -> None:
        while self._start is not None:
            self._look()
            if self._grown > TOO_MUCH:
                self._report(overflow=True)
            time.sleep(BETWEEN_LOOKS)

    def _look(self) -> None:
        self._grown = max(self._grown, (_resident() or 0) - (self._start or 0))

    def _report(self, *, ended: bool = False, stop: float | None = None, overflow: bool = False) -> NoReturn:
        """Write the report, and exit without waiting for a client that does not stop."""
        with self._ending:
            memory = None if self._start is None else self._grown
            notebook = self._notebook
            report = Report(list(notebook.ids), list(notebook.told), memory, ended, stop, overflow)
            print(json.dumps(asdict(report)), flush=True)
            os._exit(0)


def _resident() -> int | None:
    """Bytes of memory in use, if the system reports them."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if STATM.exists() else None


if __name__ == "__main__":
    Measured(Order(**json.loads(sys.argv[1]))).run()
