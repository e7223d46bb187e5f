"""What a configuration limits, with Debian's haproxy and with Penstock: see twins.py for how.

Who comes beyond a rate waits, and is let in when the rate allows; who is still there when a proxy has
stopped for long enough is cut off.
"""

import contextlib
import re
import signal
import time

from lab import PATIENCE_S
from twins import compare, hear, tenths_since

RATES = """
global
    maxconnrate 10
    nbthread 1
listen five
    bind {address}:8001
    rate-limit sessions 5
    server a {server}
listen any
    bind {address}:8002
    server a {server}
listen refused
    bind {address}:8003
    rate-limit sessions 5
    tcp-request connection reject
    server a {server}
"""


def proxy_rates(lab):
    """Clients that come faster than they may: let in as late as with haproxy, and nobody refused."""

    def let_in(twin, servers, port, count):
        """When each of so many that come at once is let in, and how many were logged."""
        # Whoever came before is forgotten after two periods.
        time.sleep(2.1)
        begin, moments = time.monotonic(), []
        clients = [twin.connect(port) for _ in range(count)]
        for _ in range(count):
            server = servers.accept()
            moments.append(tenths_since(begin))
            server.close()
        for client in clients:
            hear(client)
            client.close()
        return moments, len(twin.logged(count))

    def of_a_frontend(twin, servers):
        return let_in(twin, servers, 8001, 12)

    def of_the_process(twin, servers):
        return let_in(twin, servers, 8002, 20)

    def who_is_refused_does_not_count(twin, servers):
        time.sleep(2.1)
        ends = []
        begin = time.monotonic()
        for _ in range(10):
            try:
                ends.append(hear(twin.connect(8003))[0] in (b"", "ConnectionResetError"))
            except ConnectionResetError:
                ends.append(True)
        return [ends, tenths_since(begin)]

    compare(lab, RATES, of_a_frontend, of_the_process, who_is_refused_does_not_count)
    return "two rates, 32 clients let in at the same moments"


STOP = """
global
    nbthread 1
    grace 4s
    hard-stop-after 5s
defaults
    mode tcp
    log global
    option tcplog
    timeout connect 1m
    timeout client 1m
    timeout server 1m
    retries 0
frontend front
    bind {address}:8001
    default_backend back
listen both
    bind {address}:8002
    server a {server}
backend back
    server a {server}
backend unused
"""


def proxy_stop(lab):
    """A stop with grace and with an end: who is served and cut off, and what is said, as with haproxy."""

    def stop(twin, servers):
        served = []
        for port in (8001, 8002):
            client, server = twin.connect(port), servers.accept()
            server.close()
            served.append(hear(client))
            client.close()
        lines = twin.logged(2)
        stays, server = twin.connect(8002), servers.accept()
        # Its soft stop is haproxy's, and the other signal is our own process's.
        twin.child.send_signal(signal.SIGUSR1 if twin.name == "haproxy" else signal.SIGTERM)
        begin = time.monotonic()
        twin.settle()
        late, late_server = twin.connect(8001), servers.accept()
        ends = [hear(stays)[0], tenths_since(begin)]
        ends += [hear(server)[0], hear(late)[0], hear(late_server)[0]]
        for connection in (stays, late, server, late_server):
            connection.close()
        twin.child.wait(PATIENCE_S)
        with open(twin.printed, encoding="utf-8") as printed:
            said = re.findall(r"^(\[\w+\]) +\(\d+\) : (.*stop.*)$", printed.read(), re.M)
        # Haproxy has sections of its own.
        said = [line for line in said if not re.search(r"GLOBAL|HTTPCLIENT", line[1])]
        logged = [line for line in twin.said() if "HTTPCLIENT" not in line]
        # Haproxy ends before it has told of everybody whom it cut off.
        is_told = any(" K- " in line for line in logged)
        logged = [line for line in logged if " K- " not in line]
        lines = [re.sub(r" -- \d+/", " -- n/", line) for line in lines]
        return [served, ends, said, is_told, *lines, *sorted(logged)]

    lines = compare(lab, STOP, stop)
    return f"what is said and done alike, {lines} log lines"


DEFER = """
listen deferred
    bind {address}:8001 defer-accept
    server a {server}
"""


def proxy_defer(lab):
    """Clients that are to speak first, and do, do not, or close instead: let in as with haproxy."""

    def speaks(twin, servers):
        client = twin.connect(8001)
        time.sleep(0.5)
        begin = time.monotonic()
        client.sendall(b"hello")
        server = servers.accept()
        seen = [hear(server)[0], tenths_since(begin)]
        server.close()
        seen.append(hear(client)[0])
        client.close()
        return seen + twin.logged()

    def says_nothing(twin, servers):
        begin = time.monotonic()
        client, server = twin.connect(8001), servers.accept()
        seen = [tenths_since(begin)]
        server.close()
        seen.append(hear(client)[0])
        client.close()
        return seen + twin.logged()

    def closes(twin, servers):
        twin.connect(8001).close()
        servers.accept().close()
        return twin.logged()

    lines = compare(lab, DEFER, speaks, says_nothing, closes)
    return f"3 scenes, {lines} log lines alike"


GROWING = """
global
    nbthread 1
listen grows
    bind {address}:8001
    timeout queue 1m
    fullconn 10
    server a {server} minconn 1 maxconn 5
"""


def proxy_growing(lab):
    """A server's limit that moves with the load of its backend: whenever somebody leaves, as many are
    connected as with haproxy. While more come we connect them sooner: haproxy lets whoever waits wait
    until somebody leaves, however far the limit has risen."""

    def more_and_less(twin, servers):
        waiting = [twin.connect(8001) for _ in range(12)]
        connected, counts = [], []

        def look():
            """Who is connected, when no more come."""
            twin.settle()
            servers.listening[0].setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    connected.append((servers.listening[0].accept()[0], waiting.pop(0)))
            counts.append(len(connected))

        look()
        while connected:
            for connection in connected.pop(0):
                connection.close()
            look()
        return counts[1:]

    compare(lab, GROWING, more_and_less)
    return "12 clients leave, at each moment as many connected"


ALL = [proxy_rates, proxy_stop, proxy_defer, proxy_growing]
