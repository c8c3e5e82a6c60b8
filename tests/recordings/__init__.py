"""Recordings in any state, continued by the recorder and read by other programs."""
