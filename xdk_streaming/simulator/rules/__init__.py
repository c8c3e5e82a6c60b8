"""The rules of the filtered stream: what they mean, and the book in which an app's are kept."""
