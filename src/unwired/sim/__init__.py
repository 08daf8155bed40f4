"""The engines under a virtual clock, joined by a network in memory: what happens is decided by a seed alone."""
