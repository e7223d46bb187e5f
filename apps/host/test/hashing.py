"""Which server a client is given, by haproxy and by Penstock: the same one for the same address, name or
moment. Clients say in PROXY headers who they are, so that there are hundreds of them."""

import collections
import concurrent.futures
import contextlib
import random
import selectors
import socket
import threading

from lab import LINUX, expect
from twins import twins

# What is configured, and how many clients ask. The servers of all: a, b and c, of weights 1, 2 and 5, and
# d, that is down in every second row.
TABLE = [
    *(
        (f"balance source; hash-type {kind} {function} {avalanche}".strip(), is_down, 60)
        for kind in ("map-based", "consistent")
        for function in ("sdbm", "djb2", "wt6", "crc32")
        for avalanche, is_down in (("", False), ("avalanche", True))
    ),
    ("balance source", False, 300),
    ("balance source; hash-type consistent", True, 300),
    ("balance hash src", False, 60),
    ("balance hash dst_port,crc32; hash-type consistent", False, 10),
    ("balance hash src,ipmask(24); hash-type consistent wt6", True, 60),
    ("balance static-rr", True, 24),
]
# Here only how many each server is given, of so many clients, within so many of haproxy's.
SHARES = [
    ("balance roundrobin", True, 24, 0),
    ("balance leastconn", True, 24, 8),
    ("balance random", True, 320, 60),
    ("balance random(1)", True, 320, 60),
    ("balance rdp-cookie", True, 24, 0),
]
LETTERS = {"a": (8081, 1), "b": (8082, 2), "c": (8083, 5), "d": (8084, 3)}
FIRST = 8101


def section(number, words, is_down):
    rules = "".join(f"    {rule.strip()}\n" for rule in words.split(";"))
    servers = "".join(
        f"    server {letter} {LINUX}:{port} weight {weight}{' disabled' if letter == 'd' and is_down else ''}\n"
        for letter, (port, weight) in LETTERS.items()
    )
    return f"listen l{number}\n    bind {{address}}:{FIRST + number} accept-proxy\n{rules}{servers}"


@contextlib.contextmanager
def letters():
    """A server for each letter: it says its letter and goes."""
    watch, end = selectors.DefaultSelector(), threading.Event()
    listening = []
    for letter, (port, _) in LETTERS.items():
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((LINUX, port))
        server.listen(256)
        watch.register(server, selectors.EVENT_READ, letter)
        listening.append(server)

    def serve():
        while not end.is_set():
            for key, _ in watch.select(0.1):
                connection, _ = key.fileobj.accept()
                connection.sendall(key.data.encode())
                connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
        for server in listening:
            server.close()


def asked(twin, port, header):
    """The letter of the server that a client is given who comes with this header."""
    with twin.connect(port) as client:
        client.sendall(header)
        return client.recv(1).decode()


def headers(count):
    """So many clients: of IPv4, and every third of IPv6."""
    pick = random.Random(count)
    for number in range(count):
        if number % 3 == 2:
            address = f"2001:db8::{pick.randrange(65536):x}:{pick.randrange(65536):x}"
            yield f"PROXY TCP6 {address} 2001:db8::1 {4000 + number} 443\r\n".encode()
        else:
            address = ".".join(str(pick.randrange(1, 255)) for _ in range(4))
            yield f"PROXY TCP4 {address} 198.51.100.1 {4000 + number} 443\r\n".encode()


def proxy_hashing(lab):
    """The server that a client's address leads to, by every hash: the one that haproxy takes."""
    sections = "".join(section(number, *row[:2]) for number, row in enumerate([*TABLE, *SHARES]))
    total = 0

    def ask(twin, number, count):
        return "".join(asked(twin, FIRST + number, header) for header in headers(count))

    with letters(), twins(lab, sections) as both, concurrent.futures.ThreadPoolExecutor(2) as pool:
        for number, (words, _, count) in enumerate(TABLE):
            haproxy, penstock = pool.map(lambda twin: ask(twin, number, count), both)
            same = sum(one == other for one, other in zip(haproxy, penstock))
            expect(same == count, f"{words}: {same} of {count} alike:\nhaproxy  {haproxy}\npenstock {penstock}")
            total += count
        for number, (words, _, count, most) in enumerate(SHARES, len(TABLE)):
            counts = [*map(collections.Counter, pool.map(lambda twin: ask(twin, number, count), both))]
            apart = max(abs(counts[0][letter] - counts[1][letter]) for letter in LETTERS)
            expect(apart <= most, f"{words}: haproxy {dict(counts[0])}, penstock {dict(counts[1])}")
    return f"{len(TABLE)} configurations, {total} clients, the same server each time; {len(SHARES)} by shares"


ALL = [proxy_hashing]
