"""What a simulator prints to be pasted into a shell."""

from __future__ import annotations

import shlex
from pathlib import Path

from xdk_streaming.cli.certificates import Secured
from xdk_streaming.cli.session import TOKEN_VARIABLES
from xdk_streaming.simulator import Simulator

SAMPLE = "/2/tweets/sample/stream"


class Pasted:
    """Lines to paste into a shell. A token stays in its file: it would be seen in the list of processes."""

    def __init__(self, simulator: Simulator, safe: Secured | None, token_file: Path | None) -> None:
        self._url = simulator.url
        self._ca_file = None if safe is None else safe.ca_file
        self._token_file = None if token_file is None else shlex.quote(str(token_file))

    def curl(self) -> str:
        """The sample, by curl."""
        trust = f"--cacert {shlex.quote(str(self._ca_file))} " if self._ca_file else ""
        if self._token_file is None:
            return f'curl -N {trust}-H "Authorization: Bearer any" {self._url}{SAMPLE}'
        header = f"printf 'Authorization: Bearer %s' \"$(cat {self._token_file})\""
        return f"{header} | curl -N {trust}-H @- {self._url}{SAMPLE}"

    def ours(self, *verb: str) -> str:
        """A verb of this command line."""
        words = ["xdk-streaming", *map(shlex.quote, verb), "--base-url", self._url]
        words += ["--ca-file", shlex.quote(str(self._ca_file))] if self._ca_file else []
        if self._token_file is None:
            return " ".join([f"{TOKEN_VARIABLES[0]}=any", *words])
        return " ".join([*words, "--bearer-token-file", self._token_file])
