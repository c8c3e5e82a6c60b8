"""Keeps items from being lost or repeated when a connection or a process ends."""
