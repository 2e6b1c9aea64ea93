"""The conformance suite: its own strict reader, it grades any server."""
