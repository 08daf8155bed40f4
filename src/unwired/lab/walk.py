"""Which way packets go in a lab: the kernels' own answers, asked node after node.

Valid for one thread and for the moment: make one, ask, close it.
"""

import socket
from types import TracebackType

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from unwired.lab.namespace import Namespace

_RTN_LOCAL = 2
_HOPS_MAX = 40


class Walker:
    """``namespaces`` are those of the nodes, by name."""

    def __init__(self, namespaces: dict[str, Namespace]) -> None:
        self._handles: dict[str, IPRoute] = {}
        self._owners: dict[str, str] = {}
        try:
            for name, namespace in namespaces.items():
                with namespace.inside():
                    self._handles[name] = IPRoute()
                for message in self._handles[name].get_addr():
                    self._owners[str(message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS"))] = name
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Walker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for handle in self._handles.values():
            handle.close()

    def walk(
        self, start: str, destination: str, source: str | None = None, ends: frozenset[str] = frozenset()
    ) -> tuple[str, ...]:
        """The nodes from ``start`` to the one that has ``destination``, or to the first of ``ends`` on the way; as far
        as the routes lead. ``source`` is the address that the first node sends from."""
        path = [start]
        while len(path) < _HOPS_MAX and not (len(path) > 1 and path[-1] in ends):
            following = self._next(path[-1], destination, source if len(path) == 1 else None)
            if following is None or following == path[-1]:
                break
            path.append(following)
        return tuple(path)

    def _next(self, node: str, destination: str, source: str | None) -> str | None:
        wanted = {"dst": destination} if source is None else {"dst": destination, "src": source}
        family = socket.AF_INET6 if ":" in destination else socket.AF_INET
        try:
            routes = list(self._handles[node].route("get", family=family, **wanted))
        except NetlinkError:
            return None
        if not routes or routes[0]["type"] == _RTN_LOCAL:
            return None
        gateway = routes[0].get_attr("RTA_GATEWAY") or destination
        return self._owners.get(str(gateway))
