"""Checks that each post is delivered exactly once, through every fault of the catalogue, again and again.

    make chaos

The simulator runs in its own process (`publisher`), and publishes posts whether or not a client is connected.
Each connection meets the next fault of the catalogue, at a random moment and, if possible, at a random byte
of a post. The client also runs in its own process (`consumer`), and records the posts that arrive. The client
is killed with SIGKILL and restarted from its checkpoint; it is also restarted after errors that no retry can
cure. At the end, the published posts are compared with the received ones (`account`).

Waits that a server asks for are shortened, because the simulator does not enforce them; otherwise a run would
take days.
"""
