"""Bytes to messages and back. RFC layouts only: no state, no I/O, no clock."""
