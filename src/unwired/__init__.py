"""Unwired: IP mobility on a stock Linux kernel. One address, wherever you move."""

__version__ = "0.1.0"
