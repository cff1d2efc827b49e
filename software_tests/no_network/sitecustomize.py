"""Refuse every connection beyond loopback, in the test process and in those that it starts."""

import socket

_connect, _getaddrinfo = socket.socket.connect, socket.getaddrinfo
_LOOPBACK = ("127.", "::1", "localhost")


def _is_near(host):
    return not isinstance(host, str) or host == "" or host.startswith(_LOOPBACK)


def connect(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_near(address[0]):
        raise OSError(f"tests must not reach the network: {address}")
    return _connect(self, address)


def getaddrinfo(host, *args, **kwargs):
    host_text = host.decode() if isinstance(host, bytes) else host
    if host_text is not None and not _is_near(host_text):
        raise OSError(f"tests must not reach the network: {host_text}")
    return _getaddrinfo(host, *args, **kwargs)


socket.socket.connect = connect
socket.getaddrinfo = getaddrinfo
