"""Recordings: files of lines to which a stream appends, and which other programs read."""
