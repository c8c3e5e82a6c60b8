"""What may happen: the transition table, its execution, its pictures. No socket, no clock, no sleep."""
