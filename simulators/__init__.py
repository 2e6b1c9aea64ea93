"""Simulated devices that speak the real protocol and send real media."""
