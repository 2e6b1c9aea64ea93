"""MANSCDP, the XML command set of GB/T 28181, annex A."""
