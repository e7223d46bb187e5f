"""The proxy, with a configuration as HAProxy's users write it, in front of the servers they have."""

import contextlib
import os
import re
import socket
import subprocess
import threading

from judge import DONE, PATIENCE, Failed, expect
from lab import LOGS, TEST, ab, check, command, connects, counted, fetched, process, until, url_of, wire
from proxies import Backends

HEAD = """
defaults
    mode tcp
    log {log} local0
    option tcplog
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    default-server inter 2s fastinter 300ms downinter 300ms
"""


def proxy(start, number, configuration, cpus=2):
    """A machine that runs this configuration, on that wire. `{us}` in it is Linux's end."""
    path = os.path.join(LOGS, f"proxy{number}.cfg")
    text = (HEAD + configuration).replace("{us}", f"10.82.{number}.1")
    with open(path, "w") as file:
        file.write(text.replace("{log}", "stdout format short"))
    boot = start(f"{TEST} ip=10.82.{number}.2/24 -- proxy", card=plugged_of(number), cpus=cpus, more=["-initrd", path])
    boot.wait("ready: serving")
    return boot


def plugged_of(number):
    return f"--netdev=tap,ifname=dut{number},queues=4"


def listens(number, port):
    """Whether somebody listens at Linux's end."""
    return connects(f"10.82.{number}.1", port)


@contextlib.contextmanager
def redis(number, port):
    """A Redis of this run's own, which keeps nothing."""
    words = ["redis-server", "--bind", f"10.82.{number}.1", "--port", str(port), "--save", "", "--protected-mode", "no"]
    with process(*words) as running:
        until(f"redis listens on {port}", lambda: listens(number, port))
        yield running


def ask(number, *words):
    return command("redis-cli", "-h", f"10.82.{number}.2", *words).decode().strip()


@check()
def proxies_redis_through_a_failover(start):
    """One that stops answering is found out by what it says, and its backup takes over until it is back."""
    number = wire()
    with redis(number, 6001) as first, redis(number, 6002):
        boot = proxy(start, number, """
listen redis
    bind :6379
    option tcp-check
    tcp-check send PING\\r\\n
    tcp-check expect string +PONG
    server first {us}:6001 check fall 2
    server second {us}:6002 check backup
""")
        ask(number, "set", "name", "first")
        rate = benchmark(number)
        first.terminate()
        first.wait()
        boot.wait(r"<1>Server redis/first is DOWN, .*info: \"Connection refused at initial connection step of tcp-check\"")
        if ask(number, "get", "name"):
            raise Failed("the second is asked, and knows what only the first was told")
        ask(number, "set", "name", "second")
        with redis(number, 6001):
            boot.wait(r"<5>Server redis/first is UP, reason: Layer7 check passed, code: 0")
            if ask(number, "get", "name") == "second":
                raise Failed("the first is back, and nobody asks it")
        boot.wait(r"Server redis/first is DOWN[^$]*Server redis/first is DOWN")
        if ask(number, "get", "name") != "second":
            raise Failed("the second is not asked again")
    boot.qmp("system_powerdown")
    expect(boot.end(DONE), r"redis redis/first \d+/\d+/\d+ \d+ -- ", r"redis redis/second \d+/\d+/\d+ \d+ -- ")
    return rate


GETS = r'GET","([0-9.]+)'


def benchmark(number):
    """What redis-benchmark comes to through the proxy."""
    words = ["redis-benchmark", "-h", f"10.82.{number}.2", "-n", "20000", "-c", "20", "-t", "get", "--csv"]
    said = command(*words, seconds=PATIENCE).decode()
    return f"{float(re.search(GETS, said)[1]):.0f} GET/s"


@check()
def loses_no_connection_when_a_web_server_goes(start):
    """Whoever was to go to it goes to another at once; one with weight 0 gets nobody all the while."""
    number = wire()
    with Backends(number, 3) as backends:
        boot = proxy(start, number, """
listen web
    bind :80
    balance roundrobin
    option redispatch 1
    retries 3
    server a {us}:9000 check
    server b {us}:9001 check
    server drained {us}:9002 check weight 0
""", cpus=4)
        url = url_of(number)
        ab(url, 2_000)
        backends.end(9001)
        # Before its check has found out, too.
        ab(url, 2_000)
        boot.wait(r"<1>Server web/b is DOWN, .*1 active and 0 backup servers left")
        ab(url, 1_000)
        backends.returns(9001)
        boot.wait(r"<5>Server web/b is UP, .*2 active and 0 backup servers online")
        ab(url, 2_000)
        boot.qmp("system_powerdown")
        text = boot.end(DONE)
    served = {name: len(re.findall(rf" web/{name} \d+/\d+/\d+ ", text)) for name in ("a", "b", "drained")}
    # Half of the two thousand before it went, and of those after it came back.
    if served["drained"] or abs(served["b"] - 2_000) > 300:
        raise Failed(f"of 7000 sessions {served}")
    again = len(re.findall(r"/\+1 0/0$", text, re.M))
    return f"of 7000 sessions a had {served['a']}, b {served['b']}, drained none; {again} were dispatched again"


@check()
def hands_on_who_the_client_is(start):
    """PROXY headers from curl in, version 2 with a checksum out, and nginx says whom it has heard of."""
    number = wire()
    folder = os.path.join(LOGS, f"told{number}")
    os.makedirs(folder, exist_ok=True)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    with open(f"{folder}/nginx.conf", "w") as file:
        file.write(f"daemon off; master_process off; user root; pid {folder}/pid; events {{}} http {{ access_log off; {paths}"
                   f" server {{ listen 10.82.{number}.1:9000 proxy_protocol; location / {{"
                   " return 200 '$proxy_protocol_addr $proxy_protocol_server_port'; } } }")
    with process("nginx", "-e", f"{folder}/error", "-c", f"{folder}/nginx.conf"):
        until("nginx listens", lambda: listens(number, 9000))
        boot = proxy(start, number, """
listen plain
    bind :80
    bind :81 accept-proxy
    server s {us}:9000 send-proxy-v2 proxy-v2-options crc32c check
listen text
    bind :82
    server s {us}:9000 send-proxy check
""")
        url = url_of(number)
        for port in (80, 82):
            heard = fetched(f"{url}:{port}/").decode()
            if heard != f"10.82.{number}.1 {port}":
                raise Failed(f"on port {port} nginx heard {heard!r}")
        heard = fetched(f"{url}:81/", "--haproxy-protocol").decode()
        if not re.fullmatch(rf"10\.82\.{number}\.1 81", heard):
            raise Failed(f"nginx heard {heard!r} of a client behind another proxy")
        with contextlib.suppress(Failed):
            fetched(f"{url}:81/", seconds=5)
            raise AssertionError("a client without a header was served")
        boot.wait(r"plain/2: Received something which does not look like a PROXY protocol header")


@check()
def proxies_a_database(start):
    """PostgreSQL, through connections that last and through short ones, and through a partition."""
    number = wire()
    with postgres(number):
        boot = proxy(start, number, """
listen database
    bind :5432
    option tcp-check
    tcp-check connect
    server primary {us}:5433 check
""")
        bench = ["pgbench", "-h", f"10.82.{number}.2", "-U", "penstock", "postgres"]
        quiet = {"env": {**os.environ, "PGCONNECT_TIMEOUT": str(int(PATIENCE))}, "seconds": 2 * PATIENCE}
        command(*bench, "-i", "-s", "1", "-q", **quiet)
        kept = command(*bench, "-c", "4", "-T", "2", "-n", **quiet).decode()
        short = command(*bench, "-c", "4", "-t", "25", "-C", "-S", "-n", **quiet).decode()
        expect(kept, r"number of failed transactions: 0 ")
        expect(short, r"number of transactions actually processed: 100/100")
        boot.breaks("no-light")
        boot.wait(r"Server database/primary is DOWN")
        boot.breaks("no-light=off")
        boot.wait(r"Server database/primary is UP")
        command("psql", "-h", f"10.82.{number}.2", "-U", "penstock", "postgres", "-c", "select 1", **quiet)
    return f"{float(re.search(r'tps = ([0-9.]+)', kept)[1]):.0f} transactions/s on connections that last"


@contextlib.contextmanager
def postgres(number):
    """A PostgreSQL of this run's own, which asks nobody who he is. It does not run as root."""
    folder = os.path.join(LOGS, f"postgres{number}")
    command("rm", "-rf", folder)
    os.makedirs(folder)
    home = next(path for path in sorted(os.listdir("/usr/lib/postgresql"), reverse=True))
    programs = f"/usr/lib/postgresql/{home}/bin"
    as_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
    if as_user:
        os.chown(folder, 65534, 65534)
    command(*as_user, f"{programs}/initdb", "-D", f"{folder}/data", "-U", "penstock", "-A", "trust", "-N", seconds=PATIENCE,
            cwd="/")
    with open(f"{folder}/data/pg_hba.conf", "a") as file:
        file.write("host all all all trust\n")
    words = [f"{programs}/postgres", "-D", f"{folder}/data", "-p", "5433", "-k", folder, "-h", f"10.82.{number}.1",
             "-c", "fsync=off"]
    with process(*as_user, *words, cwd="/"):
        until("PostgreSQL listens", lambda: listens(number, 5433))
        yield


SO_RCVBUFFORCE = 33  # Linux's, which Python does not know


@check()
def proxies_connections_by_the_thousand(start):
    """None fails, neither side resets any, and halog reads the log."""
    count = 200_000
    number = wire()
    lines, is_over = [], threading.Event()
    log = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # Room for all of it, should nobody read for a while; who is not root may have less.
    with contextlib.suppress(PermissionError):
        log.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
    log.bind((f"10.82.{number}.1", 514))
    log.settimeout(0.5)

    def listen():
        while True:
            try:
                lines.append(log.recv(4096))
            except TimeoutError:
                if is_over.is_set():
                    return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    with Backends(number, 2):
        boot = proxy(start, number, """
listen web
    bind :80
    no log
    log {us}:514 local0
    balance roundrobin
    server a {us}:9000 check
    server b {us}:9001 check weight 3
""", cpus=4)
        rate = ab(url_of(number), count, at_once=100)
        boot.qmp("system_powerdown")
        text = boot.end(DONE)
    is_over.set()
    listener.join()
    log.close()
    resets = counted(text, "TcpEstabResets")
    if resets:
        raise Failed(f"{resets} connections were reset")
    # As a syslog server keeps them: without the priority, and with the name of the machine.
    path = os.path.join(LOGS, f"sessions{number}.log")
    with open(path, "wb") as file:
        for line in lines:
            file.write(re.sub(rb"^<134>(\w+ +\d+ [\d:]+) ", rb"\1 proxy ", line.rstrip(b"\n")) + b"\n")
    with open(path, "rb") as file:
        kept = sum(b" web web/" in line for line in file)
    if kept < 0.99 * count:
        raise Failed(f"of {count} sessions {kept} are in the log")
    known = int(command("sh", "-c", f"grep -F ' web web/' {path} | halog -q -E -c"))
    busy = command("sh", "-c", f"grep -F ' web web/' {path} | halog -ac 2 -ad 1 2>&1").decode()
    if known != kept or "0 parsing errors" not in busy:
        raise Failed(f"halog reads {known} lines of {kept}: {busy.strip()}")
    return f"{rate:.0f}/s; halog reads {known} lines"
