"""An app's access: which token is accepted, and whether past items may be requested."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xdk_streaming.simulator.parameters import forbid_parameters
from xdk_streaming.x import Endpoint


@dataclass(frozen=True)
class Access:
    """One app's access. If `token` is None, any bearer token is accepted."""

    token: str | None = None
    entitled: bool = True
    """Whether the app may request backfill and recovery."""

    def accepts(self, authorization: str) -> bool:
        """Whether a request with this Authorization header is accepted."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return False
        return self.token is None or hmac.compare_digest(
            token.strip().encode("latin-1"),  # http.server decodes headers as Latin-1
            self.token.encode(),
        )

    def forbids(self, endpoint: Endpoint, params: Mapping[str, str]) -> dict[str, Any] | None:
        """The body of a 403 if the app is not entitled to what the parameters request; otherwise None."""
        return None if self.entitled else forbid_parameters(endpoint, params)
