"""Advice of the library in terms of the command line: verbs in place of HTTP requests."""

from __future__ import annotations

from xdk_streaming.wire.verdicts import ADD_A_RULE, ISSUES, MEND_THE_RULES

BY_ADVICE = {
    ISSUES["TooManyConnections"].advice: (
        "`xdk-streaming connections list` shows them, and `xdk-streaming connections kill` closes them; "
        "or wait for X to notice that one is gone"
    ),
    ADD_A_RULE.advice: "add one with `xdk-streaming rules add 'cats'`",
    MEND_THE_RULES.advice: (
        "`xdk-streaming rules list` shows the rules, and `xdk-streaming rules delete` deletes the bad ones"
    ),
}


def for_command_line(words: str) -> str:
    """A message with the advice that a user of the command line can follow."""
    for advice, verbs in BY_ADVICE.items():
        words = words.replace(advice, verbs)
    return words
