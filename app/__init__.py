"""The composition root: settings, wiring, command line, life cycle."""
