"""Runs the cases one after the other, and prints a line for each: `make intermediaries`."""

from __future__ import annotations

import logging
import sys
import time
import traceback

from helpers.namespaces import linked
from intermediaries.forward import FORWARD
from intermediaries.links import LINKS
from intermediaries.reverse import REVERSE


def can_link() -> bool:
    """Whether this system lets this process make network namespaces."""
    try:
        with linked():
            return True
    except (OSError, AssertionError, RuntimeError):
        return False


CASES = {**REVERSE, **FORWARD, **(LINKS if can_link() else {})}


def main() -> int:
    """Run all cases, or those whose names contain the argument."""
    logging.getLogger("xdk_streaming").setLevel(logging.CRITICAL)
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    failed, began = 0, time.monotonic()
    names = [name for name in CASES if wanted in name]
    for name in names:
        failed += not ran(name)
    if not can_link():
        print(f"NOT RUN: {len(LINKS)} cases of links, which want network namespaces: root on Linux")
    print(f"{len(names)} cases, {failed} failed, {time.monotonic() - began:.0f} s")
    return int(failed > 0)


def ran(name: str) -> bool:
    """Whether the case was as it should be. Prints its line, or why not."""
    began, complaint = time.monotonic(), ""
    try:
        seen: object = CASES[name]()
    except (AssertionError, RuntimeError, OSError):
        seen, complaint = "", traceback.format_exc()
    verdict = "FAILED" if complaint else "ok"
    print(f"{verdict:6}  {name:44} {time.monotonic() - began:4.1f} s  {seen}", flush=True)
    if complaint:
        print(complaint, file=sys.stderr, flush=True)
    return not complaint


if __name__ == "__main__":
    sys.exit(main())
