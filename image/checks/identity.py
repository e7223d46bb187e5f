"""What it finds out about itself: addresses, names and the time, from real servers and from wrong ones."""

import contextlib
import os
import sys
import tempfile

from judge import TREE, Failed, expect
from lab import HTTP, LOGS, TEST, ab, check, command, fetched, plugged, process, until, wire

# Its own folder comes last: some of its names are ours too.
sys.path.append(os.path.join(TREE, "apps/host/test"))
from servers import Dhcp, Liar, Server  # noqa: E402


@contextlib.contextmanager
def dnsmasq(number, *options):
    """A real dnsmasq on that wire: DHCP, DNS, router advertisements."""
    prefix = f"fd00:82:{number}::"
    with process("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", f"--interface=dut{number}",
                 "--except-interface=lo", "--bind-interfaces", "--no-resolv", "--no-hosts", "--pid-file=", "--no-ping",
                 f"--dhcp-leasefile={LOGS}/leases{number}", f"--dhcp-range=10.82.{number}.50,10.82.{number}.59,2m",
                 "--dhcp-option=option:T1,2", "--dhcp-option=option:T2,4", f"--dhcp-option=42,10.82.{number}.1",
                 "--enable-ra", f"--dhcp-range={prefix},ra-only,64,2m", *options) as running:
        yield running


@contextlib.contextmanager
def chronyd(number):
    """A real NTP server on that wire, which touches no clock (-x)."""
    with tempfile.TemporaryDirectory(dir=LOGS) as folder:
        config = os.path.join(folder, "conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"user root\npidfile {folder}/pid\ncmdport 0\nlocal stratum 3\nallow all\nbindaddress 10.82.{number}.1\n")
        with process("chronyd", "-x", "-d", "-f", config):
            yield


@check()
def finds_out_everything_when_told_nothing(start):
    """No ip=: DHCP, router advertisements, a name and the time, with an RTC that is months behind; its
    DHCP server goes and comes back."""
    number = wire()
    server = f"10.82.{number}.1"
    record = f"--host-record=log.example,{server},2"
    with Server(server, 514) as sink, chronyd(number), contextlib.ExitStack() as servers:
        servers.enter_context(dnsmasq(number, record))
        boot = start(f"{TEST} log=log.example,local3 -- server -v", card=plugged(number), cpus=2,
                     more=["-rtc", "base=2026-01-01T00:00:00"])
        own = boot.wait(rf"ip (10\.82\.{number}\.5\d)/24 on \S+, leased by 10\.82\.{number}\.1 for 120 s")[1]
        own6 = boot.wait(rf"ip (fd00:82:{number}:\S+)/64 on \S+, by router advertisement")[1]
        boot.wait(rf"gateway 10\.82\.{number}\.1 on ")
        boot.wait(rf"dns 10\.82\.{number}\.1")
        boot.wait(r"clock: RTC, 2026-01-01 00:0")
        offset_ms = boot.wait(rf"clock: time server 10\.82\.{number}\.1, stratum \d+, \d+ us away: set by \+(\d+)\.")[1]
        ab(f"{HTTP}{own}", 2_000)
        fetched(f"{HTTP}[{own6}]/")
        until("lines at the syslog server", lambda: any(b" penstock penstock: " in line for line in sink.heard))
        boot.wait(rf"ip {own} on \S+: renewed by 10\.82\.{number}\.1 for 120 s")
        servers.close()
        boot.wait(rf"ip {own} on \S+: 10\.82\.{number}\.1 is silent: rebinding")
        boot.wait(r"warning: dns: no answer about log\.example")
        servers.enter_context(dnsmasq(number, record))
        boot.wait(rf"dns: 10\.82\.{number}\.1 answers again")
        ab(f"{HTTP}{own}", 500)
    if int(offset_ms) < 86_400_000:
        raise Failed(f"the time was set by {offset_ms} ms only")
    return f"{own} and {own6}; the clock moved by {int(offset_ms) / 86_400_000:.0f} days; {len(sink.heard)} lines to syslog"


@check()
def follows_its_leases(start):
    """Leases of twelve seconds: renewed, expired, refused; all cores serve at the address of the moment."""
    number = wire()
    address = f"10.82.{number}."
    with Dhcp(f"dut{number}", address + "1", address + "70", 12) as server:
        boot = start(f"{TEST} -- server", card=plugged(number), cpus=4)
        boot.wait(rf"ip {address}70/24 on \S+, leased")
        boot.wait(rf"ip {address}70 on \S+: renewed")
        ab(f"{HTTP}{address}70", 2_000)
        server.is_silent = True
        boot.wait(rf"warning: ip {address}70 on \S+: the lease is over, the address lost")
        server.given, server.is_silent = address + "71", False
        boot.wait(rf"ip {address}71/24 on \S+, leased")
        ab(f"{HTTP}{address}71", 2_000)
        server.given = address + "72"
        boot.wait(rf"warning: ip {address}71 on \S+: refused by {address}1, the address lost")
        boot.wait(rf"ip {address}72/24 on \S+, leased")
        ab(f"{HTTP}{address}72", 2_000)


@check(("udp", False), ("tcp", True))
def believes_no_liar(start, over_tcp):
    """A name server that says everything that must not be believed, and then the truth."""
    number = wire()
    server = f"10.82.{number}.1"
    with Server(server, 514) as sink, Liar(server, server, over_tcp) as liar:
        boot = start(f"{TEST} ip=10.82.{number}.2::{server}:24:web7::off:{server} log=log.example -- server -v",
                     card=plugged(number), cpus=2)
        boot.wait("ready: serving")
        ab(f"{HTTP}10.82.{number}.2", 500)
        until("lines at the true address", lambda: any(b" web7 penstock: " in line for line in sink.heard))
    expect(boot.text(), rf"dns 10\.82\.{number}\.1")
    if over_tcp and not liar.asked_over_tcp:
        raise Failed("nobody asked over TCP")


@check()
def declines_what_another_has(start):
    """The address that is offered answers on the wire: another is used."""
    number = wire()
    address = f"10.82.{number}."
    with contextlib.ExitStack() as servers:
        command("ip", "address", "add", f"{address}50/24", "dev", f"dut{number}")
        servers.enter_context(dnsmasq(number, "--dhcp-sequential-ip", "--dhcp-broadcast"))
        boot = start(f"{TEST} -- server", card=plugged(number), cpus=2)
        boot.wait(rf"warning: ip {address}50 on \S+: \S+ has it: declined")
        own = boot.wait(rf"ip ({address}5[1-9])/24 on \S+, leased")[1]
        fetched(f"{HTTP}{own}/")
    return f"{own} in its place"
