"""How sessions end that no check ended before: every timeout, both ways of closing half, resets and deaths
at bad moments, and the options that change an end or its line. Each is a row: what is configured, and what
the two ends do; haproxy and Penstock must show the same and log the same.

Each row is a listener, a server and a log of its own, so that many are played side by side, and nothing of
one is seen by another. What is tried takes SHORT; whatever else could end a session is so much longer that
a busy machine does not mistake one for the other.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import os
import re
import socket
import threading
import time

from held import Held
from lab import LINUX, PATIENCE_S, TAP, expect, process, run, set_sysctl, wait_for
from twins import OWN_PORTS, OWN_SERVERS, SHORT, Servers, compare, hear, judged, play, reset, tenths_since, twins

NOBODY = f"{LINUX}:8089"
# Who answers nothing: nobody has the one address, and the line in front of the other is full.
ABSENT, SILENT = f"{LINUX.rsplit('.', 1)[0]}.99:80", 8088
MUTE = f"{LINUX}:{SILENT}"
# Nobody has these addresses either; for those behind a router that asks, and then says so (ICMP): each of the
# two has its own, or one would hear what the other's question came to.
ASKED = [f"{LINUX.rsplit('.', 1)[0]}.{last}:80" for last in (96, 97, 98)]
BEHIND = [f"10.85.{{own}}.{last}:80" for last in (1, 2, 3)]
ROUTER = ("10.84.0.1", "10.84.0.2")
ONE_AT_A_TIME = "server x {server} maxconn 1"

# A name, what is configured besides, and who does what: see `Stage`.
TABLE = [
    # Timeouts.
    ("client-fin", f"timeout client-fin {SHORT}", "connect accept ping pong server:half client:hears-end server:hears client:hears log"),
    ("client-fin-elsewhere", "timeout client-fin 1s; timeout server 5s", "connect accept ping pong client:half server:hears-end client:hears server:hears log"),
    ("server-fin", f"timeout server-fin {SHORT}", "connect accept ping pong client:half server:hears-end client:hears server:hears log"),
    ("server-fin-elsewhere", "timeout server-fin 1s; timeout client 5s", "connect accept ping pong server:half client:hears-end server:hears client:hears log"),
    ("server-fin-busy", "timeout server-fin 5s", "connect accept ping client:half server:hears-end pong wait:3000 pong wait:3000 server:close client:hears log"),
    ("both-fin", f"timeout client-fin {SHORT}; timeout server-fin 9s", "connect accept ping client:half server:hears-end client:hears server:hears log"),
    ("tunnel", f"timeout tunnel {SHORT}", "connect accept ping pong client:hears server:hears log"),
    ("tunnel-longer", f"timeout tunnel 1m; timeout client {SHORT}; timeout server {SHORT}", "connect accept ping pong wait:4000 ping pong client:close server:hears-end server:close log"),
    ("tunnel-one-sided", f"timeout tunnel 7s; timeout client {SHORT}; timeout server {SHORT}", "connect accept client:hears log"),
    ("client-timeout", f"timeout client {SHORT}; timeout server 9s", "connect accept ping pong server:hears client:hears log"),
    ("server-timeout", f"timeout server {SHORT}; timeout client 9s", "connect accept ping client:hears server:hears log"),
    ("connect-timeout", f"timeout connect {SHORT}; retries 1; server x {MUTE}", "connect client:hears log"),
    ("connect-absent", f"timeout connect 1s; retries 0; server x {ABSENT}", "connect client:hears log"),
    ("connect-redispatch", f"timeout connect {SHORT}; retries 1; option redispatch; server x {MUTE}; server y {{server}}", "connect accept server:close client:hears client:close log"),
    ("neighbour-silent", f"retries 0; server x {ASKED[0]}", "connect client:hears log"),
    ("neighbour-silent-again", f"retries 1; server x {ASKED[1]}", "connect client:hears log"),
    ("neighbour-redispatch", f"option redispatch 1; server x {ASKED[2]}; server y {{server}}", "connect accept server:close client:hears client:close log"),
    ("unreachable", f"retries 0; server x {BEHIND[0]}", "connect client:hears log"),
    ("unreachable-again", f"retries 1; server x {BEHIND[1]}", "connect client:hears log"),
    ("unreachable-redispatch", f"option redispatch 1; server x {BEHIND[2]}; server y {{server}}", "connect accept server:close client:hears client:close log"),
    ("retries-2", f"timeout connect {SHORT}; retries 2; server x {NOBODY}", "connect client:hears log"),
    ("retries-0", f"retries 0; server x {NOBODY}", "connect client:hears log"),
    ("redispatch-1", f"retries 3; option redispatch 1; server x {NOBODY}; server y {{server}}", "connect accept server:close client:hears client:close log"),
    ("redispatch-2", f"timeout connect {SHORT}; retries 2; option redispatch 2; server x {NOBODY}; server y {{server}}", "connect accept server:close client:hears client:close log"),
    ("redispatch-last", f"timeout connect {SHORT}; retries 2; option redispatch -1; server x {NOBODY}; server y {{server}}", "connect accept server:close client:hears client:close log"),
    ("redispatch-leastconn", f"retries 3; option redispatch; balance leastconn; server x {NOBODY}; server y {{server}}", "connect accept server:close client:hears client:close log"),
    ("redispatch-first", f"retries 3; option redispatch; balance first; server x {NOBODY}; server y {{server}}", "connect accept server:close client:hears client:close log"),
    ("redispatch-source", f"option redispatch; balance source; server x {NOBODY}; server y {NOBODY}", "connect client:hears log"),
    ("redispatch-backups", f"retries 2; option redispatch 1; option allbackups; server x {NOBODY} backup; server y {{server}} backup", "connect accept server:close client:hears client:close log"),
    ("redispatch-directed", f"option redispatch; use-server x if TRUE; server x {NOBODY}; server y {{server}}", "connect accept server:close client:hears client:close log"),
    ("redispatch-forced", f"option redispatch; force-persist if TRUE; use-server x if TRUE; server x {NOBODY}; server y {{server}}", "connect client:hears log"),
    ("queue", f"timeout queue {SHORT}; {ONE_AT_A_TIME}", "connect accept second second:hears log client:close server:close log"),
    ("maxqueue", f"timeout queue {SHORT}; {ONE_AT_A_TIME} maxqueue 1", "connect accept second third third:hears log second:hears log client:close server:close log"),
    ("maxqueue-directed", f"timeout queue {SHORT}; option redispatch; retries 0; use-server x if TRUE; {ONE_AT_A_TIME} maxqueue 1; server y {NOBODY}", "connect accept second third third:hears log second:hears log client:close server:close log"),
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
    ("client-resets-queued", ONE_AT_A_TIME, "connect accept second second:reset log client:close server:close log"),
    ("client-resets-connecting", f"timeout connect {SHORT}; retries 0; server x {MUTE}", "connect client:say settle client:reset log"),
    ("client-leaves-connecting", f"timeout connect {SHORT}; retries 0; server x {MUTE}", "connect settle client:close log"),
    ("client-half-connecting", f"timeout connect {SHORT}; retries 0; server x {MUTE}", "connect client:say client:half client:hears log"),
    ("server-dies-while-queued", ONE_AT_A_TIME, "connect accept second server:reset client:hears log accept server:say second:hears second:close server:close log"),
    # Options.
    ("nolinger", f"option nolinger; timeout client {SHORT}", "connect accept ping pong server:close client:hears log"),
    ("nolinger-client", "option nolinger", "connect accept ping pong client:close server:hears log"),
    ("abortonclose-queued", f"option abortonclose; {ONE_AT_A_TIME}", "connect accept second second:close log client:close server:close log"),
    ("abortonclose-spoken", f"option abortonclose; {ONE_AT_A_TIME}", "connect accept second second:say second:close log client:close server:close log"),
    ("abortonclose-spoken-half", f"option abortonclose; {ONE_AT_A_TIME}", "connect accept second second:say second:half second:hears log client:close server:close log"),
    ("abortonclose-connecting", f"option abortonclose; timeout connect 1m; retries 0; server x {MUTE}", "connect client:say settle client:half client:hears log"),
    ("spoken-queued", f"timeout queue {SHORT}; {ONE_AT_A_TIME}", "connect accept second second:say second:half second:hears log client:close server:close log"),
    ("logasap", "option logasap", "connect accept log ping pong client:close server:hears server:close"),
    ("dontlognull", "option dontlognull", "connect accept client:close server:hears server:close quiet"),
    ("dontlognull-bytes", "option dontlognull", "connect accept ping client:close server:hears server:close log"),
    ("dontlognull-inspect", "option dontlognull; tcp-request inspect-delay 1m; tcp-request content accept if {{ req.len gt 0 }}", "connect client:close quiet"),
    ("separate-good", "option log-separate-errors", "connect accept ping pong client:close server:hears server:close log"),
    ("separate-refused", f"option log-separate-errors; retries 0; server x {NOBODY}", "connect client:hears log"),
    ("separate-timeout", f"option log-separate-errors; timeout client {SHORT}; timeout server 9s", "connect accept server:hears client:hears log"),
    ("dontlog-normal", "option dontlog-normal", "connect accept ping pong client:close server:hears server:close quiet"),
    ("dontlog-normal-error", f"option dontlog-normal; retries 0; server x {NOBODY}", "connect client:hears log"),
]
DEFAULTS = """
defaults
    mode tcp
    option tcplog
    timeout connect 1m
    timeout client 1m
    timeout server 1m
    timeout queue 1m
    retries 1
"""
FIRST = 8201
SIDE_BY_SIDE = 16
BIG = 600_000


def section(number, name, words):
    own = f"{LINUX}:{{own}}{number:02}"
    rules = "".join(f"    {rule.strip()}\n" for rule in words.replace("{server}", own).split(";") if rule)
    server = "" if "server x" in words else f"    server a {own}\n"
    return f"listen {name}\n    bind {{address}}:{FIRST + number}\n    log {own} local0\n{rules}{server}"


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
                self.twin.settle()
            case "settle":
                self.twin.settle()
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
                self.seen.append(self.twin.said())
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


def moment(number, script, held, twin):
    """What one of the two shows of a row, and how long it was held."""
    port = OWN_PORTS[twin.name] * 100 + number

    def scene(twin, servers):
        return Stage(twin, servers, FIRST + number).play(script)

    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as log:
        log.bind((LINUX, port))
        seen, held_s = play(scene, dataclasses.replace(twin, socket=log), [port], held)
    # How many sessions the process has is the other rows' doing.
    count = r" \d+(/\d+/\d+/\d+/\+?\d+ \d+/\d+)$"
    return [re.sub(count, r" n\1", part) if isinstance(part, str) else part for part in seen], held_s


@contextlib.contextmanager
def silent(port):
    """A server in front of which as many wait as may: Linux drops whatever SYN comes."""
    with socket.create_server((LINUX, port), backlog=0), socket.create_connection((LINUX, port)):
        yield


@contextlib.contextmanager
def deserted(lab):
    """A network in which there is nobody, behind a router that says so of each, when nobody has answered it."""
    with process(["unshare", "--net", "sleep", "infinity"], lab.file("router.log")) as router:
        own = os.readlink("/proc/self/ns/net")
        wait_for(lambda: os.readlink(f"/proc/{router.pid}/ns/net") != own, "the router has a network of its own")

        def there(*command):
            run("nsenter", f"--net=/proc/{router.pid}/ns/net", *command)

        with open("/proc/sys/net/ipv4/ip_forward", encoding="ascii") as knob:
            before = knob.read().strip()
        set_sysctl("net.ipv4.ip_forward", "1")
        run("ip", "link", "add", "way0", "type", "veth", "peer", "name", "way1", "netns", str(router.pid))
        run("ip", "address", "add", f"{ROUTER[0]}/24", "dev", "way0")
        run("ip", "link", "set", "way0", "up")
        there("ip", "address", "add", f"{ROUTER[1]}/24", "dev", "way1")
        there("ip", "link", "set", "way1", "up")
        there("ip", "route", "add", "default", "via", ROUTER[0])
        there("ip", "link", "add", "out0", "type", "veth", "peer", "name", "out1")
        there("ip", "address", "add", "10.85.0.254/16", "dev", "out0")
        for device in ("out0", "out1"):
            there("ip", "link", "set", device, "up")
        there("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/ipv4/icmp_ratelimit")
        # It gives up after 1.4 s, far from when SYNs are sent again, every second: for one of those that came
        # just then it would ask once more, and the next try would find it asking.
        there("sh", "-c", "cd /proc/sys/net/ipv4/neigh/out0; echo 2 >mcast_solicit; echo 700 >retrans_time_ms")
        run("ip", "route", "add", "10.85.0.0/16", "via", ROUTER[1])
        # Where Linux asks three times, as everywhere but on the TAP.
        for server in ASKED:
            run("ip", "route", "add", server.partition(":")[0], "dev", "way0")
        try:
            yield
        finally:
            run("ip", "link", "delete", "way0")
            set_sysctl("net.ipv4.ip_forward", before)


def proxy_moments(lab):
    """Timeouts, half-closed ends, resets at bad moments, options of ends and lines: as with haproxy."""
    sections = DEFAULTS + "".join(section(number, *row[:2]) for number, row in enumerate(TABLE))
    lines, different = 0, []
    with (silent(SILENT), deserted(lab), twins(lab, sections) as both, Held(twin.child.pid for twin in both) as held,
          concurrent.futures.ThreadPoolExecutor(2 * SIDE_BY_SIDE) as pool):
        plays = [[pool.submit(moment, number, row[2], held, twin) for twin in both] for number, row in enumerate(TABLE)]
        for (name, *_), played in zip(TABLE, plays):
            failures = [str(each.exception()) for each in played if each.exception()]
            wrong, alike_lines = ([f"{name}: {'; '.join(failures)}"], 0) if failures else judged(name, [each.result() for each in played])
            different += wrong
            lines += alike_lines
    expect(not different, "\n     ".join(different))
    return f"{len(TABLE)} moments, {lines} log lines alike"


CROWD = """
listen waits
    bind {address}:8251
    maxconn 2000
    tcp-request inspect-delay 5s
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
        in_time = tenths_since(begin)
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

    compare(lab, CROWD, slow)
    return f"{count} slow clients sent away in time, and another one served"


CUT = """
listen cut
    bind {address}:8271
    default-server inter 2s downinter 100ms fall 1 rise 1 port {own}71
    server a {server} check on-marked-down shutdown-sessions on-marked-up shutdown-backup-sessions
    server b {second} backup
listen slow
    bind {address}:8272
    no log
    server a {server} check inter 2s downinter 100ms fall 1 rise 1 port {own}72 slowstart 1s maxconn 20
    server b {second}
"""


def proxy_cuts(lab):
    """A server is marked down, and up: who is cut off, and how the log has it; and one that has started slowly
    is given its share though it has a limit: as with haproxy."""

    def checks(twin, number):
        return Servers([OWN_PORTS[twin.name] * 100 + number], twin)

    def said(twin, count):
        return [re.sub(r"duration: \d+ms", "duration: ms", line) for line in twin.logged(count)]

    def cut(twin, servers):
        wait_for(lambda: "Server cut/a is DOWN" in said(twin, 1)[0], "the server is down")
        answering = checks(twin, 71)
        wait_for(lambda: "Server cut/a is UP" in said(twin, 1)[0], "the server is up")
        idle, spoken, half = [(twin.connect(8271), servers.accept()) for _ in range(3)]
        spoken[0].sendall(b"ping")
        half[0].shutdown(socket.SHUT_WR)
        seen = [hear(spoken[1])[0], hear(half[1])[0]]
        # In the middle of a check it would be a reset instead of a refusal.
        twin.settle()
        answering.close()
        seen += said(twin, 3) + [hear(end)[0] for end in (*idle, *spoken)]
        half[1].sendall(b"late")
        half[1].close()
        seen += [hear(half[0])[0], hear(half[0])[0], *said(twin, 1)]
        client, server = twin.connect(8271), servers.accept(1)
        answering = checks(twin, 71)
        seen += said(twin, 2) + [hear(client)[0], hear(server)[0]]
        for end in (*idle, *spoken, half[0], client, server, answering):
            end.close()
        return seen

    def slow(twin, servers):
        answering = checks(twin, 72)
        asked = []

        def ask():
            client = twin.connect(8272)
            number, server = servers.accept_any()
            asked.append(number)
            server.close()
            client.close()
            # Ten in turn, half of them by each.
            return sorted(asked[-10:]) == [0] * 5 + [1] * 5

        wait_for(ask, "each server has its share")
        answering.close()
        return []

    lines = compare(lab, CUT, cut, slow)
    return f"cut off alike, {lines} log lines alike; a server that starts slowly has its share in the end"


def proxy_partition(lab):
    """The cable is pulled in the middle of a transfer, both ways at once, for a second: no byte is lost, and
    nobody notices but by the time."""
    chunk, repaired = bytes(range(256)) * 256, threading.Event()

    def send(end):
        """Says something for as long as the cable is not whole again; returns how much."""
        count = 0
        while not repaired.is_set():
            end.sendall(chunk)
            count += len(chunk)
        end.shutdown(socket.SHUT_WR)
        return count

    def hear_all(end, begun):
        """Whatever comes, slowly; returns how much, or that it is not what was said."""
        heard = bytearray()
        while some := end.recv(1 << 16):
            heard += some
            begun.set()
            time.sleep(0.002)
        is_same = bytes(heard) == chunk * (len(heard) // len(chunk))
        return len(heard) if is_same else "others"

    sections = "listen l\n    bind {address}:8261\n    server a {server}\n"
    with twins(lab, sections) as (_, penstock), concurrent.futures.ThreadPoolExecutor(4) as pool:
        servers = Servers([OWN_SERVERS["penstock"][0]], penstock)
        client, server = penstock.connect(8261), servers.accept()
        begun = [threading.Event(), threading.Event()]
        sent = [pool.submit(send, end) for end in (client, server)]
        heard = [pool.submit(hear_all, *pair) for pair in zip((server, client), begun)]
        expect(all(each.wait(PATIENCE_S) for each in begun), "nothing came")
        run("ip", "link", "set", TAP, "down")
        time.sleep(1)
        run("ip", "link", "set", TAP, "up")
        repaired.set()
        sent, heard = ([each.result(2 * PATIENCE_S) for each in ends] for ends in (sent, heard))
        expect(heard == sent, f"bytes that came: {heard}; that were sent: {sent}")
        line = penstock.logged()[0]
        servers.close()
    expect(f" {sent[1]} -- " in line, f"logged: {line}")
    return f"{sent[0]} and {sent[1]} bytes, and a second without a cable"


ALL = [proxy_moments, proxy_crowd, proxy_cuts, proxy_partition]
