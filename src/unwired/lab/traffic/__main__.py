"""``python -m unwired.lab.traffic``: one traffic process; see ``--help`` of each kind."""

import argparse
from pathlib import Path

from unwired.lab.traffic import probe, stream


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m unwired.lab.traffic")
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind in ("udp-probe-source", "udp-probe-sink", "tcp-source", "tcp-sink"):
        options = kinds.add_parser(kind)
        options.add_argument("--bind", required=True, help="own address; the host need not have it all the time")
        options.add_argument("--port", type=int, required=kind.endswith("sink"), default=0, help="own port")
        options.add_argument("--log", type=Path, required=True, help="file to write, made anew")
        options.add_argument("--duration-s", type=float, help="stop by itself; default: on SIGTERM")
        if kind.endswith("source"):
            options.add_argument("--to", required=True, help="the sink's address")
            options.add_argument("--to-port", type=int, required=True)
        if kind == "udp-probe-source":
            options.add_argument("--interval-ms", type=float, default=10.0)
            options.add_argument("--size", type=int, default=64, help="bytes of UDP payload")
        if kind == "tcp-source":
            options.add_argument("--rate-bps", type=float, default=2e6, help="bits a second")
    given = parser.parse_args(arguments)
    if given.kind == "udp-probe-source":
        probe.run_source(
            given.bind,
            given.port,
            given.to,
            given.to_port,
            given.interval_ms / 1e3,
            given.size,
            given.duration_s,
            given.log,
        )
    elif given.kind == "udp-probe-sink":
        probe.run_sink(given.bind, given.port, given.duration_s, given.log)
    elif given.kind == "tcp-source":
        source = stream.TcpSource(given.bind, given.port, given.to, given.to_port, given.rate_bps, given.log)
        source.run(given.duration_s)
    else:
        stream.TcpSink(given.bind, given.port, given.log).run(given.duration_s)


if __name__ == "__main__":
    main()
