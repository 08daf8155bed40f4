"""Traffic for the lab, one process each: a UDP probe that times every packet, a TCP stream whose every byte is checked.

Run as ``python -m unwired.lab.traffic KIND ...`` inside a node's namespace. Times are CLOCK_MONOTONIC nanoseconds,
which all namespaces of a host share. Start sinks before sources and stop sources before sinks: what is still on its way
when a sink stops counts as lost.
"""
