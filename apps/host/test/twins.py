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
import socket
import struct
import subprocess
import time

from held import Held
from lab import LINUX, PATIENCE_S, PENSTOCK, Failure, expect, listening, process, settle, wait_for

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
    """Listening sockets, one for each server of one of the two. What nobody accepts waits: a check that is
    answered by Linux alone, too."""

    def __init__(self, ports, twin):
        self.listening, self.twin = [], twin
        for port in ports:
            server = socket.socket()
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind((LINUX, port))
            server.listen(16384)
            server.settimeout(PATIENCE_S)
            self.listening.append(server)

    def accept(self, number=0):
        """The next connection. Linux has made it: whoever asked knows of it, too, when this returns."""
        connection, _ = self.listening[number].accept()
        connection.settimeout(PATIENCE_S)
        self.twin.settle()
        return connection

    def accept_any(self):
        """Whichever is asked first, and its number; otherwise as `accept`."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for number, server in enumerate(self.listening):
                server.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    connection, _ = server.accept()
                    connection.settimeout(PATIENCE_S)
                    self.twin.settle()
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
    servers, before = Servers(ports, twin), held.of(twin.child.pid)
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


ALL = [what_is_alike]
