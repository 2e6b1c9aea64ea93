"""The catalogue of a device or platform: codes, tree, assembly, differences."""
