"""What an app may do: with which token it comes in, and what of the past it may ask for."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xdk_streaming.simulator.parameters import forbid_parameters
from xdk_streaming.x import Endpoint


@dataclass(frozen=True)
class Access:
    """One app's access: any bearer token is taken if `token` is None."""

    token: str | None = None
    entitled: bool = True
    """Whether backfill and recovery may be asked for."""

    def accepts(self, authorization: str) -> bool:
        """Whether a request with this header is let in."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return False
        return self.token is None or hmac.compare_digest(
            token.strip().encode("latin-1"),  # as http.server has read the header
            self.token.encode(),
        )

    def forbids(self, endpoint: Endpoint, params: Mapping[str, str]) -> dict[str, Any] | None:
        """The body of the answer to an app that asks for what it is not entitled to; None if it is."""
        return None if self.entitled else forbid_parameters(endpoint, params)
