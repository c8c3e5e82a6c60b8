"""The program as typer has it, with error messages in plain words."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

PYDANTICS_WORDS = "Value error, "
"""What pydantic, with which typer reads values, puts before each of its messages."""


class Program(TyperGroup):
    """The verbs of the command line."""

    def invoke(self, ctx: Any) -> Any:
        """Run a verb. Raises what it raises, in plain words."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as refusal:
            refusal.message = refusal.message.removeprefix(PYDANTICS_WORDS)
            raise
