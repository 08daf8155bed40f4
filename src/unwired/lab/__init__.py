"""An emulated Internet in network namespaces, made from a scenario file."""
