"""Reading speed of this package, compared with peers and with the minimum cost of the work: `make bench`."""
