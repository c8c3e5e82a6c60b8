"""Measurements: each module is a program. What may be claimed of the package's speed and conduct is here."""
