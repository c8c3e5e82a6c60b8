"""`python -m xdk_streaming`, and the console script `xdk-streaming`."""

import sys

EXTRA = {"typer", "rich", "click", "zstandard"}


def main() -> None:
    """Run the command line. If one of its libraries is missing, exit and say what to install."""
    try:
        from xdk_streaming.cli.app import app
    except ModuleNotFoundError as missing:
        if missing.name not in EXTRA:
            raise
        sys.exit(f"The command line needs {missing.name}; install it with: pip install 'xdk-streaming[cli]'")
    for stream in (sys.stdout, sys.stderr):
        # Posts hold what some terminals cannot show. On Windows a pipe or a file would get cp1252.
        encoding = "utf-8" if sys.platform == "win32" and not stream.isatty() else None
        stream.reconfigure(encoding=encoding, errors="replace")  # type: ignore[union-attr]  # it is a text file
    app(prog_name="xdk-streaming")


if __name__ == "__main__":
    main()
