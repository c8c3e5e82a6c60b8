"""A verb's help: options in groups under headings, and examples at the end as they are typed."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

OTHERS = "Options"


class Verb(TyperCommand):
    """A verb of the command line."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, and options under the heading of their group."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                is_argument = parameter.param_type_name == "argument"
                heading = getattr(parameter, "rich_help_panel", None) or OTHERS
                sections.setdefault("Arguments" if is_argument else heading, []).append(record)
        others = sections.pop(OTHERS, None)
        if others is not None:  # --help among them, which belongs to the end
            sections[OTHERS] = others
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples, a line each."""
        if self.epilog:
            with formatter.section("Examples"):
                for line in self.epilog.splitlines():
                    formatter.write(f"  {line}\n")
