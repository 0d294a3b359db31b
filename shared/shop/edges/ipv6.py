"""Whether this machine, or container, can reach an IPv6 address at all; every default address is one."""

import errno
import re
import socket
from pathlib import Path

from shop.runtime.errors import UserError

SWITCH_ON = "sudo sysctl -w net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.lo.disable_ipv6=0"
ADDRESSES = Path("/proc/net/if_inet6")
LITERAL = re.compile(r"[0-9a-fA-F]*:[0-9a-fA-F:.]*:[0-9a-fA-F.]*")


def require(setting: str, value: str) -> None:
    """Raises UserError where the setting names an IPv6 address and IPv6 is off. Sends nothing."""
    for host in LITERAL.findall(value):
        if _is_off(host):
            raise UserError(
                f"IPv6 is off on this machine, and {setting} is {value}: switch it on ({SWITCH_ON}; where the kernel "
                "was started with ipv6.disable=1, start it without; for containers see docs/docker.md), or set "
                f"{setting} to an IPv4 address"
            )


def _is_off(host: str) -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.connect((host, 9))  # looks for a way and sends nothing
    except OSError as error:
        no_address = ADDRESSES.is_file() and not ADDRESSES.read_text()
        return no_address or error.errno in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}
    return False
