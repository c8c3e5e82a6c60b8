"""The faces: `Stream`, `AsyncStream`, and the two functions that xdk.streaming has or would have."""
