"""Listeners and sources of one card, beside haproxy: Penstock on two TAPs, haproxy in a network of its own
whose two cards have the same names."""

import contextlib
import os
import re
import socket

from lab import LINUX, PATIENCE_S, PENSTOCK, TAP, expect, process, run, tap, wait_for
from twins import HEAD, Twin, hear

SECOND = "dut3"
# Of each twin, by card: Linux's end, and its own.
ENDS = {
    "penstock": {TAP: (LINUX, PENSTOCK), SECOND: ("10.86.0.1", "10.86.0.2")},
    "haproxy": {TAP: ("10.87.0.1", "10.87.0.2"), SECOND: ("10.88.0.1", "10.88.0.2")},
}
CARDS = f"""
    log-format "%f %fi %bi %si %ts"
frontend front
    bind :8001 interface {TAP}
    default_backend near
frontend back
    bind :8001,:8002 interface {SECOND}
    default_backend far
frontend rest
    bind :8003
    default_backend far
frontend own
    bind :8003 interface {TAP}
    default_backend near
backend near
    server a {{near}}:8081
backend far
    source 0.0.0.0 interface {SECOND}
    server a {{far}}:8081
"""


@contextlib.contextmanager
def network(ends, log):
    """A network of its own with these cards, whose cables end here: its process."""
    with process(["unshare", "--net", "sleep", "infinity"], log) as child:
        own, theirs = (f"/proc/{pid}/ns/net" for pid in ("self", child.pid))
        wait_for(lambda: os.readlink(theirs) != os.readlink(own), "a network of its own")
        for number, (card, (linux, address)) in enumerate(ends.items()):
            cable, pid = f"cable{number}", str(child.pid)
            run("ip", "link", "add", cable, "type", "veth", "peer", "name", card, "netns", pid)
            run("ip", "address", "add", f"{linux}/24", "dev", cable)
            run("ip", "link", "set", cable, "up")
            inside = ["nsenter", f"--net={theirs}", "ip"]
            run(*inside, "address", "add", f"{address}/24", "dev", card)
            run(*inside, "link", "set", card, "up")
        yield child


def configured(lab, name):
    """The file of a twin's configuration."""
    (near, _), (far, _) = ENDS[name].values()
    path = lab.file(f"{name}.cfg")
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD.format(log=f"{near}:8098") + CARDS.format(near=near, far=far))
    return path


@contextlib.contextmanager
def twin(lab, name):
    """One of the two, at work."""
    with contextlib.ExitStack() as stack:
        path = configured(lab, name)
        if name == "penstock":
            stack.enter_context(tap(SECOND, ENDS[name][SECOND][0]))
            boot = f"maxcpus=2 ip={ENDS[name][SECOND][1]}/24:::::{SECOND}"
            host = stack.enter_context(lab.host(boot, options=("--tap", SECOND, "-f", path)))
            child, printed = host.child, host.log
        else:
            printed = lab.file("haproxy.log")
            inside = stack.enter_context(network(ENDS[name], lab.file("network.log")))
            command = ["nsenter", f"--net=/proc/{inside.pid}/ns/net", "haproxy", "-db", "-f", path]
            child = stack.enter_context(process(command, printed))
        log = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        log.bind((ENDS[name][TAP][0], 8098))
        this = Twin(name, ENDS[name][TAP][1], log, child, printed)
        wait_for(lambda: visit(this, TAP, 8001) != "ConnectionRefusedError", f"{name} listens")
        this.logged()
        yield this


def visit(this, card, port):
    """Somebody comes by a card: how it goes, and by which card the server is asked."""
    ends = ENDS[this.name]
    with socket.create_server(("", 8081)) as server:
        server.settimeout(PATIENCE_S)
        try:
            client = socket.create_connection((ends[card][1], port), PATIENCE_S)
        except OSError as error:
            return type(error).__name__
        with client:
            client.settimeout(PATIENCE_S)
            asked, (peer, _) = server.accept()
            # Whoever asked knows that it was accepted.
            this.settle()
            asked.close()
            hear(client)
    return next((card for card, (_, own) in ends.items() if own == peer), peer)


def scene(this):
    """Everybody who can come: what he sees, and what is logged of it."""
    seen = []
    for card in (TAP, SECOND):
        for port in (8001, 8002, 8003):
            came = visit(this, card, port)
            line = this.logged()[0] if came != "ConnectionRefusedError" else ""
            for end, addresses in ENDS[this.name].items():
                for what, address in zip(("far end", "near end"), addresses):
                    line = line.replace(address, f"{end}'s {what}")
            seen.append((card, port, came, line))
    return seen


def proxy_cards(lab):
    """Clients that come in by one of two cards, and sessions that leave by one: as with haproxy."""
    seen = {}
    for name in ENDS:
        with twin(lab, name) as this:
            seen[name] = scene(this)
    haproxy, penstock = seen["haproxy"], seen["penstock"]
    expect(haproxy == penstock, f"haproxy {haproxy}, penstock {penstock}")
    refused = sum(came == "ConnectionRefusedError" for _, _, came, _ in penstock)
    expect(refused == 1, f"{refused} were refused: {penstock}")
    missing(lab)
    return f"{len(penstock)} clients by two cards, {refused} of them refused as by haproxy"


def missing(lab):
    """A card that is not there: haproxy's warning ends our start."""
    path = lab.file("missing.cfg")
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD.format(log=f"{LINUX}:8098") + f"listen a\n bind {LINUX}:8009 interface nosuch\n")
    printed = lab.file("missing.log")
    with process(["haproxy", "-db", "-f", path], printed):
        line = wait_for(lambda: re.search(r"Binding .*", read(printed)), "haproxy warns of it")[0]
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD.format(log=f"{LINUX}:8098") + f"listen a\n bind {PENSTOCK}:8009 interface nosuch\n")
    with lab.host("", options=("-f", path), ready=False) as host:
        host.wait(1)
        said = re.findall(r"\[ALERT\] +\(\d+\) : (.*)", host.text())
    expect(said == [line.replace(LINUX, PENSTOCK)], f"haproxy says {line!r}, penstock {said}")


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


ALL = [proxy_cards]
