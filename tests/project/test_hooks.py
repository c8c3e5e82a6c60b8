"""The hooks for pre-commit: each is a program of the environment, and runs."""

from __future__ import annotations

import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
IDS = ("ruff-format", "ruff", "file-size", "prose")


@pytest.fixture(scope="module")
def hooks() -> dict[str, dict[str, Any]]:
    yaml = pytest.importorskip("yaml", reason="pre-commit is not installed: `make hooks` installs it")
    configuration = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in configuration["repos"]] == ["local"]
    return {hook["id"]: hook for hook in configuration["repos"][0]["hooks"]}


def test_every_hook_is_a_program_of_the_environment(hooks: dict[str, dict[str, Any]]) -> None:
    assert tuple(hooks) == IDS
    for hook in hooks.values():
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/")


@pytest.mark.parametrize("name", IDS)
def test_a_hook_runs(name: str, hooks: dict[str, dict[str, Any]]) -> None:
    program, *arguments = shlex.split(hooks[name]["entry"])
    found = PROGRAMS / Path(program).name
    if not found.exists() or (name == "prose" and not (PROGRAMS.parent / "textlint/installed").exists()):
        pytest.skip(f"{found.name} is not installed: `make hooks` installs it")
    if name == "file-size" and not (ROOT / ".git").exists():
        pytest.skip("this is no checkout, and the hook asks git")
    command = [str(found), *arguments, "tests/project/test_hooks.py"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_size_hook_objects_to_a_large_file(hooks: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    program = PROGRAMS / "check-added-large-files"
    if not program.exists():
        pytest.skip("pre-commit-hooks is not installed: `make hooks` installs it")
    (tmp_path / "large.bin").write_bytes(bytes(210 * 1024))
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True, timeout=20)
    command = [str(program), *shlex.split(hooks["file-size"]["entry"])[1:], "large.bin"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50)
    assert run.returncode == 1
    assert "large.bin (210 KB) exceeds 200 KB" in run.stdout


def test_pre_commit_accepts_the_configuration() -> None:
    if find_spec("pre_commit") is None:
        pytest.skip("pre-commit is not installed: `make hooks` installs it")
    command = [sys.executable, "-m", "pre_commit", "validate-config", ".pre-commit-config.yaml"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert run.returncode == 0, run.stdout + run.stderr
