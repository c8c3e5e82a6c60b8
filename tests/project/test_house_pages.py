"""The pages on the house say what the code says: names exist, and the example face works."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import requests

from test_architecture import MAY_IMPORT, ROOT
from xdk_streaming.driver.connection import Connection
from xdk_streaming.driver.producer import Producer
from xdk_streaming.machine.machine import ConnectionMachine
from xdk_streaming.recovery.store import Store
from xdk_streaming.recovery.tracker import Tracker
from xdk_streaming.simulator import Serve, Simulator
from xdk_streaming.streams.sync import Stream

DOCS = ROOT.parent / "docs"
ARCHITECTURE = (DOCS / "architecture.md").read_text(encoding="utf-8")
FACE = (DOCS / "writing-a-face.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [ARCHITECTURE, FACE], ids=["architecture", "writing a face"])
def test_every_file_that_a_page_names_exists(page: str) -> None:
    named = set(re.findall(r"`([a-z_/]+\.py)`", page))
    assert len(named) > 1
    missing = {name for name in named if not (ROOT.parent / name).exists() and not list(ROOT.rglob(name))}
    assert not missing
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", page):
        assert (DOCS / link).exists(), link


def test_the_packages_are_those_of_the_architecture_test() -> None:
    (drawn,) = re.findall(r"^xdk_streaming/\n(.*?)^```", ARCHITECTURE, re.DOTALL | re.MULTILINE)
    names = {
        word.rstrip("/")
        for line in drawn.splitlines()
        for word in re.split(r" {2,}", line.strip())[0].split()
    }
    assert names == MAY_IMPORT.keys() - {"__init__", "__main__"}


DOORS: dict[str, type[Any]] = {
    "tracker": Tracker,
    "connection": Connection,
    "producer": Producer,
    "store": Store,
    "machine": ConnectionMachine,
}


@pytest.mark.parametrize("name", DOORS)
def test_the_methods_of_an_interface_are_those_of_its_class(name: str) -> None:
    (row,) = re.findall(rf"^\| {name} \| [^|]+ \| ([^|]+) \|", ARCHITECTURE, re.MULTILINE)
    verbs = set(re.findall(r"`([a-z_]+)(?:\(.*?\))?`", row)) - {"connection_state", "failure", "history"}
    source = Path(inspect.getfile(DOORS[name])).read_text(encoding="utf-8")
    known = {*dir(DOORS[name]), *re.findall(r"self\.([a-z]\w*)", source)}
    assert verbs
    assert verbs <= known


def test_a_driver_that_reads_ahead_is_a_producer() -> None:
    verbs = {verb for verb in vars(Producer) if not verb.startswith("_")}
    stream = Stream[Any](requests.Session(), "get", "https://api.x.example/")
    assert verbs <= set(dir(stream._ahead))


def test_the_example_stream_works_over_a_real_socket() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", FACE, re.DOTALL | re.MULTILINE)
    space: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, "writing-a-face.md", "exec"), space)
    items: list[Any] = []
    with Simulator(script=[(Serve(3),), (Serve(2),)], rate=0) as simulator, requests.Session() as session:
        headers = {"Authorization": "Bearer t"}
        worker = space["Worker"](session, "get", f"{simulator.url}/2/tweets/sample/stream", headers=headers)

        def work(item: Any) -> None:
            items.append(item)
            if len(items) == 5:
                worker.stop()

        worker.run(work)
    assert len({item["data"]["id"] for item in items}) == 5
    assert not worker._threaded.running
