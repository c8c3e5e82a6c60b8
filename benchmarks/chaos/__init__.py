"""Every fault of the catalogue, over and over, on one stream: is each post delivered exactly once?

    make chaos

The simulator runs in a process of its own (`publisher`) and publishes posts whether anybody listens or
not; each connection is lost to the next fault of the catalogue at a random moment, at a random byte of a
post where the fault can fall there. The client is a process of its own, too (`consumer`), and writes
down what it gets: it is killed with SIGKILL, restarted on its checkpoint, and restarted as well where an
error that no retry can cure ends its stream. At the end what was published is held against what
arrived (`account`).

Waits that a server asks for are cut short, for the simulator does not insist on them; else this would
take days.
"""
