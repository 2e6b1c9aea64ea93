"""The HTTP API: HTTP in, JSON out, and nothing of HTTP below it."""
