"""Which call fails and how: kinds of calls, their plausible errors, and the report of fail.c."""

import errno
import random
import socket
from collections import Counter
from dataclasses import dataclass
from itertools import zip_longest

# What Linux may say when the arguments are right. The descriptors of warren never block.
ERRORS = {
    "malloc": ["ENOMEM"], "calloc": ["ENOMEM"], "realloc": ["ENOMEM"],
    "socket": ["EMFILE", "ENOBUFS"],
    "bind": ["EADDRINUSE"],
    "listen": ["EADDRINUSE"],
    "accept4": ["EMFILE", "ECONNABORTED", "EINTR", "ENOMEM"],
    "connect": ["ECONNREFUSED", "EINTR", "EADDRNOTAVAIL"],
    "getaddrinfo": ["EAI_AGAIN", "EAI_MEMORY"],
    "setsockopt": ["ENOBUFS", "ENOMEM"],
    "getsockopt": ["ENOBUFS"],
    "shutdown": ["ENOTCONN"],
    "recv": ["ECONNRESET", "EINTR", "EAGAIN", "ETIMEDOUT"],
    "send": ["EPIPE", "EINTR", "EAGAIN", "ENOBUFS"],
    "sendmsg": ["EPIPE", "EINTR", "EAGAIN", "ENOMEM"],
    "writev": ["EPIPE", "EINTR", "EAGAIN"],
    "read": ["EAGAIN", "EINTR"],  # of eventfds
    "write": ["EAGAIN"],  # likewise
    "open": ["EMFILE", "ENOMEM"],
    "fopen": ["EMFILE", "ENOMEM"],
    "opendir": ["EMFILE"],
    "fcntl": ["EMFILE"],
    "close": ["EINTR", "EIO"],
    "poll": ["EINTR", "ENOMEM"],
    "epoll_create1": ["EMFILE"],
    "epoll_ctl": ["ENOMEM", "ENOSPC"],
    "epoll_wait": ["EINTR"],
    "eventfd": ["EMFILE"],
    "pthread_create": ["EAGAIN"],
    "getrandom": ["EINTR"],
    "gethostname": ["ENAMETOOLONG"],
}


@dataclass(frozen=True)
class Fault:
    """Call number `call` of a kind in a service, or of those with one stack, fails once."""

    target: str  # gateway or broadcaster
    kind: str
    call: int
    error: str
    site: str = ""

    def __str__(self):
        site = f"@{self.site}" if self.site else ""
        return f"{self.target}:{self.kind}{site}:{self.call}:{self.error}"

    @classmethod
    def parse(cls, text):
        """The fault that str() printed."""
        target, kind, call, error = text.split(":")
        kind, _, site = kind.partition("@")
        if kind not in ERRORS or target not in ("gateway", "broadcaster"):
            raise ValueError(text)
        return cls(target, kind, int(call), error, site)

    def env(self):
        number = getattr(socket if self.error.startswith("EAI_") else errno, self.error)
        return {"NTH_KIND": self.kind, "NTH_CALL": str(self.call), "NTH_SITE": self.site,
                "NTH_ERRNO": str(int(number))}


class Report:
    """What fail.c has written."""

    def __init__(self, path):
        self.calls = {}  # kind: Counter of sites, in the order of their first call
        self.stacks = {}  # site: [module+offset]
        self.fired = None  # (kind, number of the call, site)
        self.counts = {}  # kind: calls, when the program came to its regular end
        for line in path.read_text(encoding="ascii").splitlines() if path.exists() else []:
            what, *words = line.split()
            if what == "call":
                self.calls.setdefault(words[0], Counter())[words[1]] += 1
            elif what == "site":
                self.stacks[words[0]] = words[1:]
            elif what == "fired":
                self.fired = (words[0], int(words[1]), words[2])
            elif what == "count":
                self.counts[words[0]] = int(words[1])


def each_call(target, report, kinds):
    """A fault for every call that was made, its errors in turn."""
    for kind in kinds:
        errors = ERRORS[kind]
        for call in range(1, sum(report.calls.get(kind, {}).values()) + 1):
            yield Fault(target, kind, call, errors[(call - 1) % len(errors)])


def each_site(target, report, kinds):
    """A fault for each stack that a call was made from, with each error."""
    for kind in kinds:
        for site in report.calls.get(kind, ()):
            for error in ERRORS[kind]:
                yield Fault(target, kind, 1, error, site)


def sample(faults, count, seed):
    """So many of them: one of each kind in turn, until there are enough."""
    chooser = random.Random(seed)
    by_kind = {}
    for fault in faults:
        by_kind.setdefault(fault.kind, []).append(fault)
    for of_kind in by_kind.values():
        chooser.shuffle(of_kind)
    rounds = zip_longest(*by_kind.values())
    return [fault for of_round in rounds for fault in of_round if fault][:count]
