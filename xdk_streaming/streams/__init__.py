"""The public streams: the classes `Stream` and `AsyncStream`, and a function for each."""
