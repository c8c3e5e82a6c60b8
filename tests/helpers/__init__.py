"""What many tests share: servers and clients, streams and their consumers, a harness for the machine."""
