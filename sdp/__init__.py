"""SDP as GB/T 28181 uses it (RFC 8866 with the standard's y= and f= lines)."""
