"""Free TCP ports of 127.0.0.1, each handed out once among all programs that ask here."""

import random
import socket

# Held while this program lives: a name in the kernel that says who has been given which port.
_claims = []


def taken(port):
    """Whether somebody listens on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def claim(port):
    """Takes the port for this program; False when somebody has it or was given it."""
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0warren-port-{port}")
    except OSError:
        name.close()
        return False
    if taken(port):
        name.close()
        return False
    _claims.append(name)
    return True


def claim_from(port):
    """Takes the first free port from this one on."""
    for candidate in range(port, 65536):
        if claim(candidate):
            return candidate
    raise OSError(f"no port from {port} on is free")


def claim_any():
    """Takes a free port that the kernel never gives to outgoing connections by itself.

    A client that reconnects to a port of that kind while nobody listens may meet itself there.
    """
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as setting:
        first_outgoing = int(setting.read().split()[0])
    candidates = range(10000, first_outgoing) if first_outgoing > 12000 else range(10000, 65536)
    for _ in range(1000):
        port = random.choice(candidates)
        if claim(port):
            return port
    raise OSError("no port is free")
