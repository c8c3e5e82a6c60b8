"""What keeps items from being lost or repeated where connections, and processes, end."""
