"""Networks in which a machine finds out who it is: real servers on Linux's side of the TAP."""

import contextlib
import os

from lab import LINUX, TAP, process, run, wait_for


@contextlib.contextmanager
def dnsmasq(lab, *options, leases=True):
    """A real dnsmasq on Linux's side: DHCP, DNS, router advertisements."""
    log = lab.file("dnsmasq.log")
    command = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--log-facility=-",
               f"--interface={TAP}", "--except-interface=lo", "--bind-interfaces", "--no-resolv", "--no-hosts",
               "--pid-file=", f"--dhcp-leasefile={lab.file('leases')}", "--no-ping", "--log-dhcp"]
    if leases:
        command += ["--dhcp-range=10.82.0.50,10.82.0.59,2m", "--dhcp-option=option:T1,2", "--dhcp-option=option:T2,4"]
    with process([*command, *options], log):
        wait_for(lambda: "started" in read(log), "dnsmasq starts")
        yield log


@contextlib.contextmanager
def chronyd(lab):
    """A real NTP server that touches no clock (-x)."""
    folder = os.path.join(lab.folder, "chrony")
    os.makedirs(folder, mode=0o750)
    config = os.path.join(folder, "conf")
    with open(config, "w", encoding="ascii") as file:
        file.write(f"user root\npidfile {folder}/pid\ncmdport 0\nlocal stratum 3\nallow all\nbindaddress {LINUX}\n")
    log = lab.file("chronyd.log")
    with process(["chronyd", "-x", "-d", "-f", config], log):
        wait_for(lambda: "Disabled control of system clock" in read(log), "chronyd starts")
        yield


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


@contextlib.contextmanager
def addresses(*more):
    """More addresses on Linux's side, for servers of their own."""
    for address in more:
        run("ip", "address", "add", f"{address}/24", "dev", TAP)
    try:
        yield
    finally:
        for address in more:
            run("ip", "address", "del", f"{address}/24", "dev", TAP)
