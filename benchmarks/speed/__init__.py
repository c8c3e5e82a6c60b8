"""How fast a stream is read, beside its peers and beside the least that the work can cost: `make bench`."""
