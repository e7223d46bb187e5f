"""Rules, samples and what they keep: the same through Debian's haproxy and through Penstock."""

import re
import socket
import struct

from lab import PATIENCE_S, expect
from twins import OWN_SERVERS, compare, hear

VARIABLES = """
global
    set-var proc.limit int(3)
    set-var proc.more int(2),add(proc.limit)
    set-var-fmt proc.text "<%[var(proc.more)]>"
frontend kept
    bind {address}:8001
    log-format "%[var(sess.port)] %[var(txn.first)] %[var(req.late)] %[var(res.late)] %[var(proc.text)] %[var(txn.none,none)] %[var(txn.line)] %[var(txn.word)] %ts"
    tcp-request connection set-var(sess.port) dst_port
    tcp-request connection set-var(txn.early) str(never)
    tcp-request session set-var(sess.port,ifnotset) int(1)
    tcp-request session set-var(sess.port,ifexists) var(sess.port),sub(proc.limit)
    tcp-request inspect-delay 1m
    tcp-request content set-var(txn.first) req.payload(0,3)
    tcp-request content set-var(req.late) str(gone)
    tcp-request content set-var(res.late) str(never)
    tcp-request content set-var-fmt(txn.line) "%f %[src]:%[var(txn.early,-)] %Th"
    tcp-request content set-var(txn.gone) int(1)
    tcp-request content unset-var(txn.gone)
    tcp-request content set-var(txn.word) req.payload(0,0),field(2,-),concat(<,txn.first,>)
    tcp-request content accept if {{ req.len ge 3 }}
    default_backend first
backend first
    tcp-request content set-var(txn.first) var(txn.first),upper
    tcp-request content reject if {{ var(txn.first) -m str BAD }}
    tcp-request content reject if {{ var(txn.gone) -m found }}
    use-server b if {{ var(txn.first),strcmp(txn.word) gt 0 }}
    server a {server}
    server b {second}
frontend counts
    bind {address}:8002
    log-format "%[var(proc.count)] %ts"
    tcp-request content set-var(proc.count,ifnotset) int(0)
    tcp-request content set-var(proc.count) var(proc.count),add(1)
    tcp-request content reject if {{ var(proc.count),mod(proc.limit) eq 0 }}
    default_backend first
"""


def rules_variables(lab):
    """Variables of every scope: what rules keep for each other and for the log."""

    def say(twin, servers, port, text):
        client = twin.connect(port)
        client.sendall(text)
        seen = []
        number, server = servers.accept_any()
        if server:
            seen += [number, hear(server)]
            server.close()
        seen.append(hear(client))
        client.close()
        return seen + twin.logged()

    def kept(twin, servers):
        seen = say(twin, servers, 8001, b"abc-def-ghi")
        return seen + say(twin, servers, 8001, b"xyz")

    def refused(twin, servers):
        client = twin.connect(8001)
        client.sendall(b"bad-x")
        return [hear(client)] + twin.logged()

    def counted(twin, servers):
        seen = []
        for number in range(1, 4):
            client = twin.connect(8002)
            if number < 3:
                _, server = servers.accept_any()
                server.close()
            seen.append(hear(client))
            client.close()
            seen += twin.logged()
        return seen

    lines = compare(lab, VARIABLES, kept, refused, counted)
    return f"3 scenes, {lines} log lines alike"


SILENT = """
listen session
    bind {address}:8001
    tcp-request inspect-delay 1m
    tcp-request content silent-drop if {{ req.payload(0,3) -m str bad }}
    tcp-request content accept if {{ req.len gt 0 }}
    server a {server}
listen connection
    bind {address}:8002
    tcp-request connection silent-drop if {{ src 10.82.0.0/16 }}
    server a {server}
"""


def rules_silent_drop(lab):
    """Who is dropped in silence hears nothing, and that he is gone when he speaks again. The log is
    compared; of haproxy's client nothing, since it needs TCP_REPAIR for its silence."""

    def forsaken(twin, client):
        if twin.name == "haproxy":
            return
        client.settimeout(0.5)
        heard, _ = hear(client)
        expect(heard == "TimeoutError", f"a client that was dropped in silence heard {heard}")
        client.settimeout(PATIENCE_S)
        client.sendall(b"more")
        heard, _ = hear(client)
        expect(heard == "ConnectionResetError", f"who spoke into the silence heard {heard}")

    def by_content(twin, servers):
        client = twin.connect(8001)
        client.sendall(b"bad")
        seen = twin.logged()
        forsaken(twin, client)
        return seen

    def left_mute(twin, servers):
        twin.connect(8001).close()
        servers.accept().close()
        return twin.logged()

    def by_address(twin, servers):
        forsaken(twin, twin.connect(8002))
        return []

    lines = compare(lab, SILENT, left_mute, by_content, by_address)
    return f"3 scenes, {lines} log lines alike"


ROUTES = """
frontend named
    bind {address}:8001
    tcp-request inspect-delay 1m
    tcp-request content capture req.payload(0,2) len 1
    tcp-request content capture req.payload(1,1) len 8
    tcp-request content capture str(none),field(5,x) len 8
    tcp-request content set-log-level err if {{ req.payload(1,1) -m str e }}
    tcp-request content set-log-level silent if {{ req.payload(1,1) -m str s }}
    tcp-request content accept if {{ req.len gt 1 }}
    log-format "%b/%s %hr %{{+Q}}hr %hrl %{{+Q}}hrl %[capture.req.hdr(0)] %[capture.req.hdr(1),lower] %[capture.req.hdr(7)] %ts"
    use_backend be_%[req.payload(0,1),lower] if {{ req.payload(0,1) -m found }}
    default_backend be_c
backend be_a
    server a {server}
backend be_b
    use-server s%[capture.req.hdr(1)] if TRUE
    server s1 {second}
    server s2 {third}
backend be_c
    server c {third}
"""


def rules_routes(lab):
    """Backends and servers by names that samples make, captures, levels of log lines."""

    def say(text):
        def scene(twin, servers):
            client = twin.connect(8001)
            client.sendall(text)
            number, server = servers.accept_any()
            seen = [number, hear(server)]
            server.close()
            seen.append(hear(client))
            client.close()
            return seen + (twin.logged() if text[1:2] != b"s" else [])

        scene.__name__ = f"say_{text.decode()}"
        return scene

    texts = [b"A1", b"b1", b"B2", b"b9", b"Zz-long-and-longer", b"a\x01|", b"a|x", b"As", b"Ae"]
    lines = compare(lab, ROUTES, *map(say, texts))
    return f"{len(texts)} scenes, {lines} log lines alike"


ADDRESSES = """
listen content
    bind {address}:8001
    log-format "%ci:%cp %fi:%fp %[src]:%[src_port] %[fc_src] %[fc_dst]:%[fc_dst_port] %[dst_port] %ts"
    tcp-request content set-src ipv4(192.0.2.9)
    tcp-request content set-src-port int(4711)
    tcp-request content set-dst ipv4(198.51.100.7)
    tcp-request content set-dst-port int(443)
    server a {server} send-proxy
listen connection
    bind {address}:8002
    log-format "%ci %fi:%fp %[fc_src] %[fc_dst]:%[fc_dst_port] %ts"
    tcp-request connection set-src src,ipmask(24)
    tcp-request connection set-dst-port int({port})
    tcp-request connection set-dst ipv4(10.82.0.1)
    server a 0.0.0.0
listen header
    bind {address}:8003 accept-proxy
    log-format "%ci:%cp %fi:%fp %[fc_src]:%[fc_src_port] %[fc_dst]:%[fc_dst_port] %[fc_rcvd_proxy] %ts"
    tcp-request session set-src-port src_port,add(1)
    server a {server}
listen text
    bind {address}:8004
    log-format "%ci %[fc_src] %ts"
    tcp-request session set-src str(not-an-address)
    tcp-request session set-src str(2001:db8::1)
    server a {server}
"""


def rules_addresses(lab):
    """What rules set as ends of a connection, for logs, PROXY headers and servers at 0.0.0.0."""

    def through(port, text=b""):
        def scene(twin, servers):
            client = twin.connect(port)
            client.sendall(text)
            server = servers.accept()
            seen = [hear(server)] if port in (8001, 8003) else []
            server.close()
            seen.append(hear(client))
            client.close()
            # Both are Linux's for haproxy.
            return seen + [re.sub(r"10\.82\.0\.[12]\b", "here", line) for line in twin.logged()]

        scene.__name__ = f"through_{port}"
        return scene

    header = b"PROXY TCP4 192.0.2.7 198.51.100.1 4000 443\r\nhello"
    lines = compare(lab, ADDRESSES, through(8001), through(8002), through(8003, header), through(8004))
    return f"4 scenes, {lines} log lines alike"


STICK = """
listen source
    bind {address}:8001
    stick-table type ip size 100 expire 1m
    stick on src
    server a {server}
    server b {second}
    server c {third}
frontend words
    bind {address}:8002
    tcp-request inspect-delay 1m
    tcp-request content accept if {{ req.len ge 3 }}
    default_backend keyed
backend keyed
    stick-table type string len 16 size 100
    stick match req.payload(0,3) if {{ req.payload(3,1) -m str ! }}
    stick store-request req.payload(0,3)
    use-server c if {{ req.payload(4,1) -m str c }}
    server a {server}
    server b {second} id 20
    server c {third} non-stick
listen answers
    bind {address}:8003
    stick-table type binary len 4 size 100
    tcp-request inspect-delay 1m
    tcp-response inspect-delay 1m
    tcp-request content accept if {{ req.len ge 4 }}
    tcp-response content accept if {{ res.len ge 4 }}
    stick match req.payload(0,4)
    stick store-response res.payload(0,4)
    server a {server}
    server b {second}
    server c {third}
listen rdp
    bind {address}:8004
    tcp-request inspect-delay 1m
    tcp-request content accept if {{ rdp_cookie(msts) -m found }}
    persist rdp-cookie
    server a {server}
    server b {second}
    server c {third}
listen forced
    bind {address}:8005
    tcp-request inspect-delay 1m
    tcp-request content accept if {{ req.len ge 1 }}
    use-server a if TRUE
    force-persist if {{ req.payload(0,1) -m str f }}
    server a {server} disabled
    server b {second}
"""


def rules_stick(lab):
    """Stick tables, RDP cookies and forced persistence: the same server for the same key."""

    def go(twin, servers, port, text=b"", answer=b""):
        client = twin.connect(port)
        client.sendall(text)
        number, server = servers.accept_any()
        server.sendall(answer)
        seen = [number, hear(client)] if answer else [number]
        server.close()
        hear(client)
        client.close()
        twin.logged()
        return seen

    def by_source(twin, servers):
        first = go(twin, servers, 8001)
        return [go(twin, servers, 8001) == first for _ in range(4)]

    def by_word(twin, servers):
        first = {word: go(twin, servers, 8002, word) for word in (b"one", b"two", b"tre")}
        again = [go(twin, servers, 8002, word + b"!") == first[word] for word in first]
        unknown = go(twin, servers, 8002, b"new!")
        # Who is sent to a server that is not to be remembered keeps the one that he had.
        directed = [go(twin, servers, 8002, word + b"-c") for word in first]
        after = [go(twin, servers, 8002, word + b"!") == first[word] for word in first]
        return [again, bool(unknown), directed, after]

    def by_answer(twin, servers):
        first = go(twin, servers, 8003, b"ask1", b"key1")
        second = go(twin, servers, 8003, b"ask2", b"key2")
        again = [go(twin, servers, 8003, key, b"more") for key in (b"key1", b"key2", b"key1")]
        return [first[1:], [again[0][0] == first[0], again[1][0] == second[0], again[2][0] == first[0]]]

    def by_cookie(twin, servers):
        seen = []
        address = int.from_bytes(bytes([10, 82, 0, 1]), "little")
        first, second, third = OWN_SERVERS[twin.name]
        for port in (third, second, first, third):
            swapped = int.from_bytes(port.to_bytes(2, "big"), "little")
            cookie = f"Cookie: msts={address}.{swapped}.0000\r\n".encode()
            packet = b"\x03\0" + (11 + len(cookie)).to_bytes(2, "big") + b"\0\xe0\0\0\0\0\0" + cookie
            seen += go(twin, servers, 8004, packet)
        return seen

    def forced(twin, servers):
        return go(twin, servers, 8005, b"f") + go(twin, servers, 8005, b"x")

    compare(lab, STICK, by_source, by_word, by_answer, by_cookie, forced)
    return "5 scenes, the same server each time"


RESPONSES = """
listen waits
    bind {address}:8001
    timeout server 9s
    tcp-response inspect-delay 3s
    tcp-response content set-var(res.first) res.payload(0,1)
    tcp-response content reject if {{ var(res.first) -m str R }}
    tcp-response content close if {{ var(res.first) -m str C }}
    tcp-response content accept if {{ res.len gt 3 }}
    log-format "%ci [%t] %b/%s %Tw/%Tc/%Tt %B %ts %[var(res.first)]"
    server a {server}
listen at_once
    bind {address}:8002
    tcp-response content set-var(txn.seen) res.len
    tcp-response content reject if {{ res.len gt 0 }}
    log-format "%ci [%t] %b/%s %Tw/%Tc/%Tt %B %ts %[var(txn.seen)]"
    server a {server}
"""


def rules_responses(lab):
    """Rules on what servers say: that waits for them, is passed on, cut off, or nobody's."""

    def answer(twin, servers, port, *pieces, ends=True):
        client, server = twin.connect(port), servers.accept()
        client.sendall(b"hello")
        seen = [hear(server)]
        for piece in pieces:
            server.sendall(piece)
            twin.settle()
        if ends:
            server.close()
        seen += [hear(client), hear(client)]
        client.close()
        server.close()
        return seen + twin.logged()

    def in_pieces(twin, servers):
        return answer(twin, servers, 8001, b"ab", b"cd")

    def too_little(twin, servers):
        return answer(twin, servers, 8001, b"ab", ends=False)

    def ended(twin, servers):
        return answer(twin, servers, 8001, b"ab")

    def silent(twin, servers):
        return answer(twin, servers, 8001)

    def refused(twin, servers):
        return answer(twin, servers, 8001, b"Rest", ends=False)

    def closed(twin, servers):
        return answer(twin, servers, 8001, b"Come", ends=False)

    def at_once(twin, servers):
        return answer(twin, servers, 8002, b"late")

    lines = compare(lab, RESPONSES, in_pieces, too_little, ended, silent, refused, closed, at_once)
    return f"7 scenes, {lines} log lines alike"


COUNTERS = """
backend marks
    stick-table type ip size 100 expire 1m store gpc(3),gpt(2),gpc_rate(3,1m)
    server a {server}
backend plain
    stick-table type ip size 100 expire 1m store conn_cnt,gpc0,gpt0,server_id
    server a {server}
frontend arrays
    bind {address}:8001
    log-format "%[sc_get_gpc(0,0)] %[sc_get_gpc(2,0)] %[sc_get_gpc0(0)] %[sc_get_gpc1(0)] %[sc_gpc_rate(2,0)] %[sc_gpc0_rate(0)] %[sc_get_gpt(1,0)] %[sc_get_gpt0(0)] %ts"
    tcp-request connection track-sc0 src table marks
    tcp-request connection track-sc1 src table plain
    tcp-request connection sc-inc-gpc(0,0)
    tcp-request connection sc-set-gpt(1,0) 7
    tcp-request session sc-set-gpt0(0) dst_port,sub(8000)
    tcp-request content sc-inc-gpc(2,0)
    tcp-request content sc-inc-gpc0(0)
    tcp-request content sc-inc-gpc(200,0)
    tcp-request content set-var(txn.count) sc_inc_gpc(1,0)
    tcp-request content reject if {{ var(txn.count) -m int ge 3 }}
    default_backend marks
frontend elsewhere
    bind {address}:8002
    log-format "%[sc_get_gpc(3,0)] %[sc_get_gpc(0,1)] %[sc_get_gpc(0,5)] %[sc_get_gpt0(1)] %[sc_get_gpc(1,1,marks)] %[sc_inc_gpc(1,1,marks)] %[src_get_gpc(2,marks)] %[src_get_gpt(1,marks)] %[src_gpc_rate(0,marks)] %[src,table_gpc(2,marks)] %[src,table_gpt(0,marks)] %[src,table_gpc_rate(1,marks)] %[src_updt_conn_cnt(plain)] %[src_updt_conn_cnt(marks)] %[sc_clr_gpc(0,1,marks)] %[src_get_gpc(0,marks)] %[sc1_clr_gpc0] %[sc_inc_gpc(0,1)] %[src,table_server_id(plain)] %[str(192.0.2.1),table_expire(marks)] %[str(192.0.2.1),table_expire(marks,5)] %[str(192.0.2.1),table_idle(marks,6)] %[src,table_idle(marks),div(60000)] %ts"
    tcp-request connection track-sc1 src table plain
    default_backend plain
"""


def rules_counters(lab):
    """Arrays of counters and tags of stick tables: what rules count is what they and the log read."""

    def through(twin, servers, port, is_served=True):
        client = twin.connect(port)
        if is_served:
            servers.accept().close()
        seen = [hear(client)]
        client.close()
        return seen + twin.logged()

    def counted(twin, servers):
        return sum((through(twin, servers, 8001, number < 3) for number in range(1, 5)), [])

    def looked_up(twin, servers):
        return through(twin, servers, 8002) + through(twin, servers, 8002)

    lines = compare(lab, COUNTERS, counted, looked_up)
    return f"2 scenes, {lines} log lines alike"


HEADERS = """
frontend header
    bind {address}:8001 accept-proxy
    log-format "%[src] [%[fc_pp_authority]] [%[fc_pp_unique_id,hex]] %[src_is_local] %[dst_is_local] %[fc_dst_is_local] %[var(txn.way)] %[var(sess.early),iif(yes,no)] %[fc_rtt(us),bool] %[fc_rttvar(us),bool] %ts"
    tcp-request connection set-var(sess.early) fc_lost
    tcp-request inspect-delay 5s
    tcp-request content set-var-fmt(txn.way) "%[fc_unacked]/%[fc_sacked]/%[fc_lost]/%[fc_retrans]"
    tcp-request content reject if {{ fc_pp_authority -m end .example.net }}
    tcp-request content accept if {{ req.len gt 0 }}
    default_backend first
backend first
    server a {server}
"""


def rules_headers(lab):
    """What a PROXY header of version 2 says beside addresses, and what is known of a client's connection."""

    def value(kind, content):
        return bytes([kind]) + struct.pack(">H", len(content)) + content

    def header(*values, command=0x21):
        ends = socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.1") + struct.pack(">HH", 4000, 443)
        rest = ends + b"".join(values)
        return b"\r\n\r\n\0\r\nQUIT\n" + bytes([command, 0x11]) + struct.pack(">H", len(rest)) + rest

    def through(name, head, is_served=True):
        def scene(twin, servers):
            client = twin.connect(8001)
            client.sendall(head + b"hello")
            seen = []
            if is_served:
                server = servers.accept()
                seen.append(hear(server))
                server.close()
            seen.append(hear(client))
            client.close()
            return seen + [re.sub(r"10\.82\.0\.[12]\b", "here", line) for line in twin.logged()]

        scene.__name__ = name
        return scene

    both = value(2, b"www.example.org"), value(5, b"\x01id-7")
    lines = compare(
        lab, HEADERS,
        through("both", header(*both)),
        through("none", header()),
        through("longest", header(value(5, b"u" * 128), value(2, b"n" * 255))),
        through("unwanted", header(value(2, b"mail.example.net")), is_served=False),
        through("version_1", b"PROXY TCP4 192.0.2.7 198.51.100.1 4000 443\r\n"),
    )  # fmt: skip
    return f"5 scenes, {lines} log lines alike"


PRIORITIES = """
listen one
    bind {address}:8001
    tcp-request inspect-delay 1m
    tcp-request content set-priority-class req.payload(0,2),lower if {{ req.payload(2,1) -m str c }}
    tcp-request content set-priority-offset req.payload(0,2),lower,mul(1000) if {{ req.payload(2,1) -m str o }}
    tcp-request content accept if {{ req.len ge 3 }}
    timeout queue 1m
    server a {server} maxconn 1
"""


def rules_priorities(lab):
    """Who leaves a queue first."""

    def order(twin, servers):
        clients = {}
        for text in (b"00x0", b"05c1", b"00x2", b"-9c3", b"05c4", b"-1o5", b"-5c6", b"01o7", b"00x8"):
            clients[text] = twin.connect(8001)
            clients[text].sendall(text)
            twin.settle()
        heard = []
        for _ in clients:
            server = servers.accept()
            heard.append(server.recv(10))
            server.close()
            hear(clients[heard[-1]])
            clients[heard[-1]].close()
        twin.logged(len(clients))
        return heard

    compare(lab, PRIORITIES, order)
    return "nine in one order"


ALL = [
    rules_variables,
    rules_silent_drop,
    rules_routes,
    rules_addresses,
    rules_stick,
    rules_counters,
    rules_headers,
    rules_responses,
    rules_priorities,
]
