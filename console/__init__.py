"""The web console: built static files and where they lie."""
