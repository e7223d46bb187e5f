"""Clients that no tool is: many at once, several requests in one write, first to close, slow."""

import contextlib
import multiprocessing.pool
import select
import socket
import threading
import time

from lab import PATIENCE_S, Failure, expect


def connect(address, port=80, seconds=PATIENCE_S):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    client = socket.socket(family, socket.SOCK_STREAM)
    client.settimeout(seconds)
    client.connect((address, port))
    return client


def get(path="/", close=False, version="1.1"):
    """The bytes of a request."""
    connection = "Connection: close\r\n" if close else ""
    return f"GET {path} HTTP/{version}\r\nHost: penstock\r\n{connection}\r\n".encode()


class Responses:
    """Reads the responses of one connection, one after the other."""

    def __init__(self, client):
        self.client = client
        self.kept = b""

    def more(self):
        bytes_ = self.client.recv(1 << 16)
        self.kept += bytes_
        return bytes_

    def head(self):
        """Status and fields of the next response, names in small letters."""
        while b"\r\n\r\n" not in self.kept:
            expect(self.more(), f"the connection ended within a head: {self.kept[-200:]!r}")
        head, self.kept = self.kept.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = {}
        for line in lines:
            name, value = line.split(":", 1)
            fields[name.strip().lower()] = value.strip()
        return int(first.split()[1]), fields

    def next(self):
        """Status, fields and body of the next response, which says its length."""
        status, fields = self.head()
        length = int(fields.get("content-length", 0))
        while len(self.kept) < length:
            expect(self.more(), "the connection ended within a body")
        body, self.kept = self.kept[:length], self.kept[length:]
        return status, fields, body

    def rest(self):
        """All that comes until the other side closes."""
        while self.more():
            pass
        return self.kept


def fetch(address, path="/", port=80, seconds=PATIENCE_S):
    """One request on a connection of its own: status, fields, body."""
    with contextlib.closing(connect(address, port, seconds)) as client:
        client.sendall(get(path, close=True))
        return Responses(client).next()


def parallel(address, count, say=b"", seconds=2 * PATIENCE_S):
    """Holds `count` connections open at once, on each of which this is said, and gives them."""
    clients, deadline = [], time.monotonic() + seconds
    while len(clients) < count:
        few = [socket.socket() for _ in range(min(200, count - len(clients)))]
        for client in few:
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect((address, 80))
        settle(few, select.EPOLLOUT, deadline)
        for client in few:
            error = client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            expect(error == 0, f"a connection of {count} failed: error {error}")
            client.sendall(say)
        clients += few
    return clients


def settle(clients, event, deadline):
    """Waits until each of `clients` has seen `event`."""
    poller, waiting = select.epoll(), set()
    for client in clients:
        poller.register(client, event | select.EPOLLONESHOT)
        waiting.add(client.fileno())
    while waiting:
        if time.monotonic() > deadline:
            raise Failure(f"{len(waiting)} of {len(clients)} connections waited in vain")
        for file, _ in poller.poll(0.1):
            waiting.discard(file)
    poller.close()


def answers(clients, request, status=b"200", seconds=2 * PATIENCE_S):
    """Sends `request` on each of `clients` and counts those answered with `status`."""
    for client in clients:
        client.sendall(request)
    settle(clients, select.EPOLLIN, time.monotonic() + seconds)
    return sum(client.recv(4096).startswith(b"HTTP/1.1 " + status) for client in clients)


def honest(address, count, each_seconds=PATIENCE_S, at_once=32):
    """`count` clients, some at a time, each of which asks once and is patient: how many are served."""
    with multiprocessing.pool.ThreadPool(at_once) as pool:
        return sum(pool.map(lambda _: is_served(address, each_seconds), range(count)))


def is_served(address, seconds):
    try:
        return fetch(address, seconds=seconds)[0] == 200
    except (OSError, Failure):
        return False


def first_to_close(address, count, each_second, processes=2):
    """`count` connections, not more than `each_second`, whose client has the last word and closes
    first: how many failed."""
    with multiprocessing.Pool(processes) as pool:
        share = (address, count // processes, each_second / processes)
        return sum(pool.starmap(close_first, [share] * processes))


def close_first(address, count, each_second):
    failures, due = 0, time.monotonic()
    for _ in range(count):
        # What a busy machine delayed is not made up for: no second sees more than its share.
        time.sleep(max(0, due - time.monotonic()))
        due = max(due, time.monotonic()) + 1 / each_second
        try:
            with contextlib.closing(connect(address)) as client:
                client.sendall(get())
                failures += Responses(client).next()[0] != 200
        except (OSError, Failure):
            failures += 1
    return failures


@contextlib.contextmanager
def patient_server(address, port):
    """A server that says nothing before its client has said all, and then says it back."""
    listener = socket.create_server((address, port), family=socket.AF_INET6, backlog=64)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                with listener.accept()[0] as client:
                    client.sendall(b"".join(iter(lambda: client.recv(1 << 16), b"")))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
