"""What a user installs: built here, installed into an empty environment, and streamed with."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tarfile
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_string
from email.message import Message
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest

import xdk_streaming
from xdk_streaming.simulator import Serve, Simulator, Stall

ROOT = Path(__file__).resolve().parents[2]
NAME = f"xdk_streaming-{xdk_streaming.__version__}"
RUNTIME = {"requests", "urllib3", "transitions", "pydantic", "orjson"}
COMMAND_LINE = {"typer", "rich", "zstandard"}
TLS = {"trustme"}
FAST = {"zlib-ng"}

STREAM_ONCE = """
import json, sys
import requests
from xdk_streaming import stream_with_retry

with requests.Session() as session:
    session.trust_env = False
    session.headers["Authorization"] = "Bearer a-token"
    stream = stream_with_retry(session, "get", sys.argv[1])
    post = next(stream)
    stream.close()
print(json.dumps({"id": post["data"]["id"], "from": sys.modules["xdk_streaming"].__file__}))
"""

WHAT_IS_INSTALLED = """
import json
from importlib.metadata import distributions

print(json.dumps({found.name: found.requires or [] for found in distributions()}))
"""

PATCH_WITHOUT_XDK = """
from xdk_streaming import patch_xdk

try:
    patch_xdk()
except ImportError as error:
    print(error)
"""

WHAT_IS_LOADED = """
import sys
import xdk_streaming

print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@dataclass(frozen=True)
class Built:
    """A wheel and an sdist, and what they hold: names without the sdist's own folder."""

    wheel: Path
    sdist: Path

    def in_wheel(self) -> set[str]:
        with ZipFile(self.wheel) as archive:
            return set(archive.namelist())

    def read(self, name: str) -> str:
        with ZipFile(self.wheel) as archive:
            return archive.read(name).decode()

    def in_sdist(self) -> set[str]:
        with tarfile.open(self.sdist) as archive:
            return {str(PurePosixPath(member.name).relative_to(NAME)) for member in archive}

    def metadata(self) -> Message:
        return message_from_string(self.read(f"{NAME}.dist-info/METADATA"))


def build(source: Path, out: Path, *targets: str) -> None:
    wanted = [argument for target in targets for argument in ("--target", target)]
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(out), *wanted]
    run = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=50)
    assert run.returncode == 0, run.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    out = tmp_path_factory.mktemp("dist")
    build(ROOT, out, "wheel", "sdist")
    (wheel,) = out.glob("*.whl")
    (sdist,) = out.glob("*.tar.gz")
    return Built(wheel, sdist)


@pytest.fixture(scope="module")
def empty_environment(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of a virtual environment that holds the wheel, and what the wheel asks for."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-compile"]
    run = subprocess.run([*pip, str(built.wheel)], capture_output=True, text=True, timeout=50)
    assert run.returncode == 0, run.stderr
    return folder / "bin"


@pytest.fixture
def post_url() -> Iterator[tuple[Simulator, str]]:
    with Simulator(rate=0, then=(Serve(1), Stall())) as simulator:
        yield simulator, f"{simulator.url}/2/tweets/sample/stream"


def run_there(programs: Path, script: str, *arguments: str) -> str:
    """What the script prints, run by the environment's Python and isolated from everything around it."""
    command = [str(programs / "python"), "-I", "-W", "error", "-c", script, *arguments]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert run.returncode == 0, run.stderr
    return run.stdout


def project_name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found is not None
    return found[0].lower()


def imported_from_outside(sources: dict[str, str]) -> set[str]:
    """The distributions that these sources import, without the standard library and themselves."""
    found = set()
    for source in sources.values():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add((node.module or "").partition(".")[0])
    parts = {"pydantic_core": "pydantic"}  # each pydantic asks for exactly its own
    return {parts.get(name, name) for name in found - sys.stdlib_module_names - {"xdk_streaming"}}


# What is built


def test_the_wheel_holds_the_whole_package_and_nothing_else(built: Built) -> None:
    package = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "xdk_streaming").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    about = {f"{NAME}.dist-info/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")}
    assert built.in_wheel() == package | about | {f"{NAME}.dist-info/licenses/LICENSE"}


def test_the_wheel_tells_type_checkers_that_it_is_typed(built: Built) -> None:
    assert "xdk_streaming/py.typed" in built.in_wheel()


def test_the_wheel_holds_no_tests(built: Built) -> None:
    test_file = re.compile(r"(^|/)(tests/|test_|conftest)")
    assert [name for name in built.in_wheel() if test_file.search(name)] == []


def test_the_wheel_brings_the_command(built: Built) -> None:
    entry_points = built.read(f"{NAME}.dist-info/entry_points.txt")
    assert entry_points.split("\n")[:2] == [
        "[console_scripts]",
        "xdk-streaming = xdk_streaming.__main__:main",
    ]


def test_the_wheel_is_under_the_licence_it_carries(built: Built) -> None:
    licence = built.read(f"{NAME}.dist-info/licenses/LICENSE")
    assert built.metadata()["License-Expression"] == "MIT"
    assert licence == (ROOT / "LICENSE").read_text()
    assert licence.startswith("MIT License")


def test_the_wheel_says_its_version_and_on_which_pythons_it_runs(built: Built) -> None:
    metadata = built.metadata()
    assert metadata["Name"] == "xdk-streaming"
    assert metadata["Version"] == xdk_streaming.__version__
    assert metadata["Requires-Python"] == ">=3.10"


def test_the_wheel_asks_for_the_runtime_and_for_the_command_line_only_on_demand(built: Built) -> None:
    asked = built.metadata().get_all("Requires-Dist") or []
    extra = {project_name(requirement) for requirement in asked if "extra == " in requirement}
    always = {project_name(requirement) for requirement in asked if "extra ==" not in requirement}
    assert always == RUNTIME
    assert extra == COMMAND_LINE | TLS | FAST
    assert len(asked) == len(always) + len(extra)


def test_the_package_imports_exactly_what_it_asks_for(built: Built) -> None:
    sources = {name: built.read(name) for name in built.in_wheel() if name.endswith(".py")}
    command_line = {name: text for name, text in sources.items() if name.startswith("xdk_streaming/cli/")}
    library = {name: text for name, text in sources.items() if name not in command_line}
    # The entry point imports the command line, and with it the extra, only when it is called.
    # What type checkers need of it, pydantic brings along.
    assert imported_from_outside(library) == RUNTIME | {"typing_extensions"}
    assert COMMAND_LINE <= imported_from_outside(command_line) <= COMMAND_LINE | TLS | RUNTIME


def test_the_sdist_holds_what_building_and_testing_need(built: Built) -> None:
    pages = {"README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"}
    habits = {"pyproject.toml", "Makefile", ".gitignore", ".pre-commit-config.yaml", ".ci/run"}
    assert pages | habits <= built.in_sdist()
    folders = {name.partition("/")[0] for name in built.in_sdist() if "/" in name}
    assert {"xdk_streaming", "tests", "tools", "docs", "diagrams", "benchmarks"} <= folders


def test_the_sdist_holds_what_git_holds(built: Built) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=True)
    files = {name for name in run.stdout.splitlines() if (ROOT / name).exists()}
    assert built.in_sdist() == files | {"PKG-INFO"}


def test_neither_archive_holds_what_only_work_leaves_behind(built: Built) -> None:
    leavings = re.compile(r"(^|/)(\.(venv|git/|coverage|[a-z]+_cache)|__pycache__|dist/)|\.(pyc|whl)$")
    assert [name for name in built.in_sdist() | built.in_wheel() if leavings.search(name)] == []


def test_the_sdist_builds_the_same_wheel(built: Built, tmp_path: Path) -> None:
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    build(tmp_path / NAME, tmp_path / "dist", "wheel")
    (again,) = (tmp_path / "dist").glob("*.whl")
    assert again.name == built.wheel.name
    assert again.read_bytes() == built.wheel.read_bytes()


# What is installed


def test_an_empty_environment_with_the_wheel_streams_a_post(
    empty_environment: Path, post_url: tuple[Simulator, str]
) -> None:
    simulator, url = post_url
    told = json.loads(run_there(empty_environment, STREAM_ONCE, url))
    assert told["id"] == simulator.log[0].id
    assert Path(told["from"]).is_relative_to(empty_environment.parent)


def test_the_wheel_installs_what_it_asks_for_and_what_that_needs_and_no_more(empty_environment: Path) -> None:
    installed = {
        name.lower().replace("_", "-"): requires
        for name, requires in json.loads(run_there(empty_environment, WHAT_IS_INSTALLED)).items()
    }
    needed, open_ends = set[str](), {"xdk-streaming"}
    while open_ends:
        name = open_ends.pop()
        needed.add(name)
        wanted = {
            project_name(requirement).replace("_", "-")
            for requirement in installed[name]
            if "extra ==" not in requirement
        }
        open_ends |= (wanted & set(installed)) - needed
    assert set(installed) == needed
    assert set(installed) >= RUNTIME
    assert not set(installed) & {*COMMAND_LINE, "xdk"}


def test_the_command_without_its_extra_says_in_one_sentence_what_to_install(empty_environment: Path) -> None:
    command = [str(empty_environment / "xdk-streaming"), "demo"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert run.returncode == 1
    assert run.stdout == ""
    assert len(run.stderr.splitlines()) == 1
    assert "pip install 'xdk-streaming[cli]'" in run.stderr


def test_patching_an_xdk_that_is_not_installed_says_what_to_install(empty_environment: Path) -> None:
    assert "pip install xdk" in run_there(empty_environment, PATCH_WITHOUT_XDK)


# What is loaded


def test_importing_the_package_loads_neither_the_command_lines_libraries_nor_xdk() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(xdk_streaming.__file__).parents[1])}
    run = subprocess.run(
        [sys.executable, "-c", WHAT_IS_LOADED], env=environment, capture_output=True, text=True, timeout=30
    )
    assert run.returncode == 0, run.stderr
    loaded = set(run.stdout.split())
    assert loaded >= RUNTIME
    by_urllib3 = {"zstandard"}  # older versions of urllib3 import it if it is installed
    assert not loaded & ({*COMMAND_LINE, "click", "xdk"} - by_urllib3)
