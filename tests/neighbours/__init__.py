"""The package beside other packages, each case a program of its own: `make neighbours`."""
