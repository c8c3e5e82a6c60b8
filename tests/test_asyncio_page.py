"""The page on asyncio says what the code does: its example runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

PAGE = (Path(__file__).parent.parent / "docs" / "asyncio.md").read_text(encoding="utf-8")


def test_the_example_forwards_posts_as_server_sent_events(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    shown = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=50,
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr == ""
    events = shown.stdout.strip().split("\n")
    assert len(events) == 3
    assert all(json.loads(event.removeprefix("data: "))["data"]["id"] for event in events)
