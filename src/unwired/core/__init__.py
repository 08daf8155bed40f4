"""The protocol engines, one module per role: deterministic, no sockets, no clock, no randomness, no logging."""
