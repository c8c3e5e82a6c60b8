"""A file of recorded lines (NDJSON), read by number. Holds the lines' places, not the lines."""

from __future__ import annotations

import threading
from array import array
from pathlib import Path


class Recording:
    """The items of a file, one a line; blank lines are skipped.

    Raises `OSError` where the file cannot be read, `ValueError` where it holds no line.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = Path(path).open("rb")  # noqa: SIM115 - kept open until close()
        self._lock = threading.Lock()
        self._places = array("Q")
        place = 0
        for line in self._file:
            if line.strip():
                self._places.append(place)
            place += len(line)
        if not self._places:
            self._file.close()
            raise ValueError(f"{path} holds no line to replay; expected one JSON object a line")

    def __len__(self) -> int:
        return len(self._places)

    def line(self, number: int) -> bytes:
        """The line of that number, 0-based, without its end."""
        with self._lock:
            self._file.seek(self._places[number])
            return self._file.readline().rstrip(b"\r\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
