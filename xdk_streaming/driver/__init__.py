"""The loop: does the I/O, reports events to the machine, yields the items, and always cleans up."""
