"""The native media core."""
