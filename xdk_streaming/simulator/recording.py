"""A file of recorded lines (NDJSON), read by number. Only the positions of the lines are kept in memory."""

from __future__ import annotations

import threading
from array import array
from pathlib import Path


class Recording:
    """The items of a file, one per line; blank lines are skipped.

    Raises `OSError` if the file cannot be read, `ValueError` if the file has no lines.
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
            raise ValueError(f"{path} has no lines to replay; expected one JSON object per line")

    def __len__(self) -> int:
        return len(self._places)

    def line(self, number: int) -> bytes:
        """The line with this number, counted from 0, without line end."""
        with self._lock:
            self._file.seek(self._places[number])
            return self._file.readline().rstrip(b"\r\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
