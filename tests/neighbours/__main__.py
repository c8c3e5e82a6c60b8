"""Runs the cases, each in a process of its own, and prints a line for each: `make neighbours`."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from neighbours.runtimes import RUNTIMES
from neighbours.sessions import NIQUESTS, SESSIONS

ROOT = Path(__file__).parents[2]
CASES = {**SESSIONS, **RUNTIMES, **NIQUESTS}
FIRST = {
    "eventlet": "import eventlet; eventlet.monkey_patch()",
    "gevent": "import gevent.monkey; gevent.monkey.patch_all()",
}
"""What a program does before any other import."""
SECONDS = 60.0
"""For a case: whoever takes longer hangs."""


def main() -> int:
    """Run all cases: those with niquests by the interpreter that is the only argument."""
    (niquests,) = sys.argv[1:]
    failed = 0
    for name in CASES:
        failed += not ran(name, niquests if name in NIQUESTS else sys.executable)
    print(f"{len(CASES)} cases, {failed} failed")
    return int(failed > 0)


def ran(name: str, python: str) -> bool:
    """Whether the case was as it should be. Prints its line, or why not."""
    began = time.monotonic()
    program = f"from neighbours.__main__ import CASES; print(CASES[{name!r}]())"
    command = [python, "-W", "ignore", "-c", "\n".join([FIRST.get(name, ""), program])]
    try:
        case = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
        good, printed, complaint = case.returncode == 0, case.stdout, case.stderr
    except subprocess.TimeoutExpired:
        good, printed, complaint = False, "", f"it hung for {SECONDS:.0f} s"
    last = printed.strip().rpartition("\n")[2]
    print(f"{'ok' if good else 'FAILED':6}  {name:52} {time.monotonic() - began:5.1f} s  {last}", flush=True)
    if not good:
        print(complaint, file=sys.stderr)
    return good


if __name__ == "__main__":
    sys.exit(main())
