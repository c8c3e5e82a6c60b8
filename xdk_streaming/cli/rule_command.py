"""A command whose arguments may begin with a dash, as rules of X do: `rules add -is:retweet`."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperOption


class RuleCommand(TyperCommand):
    """Takes what begins with a single dash and is none of its options for an argument."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the options first, and the arguments behind `--`."""
        takes_value = {
            name: not getattr(parameter, "is_flag", False)
            for parameter in self.get_params(ctx)
            if isinstance(parameter, TyperOption)
            for name in (*parameter.opts, *parameter.secondary_opts)
        }
        options: list[str] = []
        values: list[str] = []
        left = list(args)
        while left:
            each = left.pop(0)
            if each == "--":
                values += left
                break
            if each in takes_value:
                options.append(each)
                options += left[:1] if takes_value[each] else []
                left = left[1:] if takes_value[each] else left
            elif each.startswith("--"):
                options.append(each)
            else:
                values.append(each)
        return super().parse_args(ctx, [*options, "--", *values])
