"""How sessions end that no check ended before: every timeout, both ways of closing half, resets and deaths
at bad moments, and the options that change an end or its line. Each is a row: what is configured, and what
the two ends do; haproxy and Penstock must show the same and log the same."""

import collections
import concurrent.futures
import contextlib
import re
import socket
import threading
import time

from lab import LINUX, TAP, Failure, expect, run
from twins import OWN_SERVER, Servers, compare, hear, reset, twins

# A name, what is configured besides, and who does what: see `play`. A port each, from 8201.
TABLE = [
    # Timeouts.
    ("client-fin", "timeout client-fin 300ms", "connect accept ping pong client:half server:hears-end wait:500 client:hears server:hears log"),
    ("client-fin-busy", "timeout client-fin 500ms", "connect accept ping client:half server:hears-end pong wait:100 pong server:close client:hears log"),
    ("server-fin", "timeout server-fin 300ms", "connect accept ping pong server:half client:hears-end wait:500 server:hears client:hears log"),
    ("both-fin", "timeout client-fin 300ms; timeout server-fin 600ms", "connect accept ping client:half server:hears-end wait:800 client:hears server:hears log"),
    ("tunnel", "timeout tunnel 300ms; timeout client 3s; timeout server 3s", "connect accept ping pong wait:500 client:hears server:hears log"),
    ("tunnel-longer", "timeout tunnel 1500ms; timeout client 300ms; timeout server 300ms", "connect accept ping pong wait:800 ping pong client:close server:hears-end server:close log"),
    ("tunnel-one-sided", "timeout tunnel 1500ms; timeout client 300ms; timeout server 400ms", "connect accept client:hears log"),
    ("client-timeout", "timeout client 300ms; timeout server 3s", "connect accept ping pong wait:500 client:hears server:hears log"),
    ("server-timeout", "timeout client 3s; timeout server 300ms", "connect accept ping wait:500 client:hears server:hears log"),
    ("connect-timeout", f"timeout connect 300ms; retries 1; server x {LINUX.rsplit('.', 1)[0]}.99:80", "connect client:hears log"),
    ("connect-redispatch", f"timeout connect 300ms; retries 1; option redispatch; server x {LINUX.rsplit('.', 1)[0]}.99:80; server y {{server}}", "connect accept server:close client:hears log"),
    ("retries-2", f"retries 2; server x {LINUX}:8089", "connect client:hears log"),
    ("retries-0", f"retries 0; server x {LINUX}:8089", "connect client:hears log"),
    ("redispatch-1", f"retries 3; option redispatch 1; server x {LINUX}:8089; server y {{server}}", "connect accept server:close client:hears log"),
    ("redispatch-2", f"retries 2; option redispatch 2; server x {LINUX}:8089; server y {{server}}", "connect accept server:close client:hears log"),
    ("redispatch-last", f"retries 2; option redispatch -1; server x {LINUX}:8089; server y {{server}}", "connect accept server:close client:hears log"),
    ("queue", f"timeout queue 300ms; server x {{server}} maxconn 1", "connect accept second second:hears log client:close server:close log"),
    ("maxqueue", f"timeout queue 600ms; server x {{server}} maxconn 1 maxqueue 1", "connect accept second third third:hears log second:hears log client:close server:close log"),
    # Closing half, with bytes still on their way.
    ("half-both", "", "connect accept client:half server:hears-end server:half client:hears-end log"),
    ("half-then-bytes", "", "connect accept client:half server:hears-end pong pong server:half client:hears-end log"),
    ("half-server-then-bytes", "", "connect accept server:half client:hears-end ping ping client:half server:hears-end log"),
    ("half-before-accept", "", "connect client:say client:half accept server:hears server:hears-end server:close client:hears log"),
    ("server-talks-first", "", "connect accept pong client:half server:hears-end server:close client:hears log"),
    ("big-then-half", "", "connect accept client:big-half server:all server:close client:hears log"),
    ("server-big-then-close", "", "connect accept server:big-close client:all client:close log"),
    # Resets.
    ("client-resets-idle", "", "connect accept client:reset server:hears log"),
    ("client-resets-data", "", "connect accept ping pong client:reset server:hears log"),
    ("server-resets-idle", "", "connect accept server:reset client:hears log"),
    ("server-resets-data", "", "connect accept ping pong server:reset client:hears log"),
    ("server-resets-half", "", "connect accept client:half server:hears-end server:reset client:hears log"),
    ("client-resets-half", "", "connect accept server:half client:hears-end client:reset server:hears log"),
    ("client-resets-queued", f"timeout queue 2s; server x {{server}} maxconn 1", "connect accept second wait:100 second:reset log client:close server:close log"),
    ("client-resets-connecting", f"timeout connect 700ms; retries 0; server x {LINUX.rsplit('.', 1)[0]}.99:80", "connect client:say wait:100 client:reset log"),
    ("client-leaves-connecting", f"timeout connect 700ms; retries 0; server x {LINUX.rsplit('.', 1)[0]}.99:80", "connect wait:100 client:close log"),
    ("client-half-connecting", f"timeout connect 400ms; retries 0; server x {LINUX.rsplit('.', 1)[0]}.99:80", "connect client:say client:half client:hears log"),
    ("server-dies-while-queued", f"timeout queue 2s; server x {{server}} maxconn 1", "connect accept second server:reset client:hears log accept server:say second:hears second:close log"),
    # Options.
    ("nolinger", "option nolinger", "connect accept ping pong server:close client:hears log"),
    ("nolinger-client", "option nolinger", "connect accept ping pong client:close server:hears log"),
    ("abortonclose-queued", f"option abortonclose; timeout queue 2s; server x {{server}} maxconn 1", "connect accept second wait:100 second:close log client:close server:close log"),
    ("logasap", "option logasap", "connect accept log ping pong client:close server:hears server:close"),
    ("dontlognull", "option dontlognull", "connect accept client:close server:hears server:close quiet"),
    ("dontlognull-bytes", "option dontlognull", "connect accept ping client:close server:hears server:close log"),
    ("dontlognull-inspect", "option dontlognull; tcp-request inspect-delay 300ms; tcp-request content accept if {{ req.len gt 0 }}", "connect client:close quiet"),
    ("separate-good", "option log-separate-errors", "connect accept ping pong client:close server:hears server:close log"),
    ("separate-refused", f"option log-separate-errors; retries 0; server x {LINUX}:8089", "connect client:hears log"),
    ("separate-timeout", "option log-separate-errors; timeout client 300ms", "connect accept client:hears server:hears log"),
    ("dontlog-normal", "option dontlog-normal", "connect accept ping pong client:close server:hears server:close quiet"),
    ("dontlog-normal-error", f"option dontlog-normal; retries 0; server x {LINUX}:8089", "connect client:hears log"),
]
FIRST = 8201
BIG = 600_000


def section(number, name, words):
    rules = "".join(f"    {rule.strip()}\n" for rule in words.split(";"))
    server = "" if "server x" in words else "    server a {server}\n"
    return f"listen {name}\n    bind {{address}}:{FIRST + number}\n{rules}{server}"


class Stage:
    """One session, or a few, through one of the two."""

    def __init__(self, twin, servers, port):
        self.twin, self.servers, self.port = twin, servers, port
        self.ends, self.seen = {}, []

    def play(self, script):
        for word in script.split():
            who, _, what = word.partition(":")
            if who == "wait":
                time.sleep(int(what) / 1000)
            elif what:
                self.act(self.ends[who], who, what)
            else:
                self.stage(who)
        for end in self.ends.values():
            end.close()
        return self.seen

    def stage(self, what):
        match what:
            case "connect":
                self.ends["client"] = self.twin.connect(self.port)
            case "second" | "third":
                self.ends[what] = self.twin.connect(self.port)
                time.sleep(0.05)
            case "accept":
                self.ends["server"] = self.servers.accept()
            case "ping":
                self.ends["client"].sendall(b"ping")
                self.seen.append(hear(self.ends["server"]))
            case "pong":
                self.ends["server"].sendall(b"pong")
                self.seen.append(hear(self.ends["client"]))
            case "log":
                self.seen += self.twin.logged()
            case "quiet":
                # Whoever would log it has had the time.
                self.twin.socket.settimeout(0.4)
                try:
                    self.seen.append(self.twin.socket.recv(4096))
                except TimeoutError:
                    self.seen.append("no line")
            case _:
                raise AssertionError(what)

    def act(self, end, who, what):
        match what:
            case "say":
                end.sendall(b"hello")
            case "half":
                end.shutdown(socket.SHUT_WR)
            case "close":
                end.close()
            case "reset":
                reset(end)
            case "hears":
                self.seen.append((who, *hear(end)))
            case "hears-end":
                self.seen.append((who, hear(end)[0]))
            case "big-half":
                self.send(end, lambda: end.shutdown(socket.SHUT_WR))
            case "big-close":
                self.send(end, end.close)
            case "all":
                self.seen.append((who, self.gathered(end)))
            case _:
                raise AssertionError(what)

    def send(self, end, then):
        """Sends what is big from a thread, so that the other end may read meanwhile."""
        self.sent = bytes(range(256)) * (BIG // 256)
        self.sender = threading.Thread(target=lambda: (end.sendall(self.sent), then()))
        self.sender.start()

    def gathered(self, end):
        """All bytes up to the end, if they are what was sent."""
        heard = bytearray()
        while chunk := end.recv(1 << 16):
            heard += chunk
        self.sender.join()
        return len(heard) if bytes(heard) == self.sent else f"{len(heard)} bytes, and not those"


def scene(number, name, script):
    def played(twin, servers):
        return Stage(twin, servers, FIRST + number).play(script)

    played.__name__ = name
    return played


def proxy_moments(lab):
    """Timeouts, half-closed ends, resets at bad moments, options of ends and lines: as with haproxy."""
    sections = "".join(section(number, *row[:2]) for number, row in enumerate(TABLE))
    scenes = [scene(number, row[0], row[2]) for number, row in enumerate(TABLE)]
    # Two programs and Linux race in each: what is a difference is one again.
    for _ in range(2):
        with contextlib.suppress(Failure, OSError):
            return moments(lab, sections, scenes)
    return moments(lab, sections, scenes)


def moments(lab, sections, scenes):
    lines = compare(lab, sections, *scenes, at_once=True)
    return f"{len(TABLE)} moments, {lines} log lines alike"


CROWD = """
listen waits
    bind {address}:8251
    maxconn 2000
    tcp-request inspect-delay 700ms
    tcp-request content accept if {{ req.len gt 1000 }}
    tcp-request content reject
    server a {server}
listen serves
    bind {address}:8252
    server a {server}
"""


def proxy_crowd(lab):
    """Clients that say a byte now and then: more than there are buffers for. Each is sent away in time, and
    somebody else is served meanwhile: as with haproxy."""
    count = 400

    def slow(twin, servers):
        crowd = [twin.connect(8251) for _ in range(count)]
        begin = time.monotonic()
        for client in crowd:
            client.sendall(b"x")
        other, server = twin.connect(8252), servers.accept()
        server.sendall(b"served")
        seen = [other.recv(16)]
        other.close()
        for client in crowd:
            with contextlib.suppress(OSError):
                client.sendall(b"x")
        ends = collections.Counter(hear(client)[0] for client in crowd)
        in_time = time.monotonic() - begin < 4
        # Of so many lines at once a socket may lose some: which states there are has to do.
        states, line = set(), twin.logged()[0]
        while line.startswith("<"):
            states.add(re.search(r" ([^ ]{2}) \d+/", line)[1])
            twin.socket.settimeout(0.3)
            try:
                line = twin.socket.recv(4096).decode()
            except TimeoutError:
                break
        return [*seen, ends, in_time, states]

    compare(lab, CROWD, slow, at_once=True)
    return f"{count} slow clients sent away in time, and another one served"


def proxy_partition(lab):
    """The cable is pulled in the middle of a transfer, both ways at once, for a second: no byte is lost, and
    nobody notices but by the time."""
    data = bytes(range(256)) * (4 * BIG // 256)
    begun = threading.Event()

    def move(end, sent):
        """Sends all, reads all, and says whether it was the same."""
        sender = threading.Thread(target=lambda: (end.sendall(sent), end.shutdown(socket.SHUT_WR)))
        sender.start()
        heard = bytearray()
        while chunk := end.recv(1 << 16):
            heard += chunk
            begun.set()
            if len(heard) < len(sent):
                time.sleep(0.002)
        sender.join()
        return bytes(heard) == sent

    sections = "listen l\n    bind {address}:8261\n    timeout client 9s\n    timeout server 9s\n    server a {server}\n"
    with twins(lab, sections) as (_, penstock):
        servers = Servers([OWN_SERVER["penstock"]])
        client, server = penstock.connect(8261), servers.accept()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            moves = [pool.submit(move, end, data) for end in (client, server)]
            expect(begun.wait(10), "nothing came")
            expect(not any(moved.done() for moved in moves), "all was over before the cable was pulled")
            run("ip", "link", "set", TAP, "down")
            time.sleep(1)
            run("ip", "link", "set", TAP, "up")
            expect([moved.result(30) for moved in moves] == [True, True], "other bytes came than were sent")
        line = penstock.logged()[0]
        servers.close()
    expect(f" {len(data)} -- " in line, f"logged: {line}")
    return f"{len(data)} bytes each way, and a second without a cable"


ALL = [proxy_moments, proxy_crowd, proxy_partition]
