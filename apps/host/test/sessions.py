"""How sessions end, what rules, queues and turns make of them, and what they are called: by haproxy and by
Penstock, see twins.py."""

import contextlib
import re
import socket

from twins import SHORT, compare, hear, reset


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

    def heard_by(twin, client, server):
        """What the server has heard, and its client when the server closes."""
        twin.settle()
        seen = [hear(server)]
        server.close()
        seen.append(hear(client))
        client.close()
        return seen + twin.logged()

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
        return heard_by(twin, client, server)

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
        return heard_by(twin, client, server)

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


ALL = [proxy_endings, proxy_rules, proxy_balance, proxy_names]
