"""The guard refuses the network in this process, and lets loopback through."""

import socket

import pytest


@pytest.mark.parametrize("call", ["connect", "connect_ex"])
def test_no_connection_leaves_the_machine(call):
    with socket.socket() as one, pytest.raises(OSError, match="must not reach the network"):
        getattr(one, call)(("192.0.2.1", 80))


def test_no_datagram_leaves_the_machine():
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        pytest.raises(OSError, match="must not reach the network"),
    ):
        one.sendto(b"", ("192.0.2.1", 53))


@pytest.mark.parametrize("call", ["gethostbyname", "gethostbyname_ex"])
def test_no_name_is_looked_up(call):
    with pytest.raises(OSError, match="must not reach the network"):
        getattr(socket, call)("example.org")


def test_loopback_is_open():
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as client:
            assert client.getpeername() == server.getsockname()
