"""Tests run on a machine without a network; on one that has it, this is what keeps them honest."""

import socket

import pytest


@pytest.mark.parametrize("host", ["192.0.2.1", "example.org"])  # kept free for documentation (RFC 5737, 2606)
def test_another_machine_is_not_reached(host):
    with pytest.raises(RuntimeError, match="tests use no network"):
        socket.create_connection((host, 80), timeout=1)


def test_this_machine_is():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=1).close()
