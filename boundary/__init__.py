"""Boundary access: what may cross between networks, and why."""
