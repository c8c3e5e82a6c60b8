"""Shell commands that the simulator prints, ready to paste."""

from __future__ import annotations

import shlex
from pathlib import Path

from xdk_streaming.cli.certificates import TlsSetup
from xdk_streaming.cli.session import TOKEN_VARIABLES
from xdk_streaming.simulator import Simulator

SAMPLE_PATH = "/2/tweets/sample/stream"


class ShellCommands:
    """Commands to paste into a shell. The token stays in its file and out of the process list."""

    def __init__(self, simulator: Simulator, safe: TlsSetup | None, token_file: Path | None) -> None:
        self._url = simulator.url
        self._ca_file = None if safe is None else safe.ca_file
        self._token_file = None if token_file is None else shlex.quote(str(token_file))

    def curl(self) -> str:
        """A curl command that streams the sample."""
        trust = f"--cacert {shlex.quote(str(self._ca_file))} " if self._ca_file else ""
        if self._token_file is None:
            return f'curl -N {trust}-H "Authorization: Bearer any" {self._url}{SAMPLE_PATH}'
        header = f"printf 'Authorization: Bearer %s' \"$(cat {self._token_file})\""
        return f"{header} | curl -N {trust}-H @- {self._url}{SAMPLE_PATH}"

    def ours(self, *verb: str) -> str:
        """An xdk-streaming command with this verb."""
        words = ["xdk-streaming", *map(shlex.quote, verb), "--base-url", self._url]
        words += ["--ca-file", shlex.quote(str(self._ca_file))] if self._ca_file else []
        if self._token_file is None:
            return " ".join([f"{TOKEN_VARIABLES[0]}=any", *words])
        return " ".join([*words, "--bearer-token-file", self._token_file])
