"""Bytes to messages and back. RFC layouts only: no state, no I/O, no clock.

Importing the package declares every message and option, so that the registries are complete for whoever decodes.
"""

from unwired.wire import rfc4283, rfc4285, rfc5142, rfc5555, rfc5844, rfc6275

__all__ = ["rfc4283", "rfc4285", "rfc5142", "rfc5555", "rfc5844", "rfc6275"]
