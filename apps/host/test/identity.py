"""The checks of the control plane: addresses, names and the time, against real servers and wrong ones."""

import contextlib
import glob
import re
import socket
import time

from clients import Responses, connect, fetch, get
from lab import LINUX, PATIENCE_S, TAP, Host, expect, is_open, run, wait_for
from networks import addresses, chronyd, dnsmasq
from servers import Dhcp, Liar, Server

SERVER = "-- server -a 0.0.0.0:80 -k -v"


def behind(seconds):
    """A program of which the time of day is wrong, and the monotonic clock is not."""
    library = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1") + glob.glob("/usr/lib/faketime/libfaketimeMT.so.1")
    expect(library, "no libfaketime: apt-get install -y libfaketime")
    return ["env", f"LD_PRELOAD={library[0]}", f"FAKETIME=-{seconds}", "FAKETIME_DONT_FAKE_MONOTONIC=1"]


def announce(address):
    """Linux's station says that it has an address (RFC 5227 section 2.3)."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as port:
        port.bind((TAP, 0x0806))
        own, addr = port.getsockname()[4], socket.inet_aton(address)
        port.send(b"\xff" * 6 + own + bytes.fromhex("0806000108000604 0001") + own + addr + bytes(6) + addr)


def said(host, pattern, what, seconds=PATIENCE_S):
    """What the host has said, once it has."""
    return wait_for(lambda: re.search(pattern, host.text(), re.M), what, seconds)


def served(address):
    """A connection that has been served once, and may wait for a minute: one that says nothing has ten seconds."""
    client = connect(address)
    client.sendall(get())
    expect(Responses(client).next()[0] == 200, f"no answer from {address}")
    return client


def dhcp(lab):
    """dnsmasq gives an address, a gateway, names and an IPv6 prefix; goes, comes back, and nobody notices."""
    advertise = ["--enable-ra", "--dhcp-range=fd82::,ra-only,64,2m", "--ra-param=dut0,5,60"]
    with Server(LINUX, 514) as sink, contextlib.ExitStack() as server:
        record = f"--host-record=log.example,{LINUX},2"
        server.enter_context(dnsmasq(lab, *advertise, record))
        with Host(lab, f"maxcpus=2 log=log.example,local3 {SERVER}") as host:
            own = said(host, r"^ip (10\.82\.0\.5\d)/24 on dut0, leased by 10\.82\.0\.1 for 120 s$", "a lease")[1]
            for line in (r"^clock: the host's, \d{4}-", rf"^gateway {LINUX} on dut0$", rf"^dns {LINUX}"):
                said(host, line, line)
            own6 = said(host, r"^ip (fd82::\S+)/64 on dut0, by router advertisement$", "a prefix")[1]
            expect(fetch(own)[0] == 200, "no answer by IPv4")
            expect(fetch(own6)[0] == 200, "no answer by IPv6")
            said(host, rf"^ip {own} on dut0: renewed by {LINUX} for 120 s$", "a renewal")
            wait_for(lambda: any(b"accepted" in line for line in sink.heard), "lines of the application in the log")
            expect(all(line.startswith(b"<15") and b" penstock penstock: " in line for line in sink.heard),
                   f"syslog lines: {sink.heard[:3]}")
            with contextlib.closing(served(own)) as held:
                server.close()
                said(host, rf"^ip {own} on dut0: {LINUX} is silent: rebinding$", "that the server is gone")
                said(host, r"^warning: dns: no answer about log\.example$", "that nobody answers")
                server.enter_context(dnsmasq(lab, *advertise, record))
                # By either of its addresses: it has told of both.
                said(host, r"^dns: \S+ answers again$", "that the server is back")
                held.sendall(get())
                expect(Responses(held).next()[0] == 200, "the connection was cut")
    return f"{own} and {own6}, renewed, its server gone and back; {len(sink.heard)} lines to syslog"


def lease(lab):
    """A lease of ten seconds that nobody renews: address and connections go; another address comes."""
    with Dhcp(TAP, LINUX, "10.82.0.70", 10) as server, Host(lab, SERVER) as host:
        said(host, r"^ip 10\.82\.0\.70/24 on dut0, leased by 10\.82\.0\.1 for 10 s$", "a lease")
        said(host, r"^ip 10\.82\.0\.70 on dut0: renewed", "a renewal")
        with contextlib.closing(served("10.82.0.70")) as held:
            wait_for(lambda: host.counters()[0]["Connections"] == 1, "a connection")
            server.is_silent = True
            said(host, r"^warning: ip 10\.82\.0\.70 on dut0: the lease is over, the address lost$", "its end")
            wait_for(lambda: host.counters()[0]["Connections"] == 0, "the connection ends")
            held.settimeout(1)
            run("ip", "neighbour", "flush", "dev", TAP)
            expect(not is_open("10.82.0.70", 80), "it still answers for the address")
        server.given, server.is_silent = "10.82.0.71", False
        said(host, r"^ip 10\.82\.0\.71/24 on dut0, leased", "another address")
        expect(fetch("10.82.0.71")[0] == 200, "no answer from the new address")
        server.given = "10.82.0.72"
        said(host, r"^warning: ip 10\.82\.0\.71 on dut0: refused by 10\.82\.0\.1, the address lost$", "a refusal")
        said(host, r"^ip 10\.82\.0\.72/24 on dut0, leased", "a third address")
        expect(fetch("10.82.0.72")[0] == 200, "no answer from the third address")
    return "expired, refused, and served at each of three addresses"


def conflict(lab):
    """The address that dnsmasq offers is Linux's: it is declined, and another is used. One given by hand
    is used all the same, and told of."""
    with addresses("10.82.0.50"), dnsmasq(lab, "--dhcp-sequential-ip", "--dhcp-broadcast"):
        with Host(lab, SERVER) as host:
            said(host, r"^warning: ip 10\.82\.0\.50 on dut0: \S+ has it: declined, another in 10 s$", "a conflict")
            own = said(host, r"^ip (10\.82\.0\.5[1-9])/24 on dut0, leased", "another address")[1]
            expect(fetch(own)[0] == 200, "no answer from the other address")
    with addresses("10.82.0.90"), Host(lab, f"ip=10.82.0.90/24 {SERVER}", name="by-hand") as host:
        announce("10.82.0.90")
        said(host, r"^warning: ip 10\.82\.0\.90 on dut0: \S+ has it too$", "a conflict")
    return f"declined for {own}; one by hand kept, with a line"


def names(lab):
    """A name server that is silent and one that lies, over UDP and TCP: the truth is what counts."""
    with addresses("10.82.0.3", "10.82.0.4", "10.82.0.5"), Server("10.82.0.3", 53) as silent, \
            Server("10.82.0.5", 514) as sink:
        for over_tcp in (False, True):
            with Liar("10.82.0.4", "10.82.0.5", over_tcp) as liar:
                boot = f"ip=10.82.0.2::{LINUX}:24:web7::off:10.82.0.3:10.82.0.4 log=logs.example"
                sink.heard.clear()
                with Host(lab, f"{boot} {SERVER}", name=f"tcp-{over_tcp}") as host:
                    said(host, r"^dns 10\.82\.0\.3, 10\.82\.0\.4$", "its name servers")
                    time.sleep(1)
                    wait_for(lambda: fetch("10.82.0.2")[0] == 200 and sink.heard, "lines at the true address")
                expect(b" web7 penstock: " in sink.heard[0], f"{sink.heard[0]!r}")
                expect(not over_tcp or liar.asked_over_tcp > 0, "nobody asked over TCP")
                ports = len(liar.heard)
        expect(len(silent.heard) > 0, "the first server was not asked")
    return f"{ports} questions, all lies survived, the first server never answered"


def clock(lab):
    """A machine whose clock is two hours slow, and a real NTP server."""
    with chronyd(lab), Server(LINUX, 514) as sink:
        boot = f"ip=10.82.0.2::{LINUX}:24::dut0:off:::{LINUX} log={LINUX} {SERVER}"
        with Host(lab, boot, wrap=behind(7200)) as host:
            began = said(host, r"^clock: the host's, (\S+ \S+) UTC$", "its own clock")[1]
            line = said(host, rf"^clock: time server {LINUX}, stratum \d+, (\d+) us away: set by (\S+) ms, (\S+ \S+) UTC$",
                        "the time")
            away_ms, offset_ms, now = int(line[1]) / 1000, float(line[2]), line[3]
            expect(abs(offset_ms - 7_200_000) < 2_000 + away_ms, f"set by {offset_ms} ms, not two hours")
            expect(began[:10] <= now[:10], "the wrong day")
            expect(fetch("10.82.0.2")[0] == 200, "no answer")
            minute = lambda: time.strftime("%H:%M", time.gmtime()).encode()
            wait_for(lambda: any(minute() in heard for heard in sink.heard), "a line with the right time")
    return f"{began} became {now}, {offset_ms:+.0f} ms"


ALL = [dhcp, lease, conflict, names, clock]
