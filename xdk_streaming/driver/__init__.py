"""The loop: do the I/O, tell the machine what happened, yield the items, always clean up."""
