"""Refuse every connection beyond loopback, in the test process and in those that it starts."""

import functools
import socket

_LOOPBACK = ("127.", "::1", "localhost")
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def _refuse(host):
    host = host.decode() if isinstance(host, bytes) else host
    if isinstance(host, str) and host and not host.startswith(_LOOPBACK):
        raise OSError(f"tests must not reach the network: {host}")


def _guard_address(name):
    plain = getattr(socket.socket, name)

    @functools.wraps(plain)
    def guarded(self, *arguments):
        if self.family in _FAMILIES and isinstance(arguments[-1], tuple):
            _refuse(arguments[-1][0])
        return plain(self, *arguments)

    setattr(socket.socket, name, guarded)


def _guard_name(name):
    plain = getattr(socket, name)

    @functools.wraps(plain)
    def guarded(host, *args, **kwargs):
        _refuse(host)
        return plain(host, *args, **kwargs)

    setattr(socket, name, guarded)


for _name in ("connect", "connect_ex", "sendto"):
    _guard_address(_name)
for _name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
    _guard_name(_name)
