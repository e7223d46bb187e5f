"""Rules, samples and what they keep: the same through Debian's haproxy and through Penstock."""

from lab import expect
from twins import compare, hear

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
    tcp-request inspect-delay 1s
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
    server a 10.82.0.1:8081
    server b 10.82.0.1:8082
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
    tcp-request inspect-delay 1s
    tcp-request content silent-drop if {{ req.payload(0,3) -m str bad }}
    tcp-request content accept if {{ req.len gt 0 }}
    server a 10.82.0.1:8081
listen connection
    bind {address}:8002
    tcp-request connection silent-drop if {{ src 10.82.0.0/16 }}
    server a 10.82.0.1:8081
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
        return twin.logged()

    def by_address(twin, servers):
        forsaken(twin, twin.connect(8002))
        return []

    lines = compare(lab, SILENT, left_mute, by_content, by_address)
    return f"3 scenes, {lines} log lines alike"


ALL = [rules_variables, rules_silent_drop]
