"""A bare UDP echo in Python: ``python -m unwired.bench.udp_echo ADDRESS PORT``."""

import socket
import sys


def main() -> None:
    address, port = sys.argv[1:]
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as echo:
        echo.setsockopt(socket.SOL_SOCKET, 33, 1 << 26)  # SO_RCVBUFFORCE
        echo.bind((address, int(port)))
        print("ready", flush=True)
        while True:
            data, peer = echo.recvfrom(2048)
            echo.sendto(data, peer)


if __name__ == "__main__":
    main()
