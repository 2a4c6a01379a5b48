"""Under which names the page is served, whose word is taken for a visitor's address, and whether it can be served at all."""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

LOCAL = ("localhost", "127.0.0.1", "::1")
EVERYWHERE = ("0.0.0.0", "::")  # addresses that mean all of this machine
NETLOC = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::\d{1,5})?")


@dataclass(frozen=True)
class Hosting:
    """What the start says of how visitors reach the page.

    `allowed` are further names of the page, `*` for any. `proxies` are addresses or networks whose X-Forwarded-For is
    believed, `*` for any peer. A browser can be led to this server under a foreign name (DNS rebinding), and anybody can
    write a header: hence both are named, not guessed.
    """

    host: str = "127.0.0.1"
    allowed: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()

    @classmethod
    def of(cls, host: str, allowed: str, proxies: str) -> Hosting:
        """From the flags, lists with commas between; ValueError in one line for a proxy that is no address."""
        names, trusted = (
            tuple(filter(None, (part.strip() for part in text.split(",")))) for text in (allowed, proxies)
        )
        for proxy in trusted:
            if proxy != "*":
                try:
                    ipaddress.ip_network(proxy, strict=False)
                except ValueError:
                    raise ValueError(
                        f"--trust-proxy takes addresses like 10.0.0.1, networks like 10.0.0.0/8, or *; got {proxy!r}"
                    ) from None
        return cls(host.strip("[]").lower(), tuple(name.lower() for name in names), trusted)

    def serves(self, netloc: str) -> bool:
        """Whether a Host header names this page. With all addresses served, any address will do: no name was looked up."""
        name = name_of(netloc)
        if name in (*LOCAL, self.host, *self.allowed) or ("*" in self.allowed and name):
            return bool(name)
        return self.host in EVERYWHERE and _address(name) is not None

    def same_origin(self, origin: str, netloc: str) -> bool:
        """Whether a request's Origin header is the page that it goes to, or one of the names allowed."""
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        ports = (":80", ":443")
        mine, theirs = (each.lower() for each in (netloc, parts.netloc))
        for port in ports:
            mine, theirs = mine.removesuffix(port), theirs.removesuffix(port)
        return bool(theirs) and (mine == theirs or name_of(parts.netloc) in self.allowed)

    def trusts(self, peer: str) -> bool:
        """Whether a peer is one of the proxies."""
        if "*" in self.proxies:
            return True
        address = _address(peer)
        return address is not None and any(address in ipaddress.ip_network(each, strict=False) for each in self.proxies)

    def client(self, peer: str, forwarded: str) -> str:
        """The visitor's address: the peer's, or behind a proxy the last one in X-Forwarded-For that is no proxy's.

        The last: what stands before it the visitor may have written. With `*` it is the one that the nearest proxy saw.
        """
        if not self.trusts(peer):
            return peer
        seen = [part.strip() for part in forwarded.split(",") if _address(part.strip()) is not None]
        if "*" in self.proxies:
            return seen[-1] if seen else peer
        return next((each for each in reversed(seen) if not self.trusts(each)), peer)


def name_of(netloc: str) -> str:
    """A Host header's name without its port, in lower case; empty where it is none."""
    found = NETLOC.fullmatch(netloc.strip())
    return (found["six"] or found["name"].rstrip(".")).lower() if found else ""


def household(address: str) -> str:
    """What limits are counted by: an IPv4 address, or the 64-bit network of an IPv6 one, which is one visitor's own."""
    found = _address(address)
    if found is None or found.version == 4:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def port_of(text: str) -> int:
    """--port as a number; ValueError in one line."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ValueError(f"--port (LDM_PORT) must be a whole number from 1 to 65535, got {text!r}")
    return int(text)


def check_free(host: str, port: int) -> None:
    """ValueError in one line where this machine cannot listen there."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None)
        if number == errno.EADDRINUSE:
            words = f"--port {port} is in use: stop what listens there, or choose another with --port (LDM_PORT)"
        elif number in (errno.EACCES, errno.EPERM):
            words = f"--port {port} may not be opened by this user: choose one from 1024 on with --port (LDM_PORT)"
        else:
            words = f"--host (LDM_HOST) must be an address of this machine, like 127.0.0.1 or 0.0.0.0; got {host!r}"
        raise ValueError(words) from None


def space(environment: Mapping[str, str] = os.environ) -> tuple[str, str]:
    """The names and proxies of a Hugging Face Space, whose visitors all come through its proxy; empty elsewhere."""
    return (environment.get("SPACE_HOST", ""), "*") if environment.get("SPACE_ID") else ("", "")
