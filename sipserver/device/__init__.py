"""GB/T 28181 services towards devices: registration, presence, queries, sessions."""
