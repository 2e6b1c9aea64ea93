"""The sans-IO core of SIP (RFC 3261): bytes and time in, bytes and events out."""
