"""What a check may leave behind in the laboratory, and must not: whatever comes after it would be judged in
another laboratory than when it is judged alone.

A trace is a line. Those of before and after must be the same; what ends by itself is given a moment.
"""

import contextlib
import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

from lab import INSIDE, LINUX, PATIENCE_S, TAP, Failure, expect, listening, process, run, set_sysctl, wait_for


def expect_none(before, seconds=PATIENCE_S):
    """Fails unless everything is as before, or becomes so within this time."""
    deadline = time.monotonic() + seconds
    while (after := traces()) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    changes = [f"+ {line}" for line in sorted(after - before)] + [f"- {line}" for line in sorted(before - after)]
    expect(not changes, f"it left the laboratory otherwise than it was: {'; '.join(changes[:10])}")


def traces():
    """All of them."""
    return network() | sysctls() | ports() | processes() | ours()


def network():
    """Links, their addresses, and routes. What a link has for itself comes and goes with its carrier."""
    lines = set()
    for link in json.loads(run("ip", "-j", "address")):
        lines.add(f"link {link['ifname']} {'up' if 'UP' in link['flags'] else 'down'}, mtu {link['mtu']}")
        lines |= {f"address {each['local']}/{each['prefixlen']} on {link['ifname']}"
                  for each in link["addr_info"] if each["scope"] != "link"}
    for family in ("-4", "-6"):
        routes = run("ip", family, "route", "show", "table", "all")
        routes = re.sub(r" linkdown| dead| expires \d+sec", "", routes).splitlines()
        lines |= {f"route {route.strip()}" for route in routes if not re.search(r"\b(?:fe80|ff00)::", route)}
    return lines


def sysctls():
    lines = set()
    for folder, _, names in os.walk("/proc/sys/net"):
        for name in names:
            path = os.path.join(folder, name)
            # Linux draws it when somebody first needs it.
            if name == "tcp_fastopen_key":
                continue
            # Some can only be written.
            with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as knob:
                lines.add(f"sysctl {path.removeprefix('/proc/sys/')} {knob.read().strip()}")
    return lines


def ports():
    return {f"{kind} {address}:{port} is open" for kind in ("tcp", "tcp6", "udp", "udp6")
            for address, port in listening(kind)}


def processes():
    lines = set()
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as words:
            lines.add(f"process {pid}: {words.read().replace(chr(0), ' ').strip() or 'ended, waited for by nobody'}")
    return lines


def ours():
    """Threads and open sockets of this process."""
    gc.collect()
    lines = {f"thread {thread.name}" for thread in threading.enumerate()}
    for file in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{file}")
            if not target.startswith("/proc/"):
                lines.add(f"file {file}: {target}")
    return lines


def what_is_left(lab):
    """Everything that a check might leave behind is found."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    ip = lambda words: run("ip", *words.split())
    planted = {
        "address": (lambda: ip(f"address add 10.82.1.1/32 dev {TAP}"), lambda: ip(f"address del 10.82.1.1/32 dev {TAP}")),
        "route": (lambda: ip(f"route add 192.0.2.0/24 dev {TAP}"), lambda: ip(f"route del 192.0.2.0/24 dev {TAP}")),
        "link": (lambda: ip(f"link set {TAP} mtu 1400"), lambda: ip(f"link set {TAP} mtu 1500")),
        "sysctl": (lambda: set_sysctl("net.ipv4.tcp_ecn", "1"), lambda: set_sysctl("net.ipv4.tcp_ecn", "2")),
        "thread": (thread.start, lambda: (over.set(), thread.join())),
        "process": entered(lambda: process(["sleep", "60"], lab.file("log"))),
        "tcp": entered(lambda: socket.create_server((LINUX, 8081))),
        "file": entered(socket.socket),
    }
    before = traces()
    for kind, (do, undo) in planted.items():
        do()
        try:
            expect_none(before, seconds=0)
        except Failure as failure:
            expect(f"+ {kind} " in str(failure), f"{kind}: {failure}")
        else:
            raise Failure(f"{kind}: was not found")
        finally:
            undo()
    return ", ".join(planted)


def what_is_killed(lab):
    """Whoever is told to end, or killed, leaves nothing running: not the processes of his laboratory either."""
    before = processes()
    environment = {key: value for key, value in os.environ.items() if key != INSIDE}
    ways = {
        "asked": lambda child: os.killpg(child.pid, signal.SIGTERM),
        "interrupted": lambda child: os.killpg(child.pid, signal.SIGINT),
        "killed": lambda child: child.kill(),
    }
    for how, end in ways.items():
        with open(lab.file("log"), "wb") as log:
            child = subprocess.Popen([sys.executable, sys.argv[0], "idle"], env=environment, start_new_session=True,
                                     stdout=log, stderr=log)
        wait_for(lambda: sum("penstock-host" in line for line in processes() - before), "it has started a host")
        end(child)
        child.wait()
        wait_for(lambda: reaped() and processes() <= before, f"nothing of what was {how} is left")
    return ", ".join(ways)


def reaped():
    """True, when it has taken leave of whoever was left to the first process of this namespace, and has ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return True


def entered(context):
    """To enter what this makes, and to leave it."""
    stack = contextlib.ExitStack()
    return lambda: stack.enter_context(context()), stack.close


ALL = [what_is_left, what_is_killed]
