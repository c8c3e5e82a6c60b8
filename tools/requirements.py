"""Print what the project needs with all extras and a group: `requirements.py GROUP LEFT_OUT...`."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

project: dict[str, Any] = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
wanted, *left_out = sys.argv[1:]


def members(group: str) -> Iterator[str]:
    """The requirements of a group, those of the groups in it included."""
    for line in project["dependency-groups"][group]:
        yield from members(line["include-group"]) if isinstance(line, dict) else [line]


extras = project["project"]["optional-dependencies"].values()
for line in [
    *project["project"]["dependencies"],
    *(each for extra in extras for each in extra),
    *members(wanted),
]:
    if re.split(r"[^\w-]", line)[0] not in left_out:
        print(line)
