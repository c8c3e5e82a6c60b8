"""Files that are no recordings of the kind that their names say: adding to them would destroy them."""

from __future__ import annotations

import errno
from pathlib import Path

from xdk_streaming.cli.recording.frames import CODECS, codec_of

SKIPPABLE = range(0x184D2A50, 0x184D2A60)
"""Numbers that begin a frame which readers of zstd skip."""


def refuse_foreign(beginning: bytes, path: Path) -> None:
    """Raise `OSError` if the file begins in a way in which no recording of this name begins."""
    if not beginning:
        return
    codec = codec_of(path)
    if codec is not None:
        begins = beginning.startswith(codec.magic[: len(beginning)])
        skipped = path.suffix.lower() == ".zst" and int.from_bytes(beginning[:4], "little") in SKIPPABLE
        if not (begins or skipped):
            raise OSError(errno.EINVAL, f"it exists, and is not a {path.suffix} file; name another file")
        return
    for suffix, other in CODECS.items():
        if beginning.startswith(other.magic):
            raise OSError(errno.EINVAL, f"it exists, and is a {suffix} file; name another file")
    if b"\0" in beginning[:512].rstrip(b"\0"):
        raise OSError(errno.EINVAL, "it exists, and is not a file of lines; name another file")
