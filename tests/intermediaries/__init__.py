"""The package behind real proxies, reverse proxies and bad links: `make intermediaries`."""
