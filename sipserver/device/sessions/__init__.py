"""Live view: one upstream session per channel and stream, its leases, its stages, its verdict."""
