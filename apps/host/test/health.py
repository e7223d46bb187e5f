"""The same servers, well and ill, checked by Debian's haproxy and by Penstock: what both say of them in
the log, in which order and how far apart, must be the same.

Each of the two has servers of its own: a port of Linux's end for each backend, where a script answers
one check after the other. Lines are compared backend by backend, without the duration of checks.
"""

import concurrent.futures
import contextlib
import re
import socket
import threading
import time

from held import Held
from lab import LINUX, PATIENCE_S, PENSTOCK, expect, process
from twins import host, plain

HEAD = """
global
    log {log} local0
defaults
    mode tcp
    log global
    timeout connect 1m
    timeout client 1m
    timeout server 1m
    timeout check 1m
listen door
    bind {address}:8001
"""
MYSQL = bytes.fromhex(
    "4a0000000a382e302e3139000a0000006f3c025e6249410d00ffffff0200ffc715000000000000000000007c1821"
    "59106e2761144322200063616368696e675f736861325f70617373776f726400")
MYSQL_OK = bytes.fromhex("0700000200000002000000")
DENIED = b"\xff\x15\x04#28000Access denied!"
MYSQL_NO = bytes([len(DENIED), 0, 0, 2]) + DENIED
LDAP = bytes.fromhex("300c02010161070a010004000400")
OK = b"HTTP/1.1 200 OK\r\nX-State: fine\r\nContent-Length: 2\r\n\r\nok"
GONE = b"HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n"
BAD = b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"
# The last answer is given so often that nothing new can be said after it.
LAST = 6

# So much may lie between two lines of one and not of the other.
APART_S = 0.4

# A backend: its lines, the words of its server, and what each check is answered: bytes, HALF of an
# answer, SILENCE. In parentheses: what the log has to say for the port to be shut, opened again, and so on.
HALF, SILENCE = "half", "silence"
BACKENDS = {
    "mysql": ("option mysql-check user u", "check inter 300ms", [MYSQL + MYSQL_OK] * 2 + [MYSQL + MYSQL_NO] * 3
              + [MYSQL + MYSQL_OK]),
    "tls": ("option ssl-hello-chk", "check inter 300ms", [b"\x15\x03\0\0\x02\x02\x28", b"HTTP/1.0 400 Bad\r\n\r\n"]),
    "ldap": ("option ldap-check", "check inter 300ms", [LDAP, LDAP, LDAP.replace(b"\n\x01\0", b"\n\x01\x31")]),
    "field": ("option httpchk GET /\n http-check expect hdr name x-state value -m beg fi", "check inter 300ms",
              [OK, OK, GONE]),
    "gone": ("option httpchk GET /\n http-check disable-on-404", "check inter 300ms",
             [OK, OK, GONE, GONE, OK, OK, BAD, BAD, BAD, OK]),
    "half": ("option httpchk GET /", "check inter 300ms", [OK, HALF]),
    # When a check has failed once, the port has to be open before the next.
    "flap": ("", "check inter 800ms fastinter 2s downinter 400ms rise 2 fall 3",
             ("3/3 UP", "is DOWN", "is UP", "2/3 UP", "3/3 UP")),
    "once": ("", "check inter 300ms rise 1 fall 1", ("1/1 UP", "is DOWN", "is UP", "is DOWN", "is UP")),
    "mute": ("timeout check 4s\n option tcp-check\n tcp-check expect string hello", "check inter 500ms",
             [b"hello", SILENCE, b"hello"]),
    # Of a check that has nothing to send, haproxy leaves the last ACK of the handshake to Linux, which
    # delays it for 200 ms; so agents are sent something, and both take equally long.
    "agent": ("", "agent-check agent-port {port} agent-inter 300ms weight 10 agent-send hi\n",
              [b"up\n", b"down\n", b"up\n", b"down # why not\n", b"up,50%\n", b"stopped#x y\n", b"fail\n", b"up\n"]),
    "orders": ("", "agent-check agent-port {port} agent-inter 300ms agent-send hi\n",
               [b"drain\n", b"ready\n", b"maint\n", b"ready\n", b"drain\n", b"maint\n", b"drain\n", b"ready\n"]),
    "wishes": ("", "agent-check agent-port {port} agent-inter 300ms agent-send hi\n",
               [b"down\n", b"maint\n", b"ready\n", b"up\n", b"up maint\n", b"up ready\n", b"0%\n", b"100%\n"]),
}


def backends(first):
    """The sections, and the ports of their servers."""
    text, ports = "", {}
    for number, (name, (lines, words, answers)) in enumerate(BACKENDS.items()):
        port = ports[name] = first + number
        text += (f"backend {name}\n option log-health-checks\n {lines}\n"
                 f" server s1 {LINUX}:{port} {words.format(port=port)}\n")
        if name == "orders":
            text += f" server s2 {LINUX}:{port} track {name}/s1\n server s3 {LINUX}:{port} track {name}/s1\n"
    return text, ports


class Server:
    """Answers checks in turn; the last answer is the answer to all that follow."""

    def __init__(self, port, answers):
        self.port, self.answers, self.is_over = port, list(answers), False
        # How often the last answer was given.
        self.last = 0
        self.listen()
        self.threads = [threading.Thread(target=self.run)]
        self.threads[0].start()

    def listen(self):
        self.listening = socket.socket()
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listening.bind((LINUX, self.port))
        self.listening.settimeout(0.05)
        self.listening.listen(64)

    def run(self):
        while not self.is_over:
            with contextlib.suppress(TimeoutError):
                connection, _ = self.listening.accept()
                answer = self.answers[0]
                if len(self.answers) > 1:
                    self.answers.pop(0)
                else:
                    self.last += 1
                self.threads.append(threading.Thread(target=serve, args=(connection, answer)))
                self.threads[-1].start()
        self.listening.close()

    def told(self, line):
        """The log says this of it."""

    def is_done(self):
        """Whether all is said of it that there is to say, but for what is on its way."""
        return self.last >= LAST

    def end(self):
        self.is_over = True
        for thread in self.threads:
            thread.join()


class Door(Server):
    """A port that is open, shut, open again, each until the log says so. Whoever checks it only connects,
    and is gone so soon that Linux shows him to nobody."""

    def __init__(self, port, words):
        self.said, self.news = "", threading.Condition()
        super().__init__(port, words)

    def run(self):
        while self.answers:
            with self.news:
                self.news.wait_for(lambda: self.answers[0] in self.said or self.is_over)
                self.said = ""
            if self.is_over:
                break
            self.answers.pop(0)
            if self.listening.fileno() < 0:
                self.listen()
            elif self.answers:
                self.listening.close()
        while not self.is_over:
            with self.news:
                self.news.wait_for(lambda: self.is_over)
        self.listening.close()

    def told(self, line):
        with self.news:
            self.said += line
            self.news.notify()

    def is_done(self):
        return not self.answers

    def end(self):
        with self.news:
            self.is_over = True
            self.news.notify()
        super().end()


def serve(connection, answer):
    with connection, contextlib.suppress(OSError):
        connection.settimeout(PATIENCE_S)
        # Databases speak first, and so does whoever is to say hello.
        if answer not in (b"hello", SILENCE) and answer[:len(MYSQL)] != MYSQL:
            connection.recv(4096)
        if answer == HALF:
            return connection.sendall(OK[:20])
        if answer != SILENCE:
            connection.sendall(answer)
        while connection.recv(4096):
            pass


def judged(lab, name, address, port, first):
    """What one of the two says of its servers, until there is nothing new to say: lines by backend, when, and
    for how long the machine had held it by then."""
    text, ports = backends(first)
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        log.bind((LINUX, port))
        path = lab.file(f"{name}.cfg")
        with open(path, "w", encoding="utf-8") as file:
            file.write(HEAD.format(log=f"{LINUX}:{port}", address=address) + text)
        servers = {backend: (Door if isinstance(answers, tuple) else Server)(ports[backend], answers)
                   for backend, (*_, answers) in BACKENDS.items()}
        for server in servers.values():
            stack.callback(server.end)
        if name == "haproxy":
            child = stack.enter_context(process(["haproxy", "-db", "-f", path], lab.file("haproxy.log")))
        else:
            child = stack.enter_context(host(lab, path)).child
        held = stack.enter_context(Held([child.pid]))
        lines = {backend: [] for backend in BACKENDS}
        end = time.monotonic() + 2 * PATIENCE_S
        log.settimeout(0.1)
        while True:
            # Looked at before the lines: those of the checks before are all there.
            waits = [backend for backend, server in servers.items() if not server.is_done()]
            try:
                line = plain(log.recv(4096).decode("latin-1"))
            except TimeoutError:
                expect(time.monotonic() < end, f"{name} does not check {waits} any more")
                if waits:
                    continue
                return lines
            now = time.monotonic()
            found = re.search(r"(?:server|Server|backend) (\w+)[/ ]", line)
            expect(found and found[1] in lines, f"{name} says of nobody: {line}")
            line = re.sub(r"duration: \d+ms", "duration: ms", line)
            lines[found[1]].append((now, held.of(child.pid), line))
            servers[found[1]].told(line)


def health(lab):
    """Checks and agents, of servers that are well, ill and gone: as with haproxy."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        haproxy = pool.submit(judged, lab, "haproxy", LINUX, 8098, 8100)
        penstock = pool.submit(judged, lab, "penstock", PENSTOCK, 8099, 8150)
    seen = {"haproxy": haproxy.result(), "penstock": penstock.result()}
    count, wrong = 0, []
    for backend in BACKENDS:
        both = [seen[name][backend] for name in ("haproxy", "penstock")]
        texts = [[line for *_, line in lines] for lines in both]
        least = min(map(len, texts))
        expect(least > 0, f"{backend}: nothing is said of it")
        for at in range(max(map(len, texts))):
            pair = [lines[at] if at < len(lines) else "no line" for lines in texts]
            if pair[0] != pair[1]:
                wrong.append(f"{backend}, line {at}: haproxy {pair[0]!r}, penstock {pair[1]!r}")
                break
        for at in range(1, least):
            gaps = [lines[at][0] - lines[at - 1][0] for lines in both]
            # What kept the line before may have made the gap smaller.
            held = sum(lines[at][1] - lines[max(at - 2, 0)][1] for lines in both)
            if abs(gaps[0] - gaps[1]) > APART_S + held:
                wrong.append(f"{backend}, line {at}: after {gaps[0]:.2f} s, and after {gaps[1]:.2f} s")
                break
        count += least
    expect(not wrong, "; ".join(wrong))
    return f"{count} lines of {len(BACKENDS)} backends are haproxy's, and as far apart"


ALL = [health]
