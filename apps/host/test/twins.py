"""The same configuration and the same traffic through Debian's haproxy and through Penstock: what
clients and servers see, and what is logged, must be the same.

HAProxy listens on Linux's end of the TAP, Penstock on the other; servers are scripts on Linux's end.
Of a log line all is compared but the process number, dates, ports and how long things took: of times
only whether they were reached, and to within LATE tenths of a second and what the machine took (`Held`).

A scene waits for what it sees, or for the process to have come to rest (`settle`), and never for a while
to pass, but where the while is what is tried. A timeout that is tried (SHORT) leaves the time for what has to
come before it, and every other one is so long that no machine reaches it.
"""

import concurrent.futures
import contextlib
import dataclasses
import math
import re
import signal
import socket
import struct
import subprocess
import time

from lab import LINUX, PATIENCE_S, PENSTOCK, Failure, Held, expect, listening, process, settle, sleeps, wait_for

HEAD = """
global
    log {log} local0
    nbthread 1
defaults
    mode tcp
    log global
    option tcplog
    timeout connect 1m
    timeout client 1m
    timeout server 1m
    timeout check 1m
    retries 1
"""
# What is tried of timeouts: enough for all that has to be done before.
SHORT = "3s"
# The servers that scripts play: both play at once, each with its own, which are `{server}`, `{second}` and
# `{third}` in a configuration, and `{port}` of the first. Nobody listens on 8089.
OWN_SERVERS = {"haproxy": [8081, 8082, 8083], "penstock": [8091, 8092, 8093]}
# Two digits with which ports begin that are a twin's alone: `{own}` in a configuration.
OWN_PORTS = {"haproxy": 83, "penstock": 84}
# So many tenths of a second may one be later than the other, since machines are busy: what is tried lasts longer.
LATE = 4


class Tenths(int):
    """When something was, or how long it took, in tenths of a second."""


@dataclasses.dataclass
class Twin:
    """One of the two: where it listens, what it has logged, its process and what that has printed."""

    name: str
    address: str
    socket: socket.socket
    child: subprocess.Popen
    printed: str

    def connect(self, port):
        client = socket.create_connection((self.address, port), PATIENCE_S)
        client.settimeout(PATIENCE_S)
        return client

    def settle(self):
        """Waits until it has seen to all that was sent to it."""
        settle(self.child)

    def logged(self, count=1):
        """So many lines, without what may differ."""
        lines = []
        self.socket.settimeout(PATIENCE_S)
        for _ in range(count):
            try:
                lines.append(plain(self.socket.recv(4096).decode()))
            except TimeoutError:
                lines.append("no line")
        return lines

    def said(self):
        """The lines that it has logged when it has nothing more to do."""
        if self.child.poll() is None:
            self.settle()
        lines = []
        self.socket.settimeout(0.05)
        with contextlib.suppress(TimeoutError):
            while True:
                lines.append(plain(self.socket.recv(4096).decode()))
        return lines


class Servers:
    """Listening sockets, one for each server. What nobody accepts waits: a check that is answered by Linux
    alone, too."""

    def __init__(self, ports):
        self.listening = []
        for port in ports:
            server = socket.socket()
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind((LINUX, port))
            server.listen(16384)
            server.settimeout(PATIENCE_S)
            self.listening.append(server)

    def accept(self, number=0):
        connection, _ = self.listening[number].accept()
        connection.settimeout(PATIENCE_S)
        return connection

    def accept_any(self):
        """Whichever is asked first, and its number."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for number, server in enumerate(self.listening):
                server.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    connection, _ = server.accept()
                    connection.settimeout(PATIENCE_S)
                    return number, connection
                server.settimeout(PATIENCE_S)
            time.sleep(0.001)
        return None, None

    def close(self):
        for server in self.listening:
            server.close()


def plain(line):
    """A log line without numbers that may differ."""
    line = re.sub(r"^(<\d+>)\w+ +\d+ [\d:]+ haproxy\[\d+\]: ", r"\1", line.rstrip("\n"))
    line = re.sub(r"(\d+\.\d+\.\d+\.\d+):\d+", r"\1:port", line)
    line = re.sub(r"\[\d\d/\w+/\d{4}:[\d:.]+\]", "[date]", line)

    def times(match):
        tenths = [str(round(int(ms) / 100)) if int(ms) >= 0 else "-1" for ms in match[1].split("/")]
        return f" {'/'.join(tenths)} "

    line = re.sub(r" (-?\d+/-?\d+/\+?\d+) ", times, line, count=1)
    return line


def alike(this, that, late=LATE):
    """Whether two saw the same: everything is, but moments nearly."""
    if type(this) is not type(that):
        return False
    if isinstance(this, list | tuple):
        return len(this) == len(that) and all(alike(*pair, late) for pair in zip(this, that))
    if isinstance(this, Tenths):
        return abs(this - that) <= late
    if isinstance(this, str) and this.startswith("<"):
        parts = [re.split(r" (-?\d+(?:/-?\d+)+) ", line, maxsplit=1) for line in (this, that)]
        if [len(part) for part in parts] == [3, 3]:
            times = [[Tenths(time) for time in part[1].split("/")] for part in parts]
            known = [[time < 0 for time in each] for each in times]
            return known[0] == known[1] and alike(*times, late) and parts[0][::2] == parts[1][::2]
    return this == that


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def hear(connection):
    """What comes next: bytes, the end, or how it broke; and after how many tenths of a second."""
    begin = time.monotonic()
    try:
        heard = connection.recv(65536)
    except OSError as error:
        heard = type(error).__name__
    return heard, tenths_since(begin)


def tenths_since(begin):
    return Tenths(round((time.monotonic() - begin) * 10))


@contextlib.contextmanager
def twins(lab, sections, cores=1):
    """Both, with this configuration: `{address}` in it is where each listens, and see OWN_SERVERS."""
    both = []
    with contextlib.ExitStack() as stack:
        for name, address, port in (("haproxy", LINUX, 8098), ("penstock", PENSTOCK, 8099)):
            log = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            log.bind((LINUX, port))
            servers = [f"{LINUX}:{port}" for port in OWN_SERVERS[name]]
            own = dict(zip(("server", "second", "third"), servers), port=OWN_SERVERS[name][0], own=OWN_PORTS[name])
            path = lab.file(f"{name}.cfg")
            with open(path, "w", encoding="utf-8") as file:
                file.write(HEAD.format(log=f"{LINUX}:{port}") + sections.format(address=address, **own))
            if name == "haproxy":
                last = re.findall(r"bind \S+:(\d+)", sections)[-1]
                child, printed = stack.enter_context(haproxy(lab, path, int(last))), lab.file("haproxy.log")
            else:
                penstock = stack.enter_context(host(lab, path, cores))
                child, printed = penstock.child, penstock.log
            both.append(Twin(name, address, log, child, printed))
        yield both


@contextlib.contextmanager
def haproxy(lab, path, port):
    """The real one with a configuration, of which this is the last port."""
    checked = subprocess.run(["haproxy", "-c", "-f", path], capture_output=True, text=True, check=False)
    expect(checked.returncode == 0, f"haproxy refuses its configuration: {checked.stderr}")
    with process(["haproxy", "-db", "-f", path], lab.file("haproxy.log")) as child:
        wait_for(lambda: child.poll() is not None or (LINUX, port) in listening("tcp"), "haproxy listens")
        with open(lab.file("haproxy.log"), encoding="utf-8") as printed:
            expect(child.poll() is None, f"haproxy did not start: {printed.read()}")
        settle(child)
        yield child


def host(lab, path, cores=1, **more):
    """Penstock with a configuration of the proxy."""
    boot = f"maxcpus={cores}"
    return lab.host(boot, options=("-f", path), **more)


def play(scene, twin, ports, held):
    """What one of the two shows in a scene, and how long the machine has held it meanwhile."""
    servers, before = Servers(ports), held.of(twin.child.pid)
    try:
        return scene(twin, servers), held.of(twin.child.pid) - before
    except (AttributeError, OSError) as error:
        raise Failure(f"{scene.__name__} with {twin.name}: {error!r}") from error
    finally:
        servers.close()


def judged(name, played):
    """How the two differ in what is called so, if they do, and how many lines are alike."""
    (haproxy, kept), (penstock, held) = played
    late = Tenths(math.ceil(10 * (kept + held)))
    if alike(haproxy, penstock, LATE + late):
        return [], sum(str(part).startswith("<") for part in haproxy)
    return [f"{name}: haproxy {haproxy}, penstock {penstock}; held for {late} tenths of a second"], 0


def compare(lab, sections, *scenes):
    """Plays each scene with both at once, and compares what was seen and logged. Returns how many lines."""
    lines, different = 0, []
    with (twins(lab, sections) as both, Held(twin.child.pid for twin in both) as held,
          concurrent.futures.ThreadPoolExecutor(2) as pool):
        for scene in scenes:
            played = pool.map(lambda twin: play(scene, twin, OWN_SERVERS[twin.name], held), both)
            wrong, alike_lines = judged(scene.__name__, played)
            different += wrong
            lines += alike_lines
    expect(not different, "\n     ".join(different))
    return lines


LISTEN = f"""
listen one
    bind {{address}}:8001
    server a {{server}}
listen client_waits
    bind {{address}}:8006
    timeout client {SHORT}
    server a {{server}}
listen server_waits
    bind {{address}}:8007
    timeout server {SHORT}
    server a {{server}}
listen refused
    bind {{address}}:8002
    server a 10.82.0.1:8089
listen moves
    bind {{address}}:8003
    option redispatch
    server a 10.82.0.1:8089
    server b {{server}}
listen nobody
    bind {{address}}:8004
    server a {{server}} disabled
frontend nowhere
    bind {{address}}:8005
"""


def proxy_endings(lab):
    """How sessions end, as clients and servers see it and as it is logged: as with haproxy."""

    def normal(twin, servers):
        client, server = twin.connect(8001), servers.accept()
        client.sendall(b"ping")
        seen = [hear(server)]
        server.sendall(b"pong")
        seen.append(hear(client))
        client.shutdown(socket.SHUT_WR)
        seen.append(hear(server))
        server.sendall(b"late")
        seen.append(hear(client))
        server.close()
        return seen + [hear(client)] + twin.logged()

    def server_first(twin, servers):
        client, server = twin.connect(8001), servers.accept()
        server.sendall(b"hello")
        server.close()
        seen = [hear(client), hear(client)]
        client.close()
        return seen + twin.logged()

    def client_silent(twin, servers):
        client, server = twin.connect(8006), servers.accept()
        seen = [hear(server)]
        server.close()
        seen.append(hear(client))
        return seen + twin.logged()

    def server_silent(twin, servers):
        client, server = twin.connect(8007), servers.accept()
        client.sendall(b"x")
        client.shutdown(socket.SHUT_WR)
        seen = [hear(server), hear(server), hear(client)]
        return seen + twin.logged()

    def client_resets(twin, servers):
        client, server = twin.connect(8001), servers.accept()
        client.sendall(b"x")
        seen = [hear(server)]
        reset(client)
        return seen + [hear(server)] + twin.logged()

    def server_resets(twin, servers):
        client, server = twin.connect(8001), servers.accept()
        client.sendall(b"x")
        seen = [hear(server)]
        reset(server)
        return seen + [hear(client)] + twin.logged()

    def refused(twin, servers):
        client = twin.connect(8002)
        client.sendall(b"x")
        return [hear(client)] + twin.logged()

    def refused_and_left(twin, servers):
        client = twin.connect(8002)
        twin.settle()
        client.close()
        return twin.logged()

    def moved(twin, servers):
        seen, lines = [], []
        for _ in range(2):
            client, server = twin.connect(8003), servers.accept()
            server.close()
            seen.append(hear(client))
            client.close()
            lines += twin.logged()
        return seen + sorted(lines)

    def no_server(twin, servers):
        return [hear(twin.connect(8004))] + twin.logged()

    def no_backend(twin, servers):
        return [hear(twin.connect(8005))] + twin.logged()

    lines = compare(lab, LISTEN, normal, server_first, client_silent, server_silent, client_resets,
                    server_resets, refused, refused_and_left, moved, no_server, no_backend)
    return f"11 ways to end, {lines} log lines alike"


INSPECT = """
listen waits
    bind {address}:8001
    tcp-request inspect-delay 3s
    tcp-request content accept if {{ req.len gt 3 }}
    tcp-request content reject
    server a {server}
listen gathers
    bind {address}:8005
    tcp-request inspect-delay 1m
    tcp-request content accept if {{ req.len gt 3 }}
    server a {server}
frontend routes
    bind {address}:8002
    tcp-request inspect-delay 1m
    tcp-request content accept if {{ req.payload(0,1) -m found }}
    use_backend second if {{ req.payload(0,1) -m str B }}
    default_backend first
backend first
    server a {server}
backend second
    server b {second}
frontend local
    bind {address}:8003
    tcp-request connection reject if {{ src 10.82.0.1 }}
    default_backend first
listen hello
    bind {address}:8004 accept-proxy
    server a {server} send-proxy
"""


def proxy_rules(lab):
    """Rules that wait for bytes, routes by what a client says, PROXY headers: as with haproxy."""

    def too_little(twin, servers):
        client = twin.connect(8001)
        client.sendall(b"abc")
        return [hear(client)] + twin.logged()

    def enough_in_pieces(twin, servers):
        client = twin.connect(8005)
        client.sendall(b"ab")
        twin.settle()
        client.sendall(b"cd")
        server = servers.accept()
        twin.settle()
        seen = [hear(server)]
        server.close()
        seen.append(hear(client))
        client.close()
        return seen + twin.logged()

    def closed_before(twin, servers):
        twin.connect(8001).close()
        return twin.logged()

    def by_first_letter(twin, servers):
        seen = []
        for text in (b"A", b"B", b"C"):
            client = twin.connect(8002)
            client.sendall(text)
            number, server = servers.accept_any()
            seen += [number, hear(server)]
            server.close()
            seen.append(hear(client))
            client.close()
            seen += twin.logged()
        return seen

    def not_from_here(twin, servers):
        # It may be gone before anybody can look: an end either way, and no line.
        with contextlib.suppress(ConnectionResetError):
            return [hear(twin.connect(8003))[0] in (b"", "ConnectionResetError")]
        return [True]

    def with_header(twin, servers):
        client = twin.connect(8004)
        client.sendall(b"PROXY TCP4 192.0.2.7 198.51.100.1 4000 443\r\nhello")
        server = servers.accept()
        twin.settle()
        seen = [hear(server)]
        server.close()
        seen.append(hear(client))
        client.close()
        return seen + twin.logged()

    def without_header(twin, servers):
        client = twin.connect(8004)
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return [hear(client)] + twin.logged()

    lines = compare(lab, INSPECT, too_little, enough_in_pieces, closed_before, by_first_letter,
                    not_from_here, with_header, without_header)
    return f"7 scenes, {lines} log lines alike"


QUEUES = """
listen one
    bind {address}:8001
    timeout queue 1m
    server a {server} maxconn 1
listen too_long
    bind {address}:8006
    timeout queue 1s
    server a {server} maxconn 1
listen turns
    bind {address}:8002
    server a {server}
    server b {second} weight 2
    server c {third}
listen least
    bind {address}:8003
    balance leastconn
    server a {server}
    server b {second}
listen static
    bind {address}:8004
    balance static-rr
    server a {server} weight 3
    server b {second} weight 1
    server c {third} weight 2
listen backup
    bind {address}:8005
    server a {server} backup
    server b {second} backup
"""


def proxy_balance(lab):
    """Queues, and whose turn it is: as with haproxy."""

    def queued(twin, servers):
        first, server = twin.connect(8001), servers.accept()
        second = twin.connect(8001)
        twin.settle()
        server.close()
        seen = [hear(first)]
        first.close()
        server = servers.accept()
        server.close()
        seen.append(hear(second))
        second.close()
        return seen + twin.logged(2)

    def queued_too_long(twin, servers):
        first, server = twin.connect(8006), servers.accept()
        second = twin.connect(8006)
        seen = [hear(second)]
        second.close()
        lines = twin.logged()
        server.close()
        first.close()
        return seen + lines + twin.logged()

    def queued_and_left(twin, servers):
        first, server = twin.connect(8001), servers.accept()
        second = twin.connect(8001)
        twin.settle()
        second.close()
        lines = twin.logged()
        server.close()
        first.close()
        return lines + twin.logged()

    def turn(twin, servers, port, count, stay=0):
        asked, staying = [], []
        for position in range(count):
            client = twin.connect(port)
            number, server = servers.accept_any()
            asked.append(number)
            if position < stay:
                staying += [client, server]
                continue
            server.close()
            hear(client)
            client.close()
            twin.logged()
        for connection in staying:
            connection.close()
        if staying:
            twin.logged(stay)
        return asked

    def turns(twin, servers):
        asked = turn(twin, servers, 8002, 8)
        return [sorted(asked[:4]), sorted(asked[4:])]

    def least(twin, servers):
        return turn(twin, servers, 8003, 7, stay=3)

    def static(twin, servers):
        return turn(twin, servers, 8004, 12)

    def backup(twin, servers):
        return turn(twin, servers, 8005, 3)

    lines = compare(lab, QUEUES, queued, queued_too_long, queued_and_left, turns, least, static, backup)
    return f"7 scenes, {lines} log lines alike, the same server each time"


NAMES = """
listen named
    bind {address}:8001
    unique-id-format %{{+X}}o\\ %ci_%rt_%{{-X}}ms
    log-format "%{{+Q}}ID %rt %{{+X}}rt"
    server a {server} send-proxy-v2 proxy-v2-options unique-id
listen nameless
    bind {address}:8002
    log-format "%ID"
    server a {server} send-proxy-v2 proxy-v2-options unique-id
"""


def proxy_names(lab):
    """What sessions are called, in the log and to servers: as with haproxy."""

    def called(twin, servers, port):
        client, server = twin.connect(port), servers.accept()
        header = server.recv(4096)
        server.close()
        hear(client)
        client.close()
        line = twin.logged()[0]
        # Behind the addresses: type 5, its length, and the name; milliseconds may differ.
        told = header[28:]
        name = told[3:].decode()
        agree = line.startswith(f'<134>"{name}"') if name else line.startswith("<134>-")
        return [told[:1], len(name.rsplit("_")[0]), agree, re.sub(r"_\d{3}\"", "", line)]

    def named(twin, servers):
        return [part for _ in range(3) for part in called(twin, servers, 8001)]

    def nameless(twin, servers):
        return called(twin, servers, 8002)

    lines = compare(lab, NAMES, named, nameless)
    return f"4 sessions called the same, {lines} log lines alike"


def what_is_alike(_lab):
    """What the comparison of all these takes for the same, and what not."""
    line = "<134>10.82.0.1:port [date] l l/a 0/{}/{} 4 -- 1/1/0/0/0 0/0"
    same = [(Tenths(5), Tenths(5 + LATE)), (line.format(0, 5), line.format(LATE, 5)), ((b"x", Tenths(0)), (b"x", Tenths(1)))]
    different = [(True, False), (1, 2), (1, True), (b"", "TimeoutError"), ([1], [1, 1]), (Tenths(5), Tenths(6 + LATE)),
                 (line.format(0, 5), line.format(0, 6 + LATE)), (line.format(0, 5), line.format(-1, 5)),
                 (line.format(0, 5), line.format(0, 5).replace("--", "cD")), ("no line", line.format(0, 5))]
    wrong = [pair for pair in same if not alike(*pair)] + [pair for pair in different if alike(*pair)]
    expect(not wrong, f"{wrong}")
    return f"{len(same)} pairs are the same, {len(different)} are not"


def what_is_held(lab):
    """How long the machine holds a process is measured: all of the time in which it is stopped, none in which
    it sleeps."""
    with process(["sleep", "infinity"], lab.file("log")) as child, Held([child.pid]) as held:

        def rests():
            before = held.of(child.pid)
            time.sleep(0.2)
            return held.of(child.pid) - before < 0.01

        wait_for(rests, "it stands still")
        child.send_signal(signal.SIGSTOP)
        wait_for(lambda: not any(is_asleep for is_asleep, _ in sleeps(child.pid).values()), "it is stopped")
        before = held.of(child.pid)
        time.sleep(0.5)
        seconds = held.of(child.pid) - before
        child.send_signal(signal.SIGCONT)
    expect(seconds > 0.45, f"stopped for half a second, held for {seconds:.2f} s")
    return f"stopped for half a second, held for {seconds:.2f} s"


ALL = [what_is_alike, what_is_held, proxy_endings, proxy_rules, proxy_balance, proxy_names]
