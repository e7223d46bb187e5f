"""The checks, in the order in which they run. Each is a sentence, and gives its figure."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time

import clients
from clients import Responses, connect, fetch, get
from lab import LINUX, LINUX6, PATIENCE_S, PENSTOCK, PENSTOCK6, Failure, Host, Lab, expect, is_open, make_tap, process, run, tap, wait_for

URL = f"http://{PENSTOCK}"
SERVER = "-- server -a 0.0.0.0:80 -k"
# One period of what /bytes/N sends: apps/server/src/pattern.rs. A prime number of bytes, so that
# blocks that change places are noticed.
PATTERN = bytes((position * 2654435761 & 0xFFFFFFFF) >> 24 for position in range(65_521))


class Standing:
    """A host on a TAP of its own that serves at the beginning and is looked at in the end, when
    whatever expires by itself has had the time to."""

    TAP, LINUX, PENSTOCK = "dut1", "10.83.0.1", "10.83.0.2"

    def __init__(self, folder):
        self.lab = Lab(folder)
        make_tap(self.TAP, self.LINUX)

    def __enter__(self):
        boot = f"ip={self.PENSTOCK}/24 maxcpus=2 {SERVER}"
        self.host = Host(self.lab, boot, tap=self.TAP).__enter__()
        figures = ab(f"http://{self.PENSTOCK}/", 1000, 10)
        expect(figures["failed"] == 0, f"{figures['failed']} of 1,000 failed")
        self.since = time.monotonic()
        return self

    def __exit__(self, *error):
        self.host.__exit__(*error)


def boot_errors(lab):
    """A wrong command line stops with a line for each mistake, and exit code 1."""
    boot = "ip=10.0.0.300/24 maxcpu=2 sysctl.net.ipv4.tcp_sack=2 -- server -a nowhere -q"
    for wrong, words in [
        (boot, ["ip=10.0.0.300/24: expected", "did you mean maxcpus=", "tcp_sack=2: expected 0 or 1",
                "-a nowhere: expected", "-q: no such option"]),
        ("ip=10.0.0.2/24 -- sever", ["-- sever: expected an application", "did you mean server"]),
        ("ip=rarp", ["ip=rarp: expected dhcp, auto6, off"]),
        ("ip=dhcp log=:514", ["log=:514: expected host:port,facility"]),
    ]:
        with Host(lab, wrong, ready=False) as host:
            host.wait(1)
            for word in words:
                expect(word in host.text(), f"{wrong!r}: no {word!r} in {host.text()!r}")
    with Host(lab, f"ip={PENSTOCK}/24", tap="absent-tap-name-too-long", ready=False) as host:
        host.wait(1)
    return "every mistake named, exit code 1"


def transfers(lab):
    """curl gets and sends 1 byte to 100 MB, and every byte is the one that was sent."""
    megabytes = 0
    with lab.host(SERVER):
        for size in (1, 1447, 1448, 1449, 65_536, 1_000_000, 100_000_000):
            sent, back, down = lab.file("sent"), lab.file("back"), lab.file("down")
            with open(sent, "wb") as file:
                file.write((PATTERN * (size // len(PATTERN) + 1))[:size])
            curl("-T", sent, "-o", back, f"{URL}/echo")
            run("cmp", sent, back)
            curl("-o", down, f"{URL}/bytes/{size}")
            run("cmp", sent, down)
            megabytes += 3 * size / 1e6
    return f"{megabytes:.0f} MB, up, down and back, all equal"


def protocols(lab):
    """HTTP/1.0, IPv6, keep-alive and pipelining, by curl and by hand."""
    with lab.host(SERVER):
        expect("HTTP/1." in curl("-0", "-i", f"{URL}/"), "no answer to HTTP/1.0")
        for code in ("200", "204", "404", "503"):
            seen = curl("-o", os.devnull, "-w", "%{http_code}", f"{URL}/status/{code}", fail=False)
            expect(seen == code, f"/status/{code}: {seen}")
        connects = curl("-o", os.devnull, "-w", "%{num_connects} ", f"{URL}/bytes/[1-20]")
        expect(connects.split().count("1") == 1, f"20 requests, connections each: {connects}")
        curl("-g", "-o", os.devnull, f"http://[{PENSTOCK6}]/bytes/100000")
        with contextlib.closing(connect(PENSTOCK)) as client:
            client.sendall(b"".join(get(f"/bytes/{size}") for size in range(1, 301)))
            responses = Responses(client)
            sizes = [len(responses.next()[2]) for _ in range(300)]
            expect(sizes == list(range(1, 301)), "pipelined responses differ in order or length")
        with contextlib.closing(connect(PENSTOCK)) as client:
            for byte in get("/bytes/3", close=True):
                client.sendall(bytes([byte]))
            expect(Responses(client).next()[0] == 200, "a request byte by byte")
    return "HTTP/1.0, IPv6, 20 requests on one connection, 300 in one write"


def short(lab):
    """ab and wrk, a connection for each request: none fails."""
    with lab.host(SERVER) as host:
        figures = ab(f"{URL}/", 30_000, 64)
        expect(figures["failed"] == 0, f"ab: {figures['failed']} failed")
        rate = wrk(f"{URL}/", 3, "-H", "Connection: close")
        total, _ = host.counters()
        expect(total["TcpExtTCPAbortOnTimeout"] == 0, "connections ended by a timeout")
    return f"ab {figures['rate']:.0f}/s, wrk {rate:.0f}/s"


def keepalive(lab):
    """ab and wrk with keep-alive: none fails."""
    with lab.host(SERVER):
        figures = ab(f"{URL}/", 100_000, 64, "-k")
        expect(figures["failed"] == 0, f"ab: {figures['failed']} failed")
        expect(figures["kept"] >= 99_000, f"ab: only {figures['kept']} requests on kept connections")
        rate = wrk(f"{URL}/", 3)
    return f"ab {figures['rate']:.0f}/s, wrk {rate:.0f}/s"


def parallel(lab):
    """10,000 connections at once, each of which is served, and once again when all are there."""
    count = 10_000
    with lab.host(SERVER) as host:
        held, served = [], 0
        while len(held) < count:
            # Who has not asked within ten seconds has to go.
            held += (few := clients.parallel(PENSTOCK, 200))
            served += clients.answers(few, get())
        total, cores = host.counters()
        expect(total["Connections"] == count, f"{total['Connections']} of {count} connections")
        served += clients.answers(held, get())
        expect(served == 2 * count, f"{served} of {2 * count} served")
        for client in held:
            client.close()
        wait_for(lambda: host.counters()[0]["Connections"] == 0, "all connections end")
        share = "/".join(str(core["Connections"]) for core in cores)
    return f"{count} at once ({share} on each core), all served twice"


def proxy(lab):
    """200,000 connections through one address to one nginx, and none fails."""
    count = 200_000
    with backend(lab), lab.host(f"-- server -a 0.0.0.0:80 -x {LINUX}:8081") as host:
        figures = ab(f"{URL}/", count, 64, seconds=400)
        expect(figures["failed"] == 0, f"{figures['failed']} of {count} failed")
        total, _ = host.counters()
        expect(total["TcpActiveOpens"] >= count, f"only {total['TcpActiveOpens']} to the backend")
        expect(total["TcpActivePortsExhausted"] == 0, "ports ran out")
    return f"{count} at {figures['rate']:.0f}/s, {total['TcpActiveOpens']} connections to nginx"


def reuse(lab):
    """Ports are used again out of our own TIME-WAIT, a second after: clients close first, 6,000
    connections over 2,048 ports, 1,500 a second."""
    count, ports = 6000, 2048
    boot = "sysctl.net.ipv4.ip_local_port_range=40960-43007"
    with backend(lab), lab.host(f"{boot} -- server -a 0.0.0.0:80 -k -x {LINUX}:8081") as host:
        failed = clients.first_to_close(PENSTOCK, count, 1500)
        expect(failed == 0, f"{failed} of {count} failed")
        total, _ = host.counters()
        expect(total["TcpExtTWRecycled"] >= count - 2 * ports, f"{total['TcpExtTWRecycled']} reused")
    return f"{count} connections over {ports} ports, {total['TcpExtTWRecycled']} ports reused"


def relay(lab):
    """Through the proxy: 100 MB unchanged both ways, half-close, IPv6, and 502 without a backend."""
    with backend(lab) as folder:
        big = os.path.join(folder, "big")
        with open(big, "wb") as file:
            file.write(os.urandom(1 << 20) * 96)
        with lab.host(f"-- server -a 0.0.0.0:80 -x {LINUX}:8081 -x {LINUX}:8082"):
            curl("-o", lab.file("down"), f"{URL}/files/big")
            run("cmp", big, lab.file("down"))
            curl("-T", lab.file("down"), f"{URL}/put/up")
            run("cmp", big, os.path.join(folder, "put/up"))
        half_close(lab)
        with lab.host(f"-- server -a 0.0.0.0:80 -x {LINUX}:8099"):
            expect(fetch(PENSTOCK)[0] == 502, "a dead backend was not answered with 502")
    return "96 MiB down and up, 10 MB to a half-closed client, all equal; 502 without a backend"


def half_close(lab):
    """A client that has said all still gets its answer from a server that waited for that."""
    said = PATTERN * 160
    boot = f"-- server -a 0.0.0.0:80 -x [{LINUX6}]:8083"
    with clients.patient_server(LINUX6, 8083), lab.host(boot):
        with contextlib.closing(connect(PENSTOCK6)) as client:
            client.settimeout(30)
            client.sendall(said)
            client.shutdown(socket.SHUT_WR)
            expect(Responses(client).rest() == said, "a half-closed client got something else")


def cores(lab):
    """One worker that is not the first core: what arrives elsewhere finds it by mail."""
    with lab.host(f"maxcpus=2 {SERVER} -w 1 -c 1") as host:
        figures = ab(f"{URL}/", 3000, 32)
        expect(figures["failed"] == 0, f"{figures['failed']} of 3,000 failed")
        _, (first, second) = host.counters()
        expect(first["TcpPassiveOpens"] == 0, "the first core accepted connections")
        expect(second["TcpPassiveOpens"] >= 3000, "the second core did not accept all")
        expect(first["RfdMisdirected"] > 0, "no frame crossed from the first core")
    return f"3,000 at the second of two cores, {first['RfdMisdirected']} frames by mail"


def interfaces(lab):
    """Clients in front on one interface, backends behind on another."""
    device, linux = "dut2", "10.84.0.1"
    boot = f"ip=10.84.0.2/24:::::eth1 -- server -a {PENSTOCK}:80 -x {linux}:8081"
    with tap(device, linux), backend(lab, linux), lab.host(boot, options=["--tap", device]) as host:
        figures = ab(f"{URL}/", 3000, 32)
        expect(figures["failed"] == 0, f"{figures['failed']} of 3,000 failed")
        expect(not is_open("10.84.0.2", 80), "it listens at the back, too")
        expect(host.counters()[0]["TcpActiveOpens"] >= 3000, "not all went to the backend")
    return "3,000 connections from one interface to the other"


def slow(lab):
    """2,000 clients that never come to the end of a request keep nobody from being served, and are
    told so when their time is over."""
    count = 2000
    with lab.host(SERVER):
        held = clients.parallel(PENSTOCK, count, say=b"GET / HTTP/1.1\r\nHost: penst")
        begin = time.monotonic()
        served = clients.honest(PENSTOCK, 100)
        expect(served == 100, f"only {served} of 100 others were served")
        told = clients.answers(held, b"", status=b"408")
        expect(told == count, f"{count - told} of {count} were not told that they are late")
        for client in held:
            client.close()
    return f"100 served beside {count}, who were told within {time.monotonic() - begin:.0f} s"


def flood(lab):
    """hping3 floods SYNs from random sources whose answers nobody gets; honest clients are served."""
    count = 1000
    boot = "sysctl.net.ipv4.tcp_synack_retries=1 sysctl.net.ipv4.tcp_max_syn_backlog=1024"
    hping = ["hping3", "--flood", "--rand-source", "-S", "-p", "80", "-q", PENSTOCK]
    with lab.host(f"{boot} {SERVER}") as host:
        with process(hping, lab.file("hping3.log")):
            wait_for(lambda: host.counters()[0]["TcpExtSyncookiesSent"] > 50_000, "cookies go out", 2 * PATIENCE_S)
            served = clients.honest(PENSTOCK, count)
        total, _ = host.counters()
        expect(served >= count * 0.99, f"only {served} of {count} honest clients served")
        expect(total["TcpExtSyncookiesRecv"] > 0, "no cookie came back")
        wait_for(lambda: host.counters()[0]["HalfOpen"] == 0, "half-open connections expire", 2 * PATIENCE_S)
    return (
        f"{served} of {count} served while {total['TcpExtSyncookiesSent']} cookies went out, "
        f"{total['TcpExtSyncookiesRecv']} came back"
    )


def faults(lab):
    """Loss, reordering, damage and duplicates both ways: everything arrives, and arrives intact."""
    boot = "fault=loss=1%,reorder=2%,corrupt=0.1%,duplicate=1%,seed=7"
    with lab.host(f"{boot} {SERVER}") as host:
        figures = ab(f"{URL}/", 3000, 64, "-s", "60")
        expect(figures["failed"] == 0, f"{figures['failed']} of 3,000 failed")
        sent = lab.file("sent")
        with open(sent, "wb") as file:
            file.write(os.urandom(5_000_000))
        curl("-T", sent, "-o", lab.file("back"), f"{URL}/echo")
        run("cmp", sent, lab.file("back"))
        total, _ = host.counters()
        for name in ("FaultLost", "FaultReordered", "FaultCorrupted", "FaultDuplicated"):
            expect(total[name] > 0, f"{name} is 0")
        bad = total["TcpInCsumErrors"] + total["IpInCsumErrors"]
        expect(bad > 0, "no checksum was ever wrong")
    return f"3,000 connections and 10 MB intact; {total['FaultLost']} frames lost, {bad} damaged"


def scramble(lab):
    """Flows brought to cores by a hash that the stack does not know: active connections find their
    core by mail."""
    if os.cpu_count() < 2:
        raise Failure("needs two cores")
    count = 5000
    boot = f"maxcpus=2 steer=scramble fault=seed=3 -- server -a 0.0.0.0:80 -x {LINUX}:8081"
    with backend(lab), lab.host(boot) as host:
        figures = ab(f"{URL}/", count, 32)
        expect(figures["failed"] == 0, f"{figures['failed']} of {count} failed")
        total, cores = host.counters()
        for core in cores:
            expect(core["RfdHits"] > 0, "a core without a hit")
            expect(core["RfdMisdirected"] > 0, "a core from which no frame crossed")
        expect(total["FaultMisdelivered"] > 0, "nothing was misdelivered")
    return f"{count} proxied; RFD {total['RfdHits']} hits, {total['RfdMisdirected']} frames by mail"


def scan(lab):
    """Port scans of every kind find the open port, and leave nothing behind."""
    boot = "sysctl.net.ipv4.icmp_msgs_per_sec=1000000 sysctl.net.ipv4.tcp_synack_retries=1"
    probes = 0
    with lab.host(f"{boot} {SERVER}") as host:
        for kind in ("-sS", "-sT", "-sN", "-sF", "-sX", "-sA", "-sM", "-sU"):
            ports = "1-200" if kind == "-sU" else "1-3000"
            text = run("nmap", "-n", "-Pn", "-T4", "--max-retries", "10", kind, "-p", ports, PENSTOCK)
            if kind in ("-sS", "-sT"):
                expect(re.search(r"^80/tcp\s+open", text, re.M), f"nmap {kind}: {text}")
        text = run("nmap", "-n", "-Pn", "-T5", "-f", "-sS", "-p", "80", PENSTOCK)
        text = run("nmap", "-n", "-Pn", "-T5", "-O", "-sV", "-p", "80,81", PENSTOCK)
        probes = host.counters()[0]["IfInFrames"]
        expect(fetch(PENSTOCK)[0] == 200, "no answer after the scans")
        wait_for(lambda: host.counters()[0]["HalfOpen"] == 0, "half-open connections expire", 2 * PATIENCE_S)
    return f"{probes} frames by nmap, still there, tables empty"


def soft_stop(lab):
    """A stop lets running responses finish and nobody new in; what does not end in time is told."""
    with lab.host(SERVER) as host:
        with contextlib.closing(connect(PENSTOCK)) as running:
            running.sendall(get("/delay/5000", close=True))
            wait_for(lambda: host.counters()[0]["Connections"] == 1, "the request runs")
            host.child.send_signal(signal.SIGTERM)
            wait_for(lambda: "stopping" in host.text(), "it stops")
            wait_for(lambda: not is_open(PENSTOCK, 80), "nobody new is let in")
            expect(Responses(running).next()[0] == 200, "the running response was cut off")
        host.wait(0)
    with lab.host(SERVER, options=["--grace", "1"]) as host:
        with contextlib.closing(connect(PENSTOCK)) as stuck:
            stuck.sendall(get("/delay/60000"))
            wait_for(lambda: host.counters()[0]["Connections"] == 1, "the request runs")
            host.stop(code=2)
    return "a running response finished; one without end was counted, exit code 2"


def idle(lab):
    """At rest, with 100 idle connections, it uses no processor time to speak of."""
    with lab.host(SERVER) as host:
        held = clients.parallel(PENSTOCK, 100)
        expect(clients.answers(held, get()) == 100, "not all served")
        before, begin = host.cpu_seconds(), time.monotonic()
        with contextlib.suppress(subprocess.TimeoutExpired):
            host.child.wait(3)
        share = (host.cpu_seconds() - before) / (time.monotonic() - begin)
        for client in held:
            client.close()
        expect(share < 0.02, f"{share:.1%} of a processor at rest")
    return f"{share:.1%} of a processor"


def census(lab):
    """A minute after the last connection, what expires by itself has expired: every table is empty."""
    standing = lab.standing

    def left():
        total, _ = standing.host.counters()
        names = ("Connections", "HalfOpen", "TimeWait", "Flights", "ChunksUsed", "Waiting", "Timers")
        return not any(total[name] for name in names)

    wait_for(left, "all tables are empty", 3 * PATIENCE_S)
    return f"all tables empty {time.monotonic() - standing.since:.0f} s after 1,000 connections"


def backend(lab, address=LINUX):
    """nginx behind the proxy, on two ports: a word, files, and uploads."""
    server = (
        "server {{ listen {address}:{port} backlog=16384; keepalive_requests 1000000;"
        ' location / {{ return 200 "backend\\n"; }}'
        " location /files/ {{ alias {folder}/nginx/; }}"
        " location /put/ {{ root {folder}/nginx; dav_methods PUT; create_full_put_path on; }} }}"
    )
    pair = (server.format(address=address, port=port, folder=lab.folder) for port in (8081, 8082))
    return lab.nginx("\n".join(pair))


def curl(*arguments, fail=True):
    return run("curl", "-sS", *(["--fail"] if fail else []), *arguments)


def ab(url, count, at_once, *more, seconds=2 * PATIENCE_S):
    """Failed and kept requests, and the rate, of `count` requests by ab."""
    text = run("ab", "-q", "-n", str(count), "-c", str(at_once), *more, url, seconds=seconds)
    number = lambda name: float((re.search(rf"^{name}:\s+([\d.]+)", text, re.M) or [0, 0])[1])
    complete = number("Complete requests")
    failed = number("Failed requests") + number("Non-2xx responses") + count - complete
    rate = number("Requests per second")
    return {"failed": int(failed), "kept": number("Keep-Alive requests"), "rate": rate}


def wrk(url, seconds, *more):
    """Requests a second by wrk, none of which may fail."""
    text = run("wrk", "-t", "2", "-c", "64", "-d", f"{seconds}s", "--timeout", f"{PATIENCE_S}s", *more, url)
    for wrong in ("Socket errors", "Non-2xx"):
        expect(wrong not in text, f"wrk: {text}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])


ALL = [
    boot_errors, transfers, protocols, short, keepalive, parallel, proxy, reuse, relay, cores,
    interfaces, slow, flood, faults, scramble, scan, soft_stop, idle, census,
]
