"""What the simulated world holds: posts and events, made on the spot, the same for the same seed."""
