"""SIP signalling for GB/T 28181: protocol core, transport and device services."""
