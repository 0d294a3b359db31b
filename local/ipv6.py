"""Whether this machine has [::1], over which everything here talks; and what is off where it has not."""

import errno
import fcntl
import socket
import struct
from pathlib import Path

from local.errors import Refusal

LOOPBACK = "::1"
SIOCGIFFLAGS, IFF_UP = 0x8913, 1
SYSTEM = Path("/proc/sys/net/ipv6/conf")
LAST = "then try again (in a container: start it with IPv6)"


def require() -> None:
    """Raise Refusal that says what is off and how to switch it on."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind((LOOPBACK, 0))
    except OSError as error:
        raise Refusal(f"Everything here talks over IPv6, and {_what_is_off(error)}, {LAST}.") from None


def _what_is_off(error: OSError) -> str:
    if error.errno == errno.EAFNOSUPPORT:
        return (
            "this kernel has none: start it without ipv6.disable=1 (on its command line, see /proc/cmdline), "
            "or load its module (sudo modprobe ipv6)"
        )
    off = [name for name in ("all", "lo") if _read(SYSTEM / name / "disable_ipv6") == "1"]
    if off:
        settings = " ".join(f"net.ipv6.conf.{name}.disable_ipv6=0" for name in off)
        return f"it is switched off on this machine: switch it on (sudo sysctl -w {settings})"
    if not _loopback_is_up():
        return "the loopback of this machine is down: sudo ip link set lo up"
    return f"the loopback of this machine has no address {LOOPBACK}: sudo ip -6 address add {LOOPBACK}/128 dev lo"


def _loopback_is_up() -> bool:
    with socket.socket() as any_socket:
        answer = fcntl.ioctl(any_socket, SIOCGIFFLAGS, struct.pack("256s", b"lo"))
    return bool(answer[16] & IFF_UP)


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
