"""The daemon around an engine: loop, punt device, sockets, netlink, timers, signals, control socket."""
