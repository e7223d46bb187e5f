"""Configurations that are large for their machine: it serves, or says in a line what it has too little memory for."""

import os

from judge import REFUSED, Failed, expect
from lab import LOGS, TEST, check
from deliveries import archive, files

DEFAULTS = "defaults\n timeout connect 5s\n timeout client 1m\n timeout server 1m\n"
LISTEN = "listen web\n bind :80\n balance leastconn\n"


def servers(count):
    lines = (f" server s{at} 10.{at >> 16}.{at >> 8 & 255}.{at & 255}:80 check maxconn 100\n" for at in range(count))
    return DEFAULTS + LISTEN + "".join(lines)


LIST = "".join(f"10.{at >> 16}.{at >> 8 & 255}.{at & 255}\n" for at in range(60_000))
REJECT = " tcp-request connection reject if { src -f /etc/haproxy/bad.lst }\n"
TABLE = (" stick-table type ip size 10m expire 1h store conn_rate(10s),conn_cur\n"
         " tcp-request connection track-sc0 src\n")
SERVES = r"ready: serving"
TOO_LARGE = r"error: memory: the configuration: \d+ of \d+ KiB are in use, and \d+ bytes more are needed"

# Of a configuration: its text, a list that it names, and what machines of 8, 16 and 64 MB say of it.
LARGE = {
    "servers": (servers(3000), None, (rf"{TOO_LARGE}|error: nic .*: memory: its rings need \d+ KiB, and \d+ KiB are left",
                                      SERVES, SERVES)),
    "a-list": (servers(2) + REJECT, LIST, (TOO_LARGE, SERVES, SERVES)),
    "a-table": (servers(2) + TABLE, None, (r"error: memory: \d+ KiB are left for a core: expected \d+ \(\d+ KiB for stick tables\)",
                                           SERVES, SERVES)),
    "maxconn": ("global\n maxconn 1000000\n" + servers(2), None, (SERVES, SERVES, SERVES)),
}


@check(*((name, name) for name in LARGE))
def plans_its_memory_for(start, name):
    """None panics; the list and the table are read, not only their names."""
    configuration, patterns, sentences = LARGE[name]
    folder = files(f"large-{name}", configuration)
    if patterns:
        with open(os.path.join(folder, "bad.lst"), "w") as file:
            file.write(patterns)
    rooms = []
    for megabytes, sentence in zip((8, 16, 64), sentences):
        boot = start(f"{TEST} ip=10.0.0.2/24 -- proxy", f"{megabytes}", card="--netdev=none", memory=f"{megabytes}M",
                     more=["-initrd", archive(folder)])
        if sentence == SERVES:
            boot.wait(SERVES)
            rooms.append(boot.wait(r"stack: for each core (\d+) connections")[1])
            if name == "maxconn":
                boot.wait(r"warning: maxconn 1000000: there is memory for \d+ sessions at once")
        else:
            expect(boot.end(REFUSED), sentence)
            rooms.append("none")
        boot.stop()
    if rooms != sorted(rooms, key=lambda room: int(room) if room != "none" else 0):
        raise Failed(f"more memory, and fewer connections: {rooms}")
    return f"connections on 8, 16, 64 MB: {', '.join(rooms)}"
