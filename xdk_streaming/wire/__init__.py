"""Reads the bytes: HTTP, lines, items, and X's error bodies. No policy, no retry, no state."""
