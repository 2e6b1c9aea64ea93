"""Platforms above and below us: registration upward, sharing, forwarding."""
