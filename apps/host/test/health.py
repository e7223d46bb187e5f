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

from lab import LINUX, PENSTOCK, expect, process
from twins import host, plain

HEAD = """
global
    log {log} local0
defaults
    mode tcp
    log global
    timeout connect 1s
    timeout client 2s
    timeout server 2s
    timeout check 2s
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
ROUNDS_S = 8

# So much may lie between two lines of one and not of the other.
APART_S = 0.4

# A backend: its lines, the words of its server, and what each check is answered: bytes, HALF of an
# answer, SILENCE; or the port is shut until the log says that it FAILED, or that the server is DOWN.
HALF, SILENCE, FAILED, DOWN = "half", "silence", "failed", "is DOWN"
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
    "flap": ("", "check inter 800ms fastinter 200ms downinter 400ms rise 2 fall 3",
             [b"", b"", DOWN, b"", b"", b"", FAILED, b""]),
    "once": ("", "check inter 300ms rise 1 fall 1", [b"", b"", DOWN, b"", b"", DOWN, b""]),
    "mute": ("option tcp-check\n tcp-check expect string hello", "check inter 500ms",
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
            text += f" server s2 {LINUX}:{port} track {name}/s1\n"
    return text, ports


class Server:
    """Answers checks in turn; the last answer is the answer to all that follow."""

    def __init__(self, port, answers):
        self.port, self.answers, self.is_over = port, list(answers), False
        # What is said of it in the log while its port is shut.
        self.said, self.news = "", threading.Condition()
        self.listen()
        self.threads = [threading.Thread(target=self.run)]
        self.threads[0].start()

    def listen(self):
        self.listening = socket.socket()
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listening.bind((LINUX, self.port))
        self.listening.settimeout(0.05)
        self.listening.listen(16)

    def run(self):
        while not self.is_over:
            with contextlib.suppress(TimeoutError):
                connection, _ = self.listening.accept()
                answer = self.answers[0]
                if len(self.answers) > 1:
                    self.answers.pop(0)
                is_shut = self.answers[0] in (FAILED, DOWN)
                if is_shut:
                    self.listening.close()
                    self.said = ""
                self.threads.append(threading.Thread(target=serve, args=(connection, answer)))
                self.threads[-1].start()
                if is_shut:
                    until = self.answers.pop(0)
                    with self.news:
                        self.news.wait_for(lambda: until in self.said or self.is_over)
                    self.listen()
        self.listening.close()

    def told(self, line):
        """The log says this of it."""
        with self.news:
            self.said += line
            self.news.notify()

    def end(self):
        with self.news:
            self.is_over = True
            self.news.notify()
        for thread in self.threads:
            thread.join()


def serve(connection, answer):
    with connection, contextlib.suppress(OSError):
        connection.settimeout(0.05)
        if answer not in (b"", b"hello"):
            with contextlib.suppress(TimeoutError):
                connection.recv(4096)
        if answer == HALF:
            return connection.sendall(OK[:20])
        if answer != SILENCE:
            connection.sendall(answer)
        connection.settimeout(2)
        while connection.recv(4096):
            pass


def judged(lab, name, address, port, first):
    """What one of the two says of its servers: lines by backend, and when, in tenths of a second."""
    text, ports = backends(first)
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        log.bind((LINUX, port))
        path = lab.file(f"{name}.cfg")
        with open(path, "w", encoding="utf-8") as file:
            file.write(HEAD.format(log=f"{LINUX}:{port}", address=address) + text)
        servers = {backend: Server(ports[backend], BACKENDS[backend][2]) for backend in BACKENDS}
        for server in servers.values():
            stack.callback(server.end)
        if name == "haproxy":
            stack.enter_context(process(["haproxy", "-db", "-f", path], lab.file("haproxy.log")))
        else:
            stack.enter_context(host(lab, path))
        lines = {backend: [] for backend in BACKENDS}
        end = time.monotonic() + ROUNDS_S
        log.settimeout(0.1)
        while time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                line = plain(log.recv(4096).decode("latin-1"))
                now = time.monotonic()
                found = re.search(r"(?:server|Server|backend) (\w+)[/ ]", line)
                expect(found and found[1] in lines, f"{name} says of nobody: {line}")
                line = re.sub(r"duration: \d+ms", "duration: ms", line)
                lines[found[1]].append((now, line))
                servers[found[1]].told(line)
    return lines


def health(lab):
    """Checks and agents, of servers that are well, ill and gone: as with haproxy."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        haproxy = pool.submit(judged, lab, "haproxy", LINUX, 8098, 8100)
        penstock = pool.submit(judged, lab, "penstock", PENSTOCK, 8099, 8150)
    seen = {"haproxy": haproxy.result(), "penstock": penstock.result()}
    count, wrong = 0, []
    for backend in BACKENDS:
        both = [seen[name][backend] for name in ("haproxy", "penstock")]
        texts = [[line for _, line in lines] for lines in both]
        # What comes in the last moments is seen of one of them and not of the other.
        least = min(map(len, texts))
        expect(least > 0, f"{backend}: nothing is said of it")
        for at in range(max(map(len, texts)) if abs(len(texts[0]) - len(texts[1])) > 1 else least):
            pair = [lines[at] if at < len(lines) else "no line" for lines in texts]
            if pair[0] != pair[1]:
                wrong.append(f"{backend}, line {at}: haproxy {pair[0]!r}, penstock {pair[1]!r}")
                break
        for at in range(1, least):
            gaps = [lines[at][0] - lines[at - 1][0] for lines in both]
            if abs(gaps[0] - gaps[1]) > APART_S:
                wrong.append(f"{backend}, line {at}: after {gaps[0]:.2f} s, and after {gaps[1]:.2f} s")
                break
        count += least
    expect(not wrong, "; ".join(wrong))
    return f"{count} lines of {len(BACKENDS)} backends are haproxy's, and as far apart"


ALL = [health]
