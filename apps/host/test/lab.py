"""The laboratory of the host test: a network namespace with a TAP device in it, processes that end
with whoever started them, and penstock-host with its counters.

Addresses: Linux has 10.82.0.1 and fd82::1 on its end of the TAP, Penstock 10.82.0.2 and fd82::2 on
the other. Everything runs inside one network namespace and one process namespace (see host-test),
so nothing outlives the run, and nothing is sent to any other machine.
"""

import contextlib
import ctypes
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

LINUX, PENSTOCK = "10.82.0.1", "10.82.0.2"
LINUX6, PENSTOCK6 = "fd82::1", "fd82::2"
TAP = "dut0"
ADDRESSES = f"ip={PENSTOCK}/24 ip={PENSTOCK6}/64 gateway={LINUX}"


ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
TARGET = os.environ.get("CARGO_TARGET_DIR") or os.path.join(ROOT, "target")
BINARY = os.path.join(TARGET, "release", "penstock-host")
INSIDE = "PENSTOCK_LABORATORY"
# So long is waited for what comes as soon as the machine has time for it.
PATIENCE_S = 60


class Failure(Exception):
    """What a check found wrong, as a sentence."""


def expect(holds, sentence):
    """A check fails with this sentence unless it holds."""
    if not holds:
        raise Failure(sentence)


def wait_for(look, what, seconds=PATIENCE_S):
    """Looks until it is true, and gives what was seen."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise Failure(f"waited {seconds} s in vain: {what}")
        time.sleep(0.003)


def end_with_parent():
    """From now on this process is killed when the one that started it ends, however that is (prctl(2),
    PR_SET_PDEATHSIG), also as the program that it becomes."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def enter():
    """Has this program where it owns the network and the processes: started again in namespaces, or,
    the second time, with its TAP device. Whoever ends it, or its parent, ends all that is inside."""
    name = os.path.basename(sys.argv[0])
    if INSIDE in os.environ:
        for number in (signal.SIGTERM, signal.SIGINT):
            # The first process of a namespace ignores what it does not handle, and takes along all others.
            signal.signal(number, lambda number, _: os._exit(128 + number))
        prepare()
        return
    end_with_parent()
    # Where Debian keeps servers and network tools, whoever asks.
    os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"
    separate = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        separate.append("--map-root-user")
    tried = subprocess.run([*separate, "true"], stderr=subprocess.DEVNULL, check=False)
    if tried.returncode != 0 or not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        sys.exit(f"{name}: needs root, or user namespaces and a /dev/net/tun open to this user")
    os.environ[INSIDE] = "1"
    os.execvp(separate[0], [*separate, sys.executable, *sys.argv])


def folder(name):
    """An empty place for the logs of `name`."""
    path = os.path.join(TARGET, "host-test", name)
    shutil.rmtree(path, ignore_errors=True)
    return path


def last_words(path, count=12, prefix=""):
    """The end of each log in a folder: where only what is printed survives, nothing else says what happened."""
    said = ""
    for name in sorted(os.listdir(path)):
        if name.startswith(prefix) and name.endswith(".log"):
            with open(os.path.join(path, name), encoding="utf-8", errors="replace") as log:
                said += "".join(f"     {name}: {line}\n" for line in log.read().splitlines()[-count:])
    return said


def prepare():
    """The namespace: loopback, the TAP with its addresses, and ports enough for hard clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    run("ip", "link", "set", "lo", "up")
    make_tap(TAP, LINUX, LINUX6)
    for name, value in {
        "net.ipv4.ip_local_port_range": "1024 65535",
        # No client's own port may be where a backend, or haproxy, is to listen.
        "net.ipv4.ip_local_reserved_ports": "8000-8999",
        # A cable that is pulled takes no address along.
        f"net.ipv6.conf.{TAP}.keep_addr_on_down": "1",
        # Its router advertisements are for the other end.
        f"net.ipv6.conf.{TAP}.accept_ra": "0",
        "net.ipv4.tcp_tw_reuse": "1",
        "net.ipv4.tcp_max_syn_backlog": "16384",
        "net.core.somaxconn": "16384",
        # Linux is as patient with an address that nobody has as whoever connects to it.
        f"net.ipv4.neigh.{TAP}.mcast_solicit": "60",
    }.items():
        set_sysctl(name, value)


def set_sysctl(name, value):
    with open("/proc/sys/" + name.replace(".", "/"), "w", encoding="ascii") as knob:
        knob.write(value)


def make_tap(name, address, address6=None):
    """A TAP device that lasts until somebody deletes it, so that a process may come and go."""
    run("ip", "tuntap", "add", name, "mode", "tap", "multi_queue")
    run("ip", "address", "add", f"{address}/24", "dev", name)
    if address6:
        run("ip", "-6", "address", "add", f"{address6}/64", "dev", name, "nodad")
    run("ip", "link", "set", name, "up")
    if address6:
        # Linux makes it when it has time for that.
        own = ("ip", "-6", "route", "show", "table", "local", address6, "dev", name)
        wait_for(lambda: run(*own), f"a route to {address6}")


@contextlib.contextmanager
def tap(name, address):
    """A TAP device for as long as the block."""
    make_tap(name, address)
    try:
        yield
    finally:
        run("ip", "link", "delete", name)


def listening(kind):
    """Addresses and ports that are open on Linux's side, of "tcp", "tcp6", "udp" or "udp6"."""
    with open(f"/proc/net/{kind}", encoding="ascii") as table:
        lines = [line.split() for line in table.readlines()[1:]]
    # TCP_LISTEN and TCP_CLOSE: a datagram socket without a peer.
    ours = [line[1].split(":") for line in lines if line[3] == ("0A" if kind.startswith("tcp") else "07")]
    family = socket.AF_INET6 if kind.endswith("6") else socket.AF_INET
    words = [re.findall("." * 8, address) for address, _ in ours]
    packed = [b"".join(bytes.fromhex(word)[::-1] for word in each) for each in words]
    return {(socket.inet_ntop(family, address), int(port, 16)) for address, (_, port) in zip(packed, ours)}


def settle(child):
    """Waits until a process has done what there was to do. Whom a packet wakes is runnable from then on;
    who sleeps, or has slept since, has seen to everything before."""
    # What Linux has put off is done by then.
    time.sleep(0.003)
    before = sleeps(child.pid)

    def look():
        now = sleeps(child.pid)
        # Who is stopped from outside counts that as a sleep: two of them are one for certain.
        return all(is_asleep or count > before.get(task, (0, 0))[1] + 1 for task, (is_asleep, count) in now.items())

    wait_for(look, "a process comes to rest")


def sleeps(pid):
    """Of each thread, whether it sleeps, and how often it has gone to sleep so far."""
    seen = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f"/proc/{pid}/task/{task}/status", encoding="utf-8", errors="replace") as status:
                text = status.read()
            state, count = re.search(r"^State:\t(\w).*^voluntary_ctxt_switches:\t(\d+)$", text, re.M | re.S).groups()
            seen[task] = state == "S", int(count)
    return seen


def run(*command, seconds=2 * PATIENCE_S, accept=(0,)):
    """Runs a command to its end and gives what it printed; fails when it does."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds, check=False
    )
    text = done.stdout.decode(errors="replace")
    expect(done.returncode in accept, f"{' '.join(command)}: exit {done.returncode}: {text[-500:]}")
    return text


@contextlib.contextmanager
def process(command, log):
    """A process that writes into the file `log`, and has ended when the block has."""
    with open(log, "ab") as output:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            yield child
        finally:
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(10)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()


class Host:
    """penstock-host with one boot string. Ends softly with its block, and must then be clean."""

    def __init__(self, lab, boot, tap=TAP, options=(), name="penstock-host", ready=True, wrap=()):
        self.log = os.path.join(lab.folder, f"{name}.log")
        self.command = [*wrap, BINARY, "--tap", tap, "--stats", *options, boot]
        self.ready = ready
        self.is_ended = False
        with open(os.path.join(lab.folder, "commands"), "a", encoding="utf-8") as commands:
            commands.write(" ".join(map(repr, self.command)) + "\n")

    def __enter__(self):
        open(self.log, "wb").close()
        self.context = process(self.command, self.log)
        self.child = self.context.__enter__()
        if self.ready:
            wait_for(lambda: self.has_ended() or "ready in" in self.text(), "the host is ready")
            expect(not self.has_ended(), f"the host did not start: {self.text()}")
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is None and not self.is_ended:
                self.stop()
        finally:
            self.context.__exit__(kind, error, trace)

    def has_ended(self):
        return self.child.poll() is not None

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def stop(self, code=0, seconds=PATIENCE_S):
        """Asks it to end; it must, with this exit code: 0 says that no table held anything."""
        self.child.send_signal(signal.SIGTERM)
        self.wait(code, seconds)

    def wait(self, code, seconds=PATIENCE_S):
        """Waits for its end."""
        try:
            ended = self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"the host did not end within {seconds} s") from None
        self.is_ended = True
        last = self.text().strip().splitlines()[-3:]
        expect(ended == code, f"the host ended with {ended}, not {code}: {' | '.join(last)}")

    def counters(self):
        """The counters of all cores together, and by core: `total["TcpInSegs"]`, `cores[0]`."""
        begin = os.path.getsize(self.log)
        self.child.send_signal(signal.SIGUSR1)
        lines = r"^core(\d+)\.(\w+) (\d+)$"

        def complete():
            with open(self.log, encoding="utf-8", errors="replace") as log:
                log.seek(begin)
                text = log.read()
            return text if text.count(".ClockUs ") == self.cores() else None

        cores = [Counts() for _ in range(self.cores())]
        total = Counts()
        for core, name, value in re.findall(lines, wait_for(complete, "counters"), re.M):
            cores[int(core)][name] += int(value)
            total[name] += int(value)
        return total, cores

    def cores(self):
        return int(re.search(r"queues (\d+)", self.text()).group(1))

    def cpu_seconds(self):
        """Processor time that it has used so far."""
        with open(f"/proc/{self.child.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Counts(dict):
    """Counters by name; what was not printed is 0."""

    def __missing__(self, name):
        return 0


@contextlib.contextmanager
def nginx(lab, servers, workers=2):
    """A real nginx with these server blocks, on Linux's side."""
    path = os.path.join(lab.folder, "nginx")
    os.makedirs(path, exist_ok=True)
    config = os.path.join(path, "nginx.conf")
    with open(config, "w", encoding="utf-8") as file:
        file.write(NGINX.format(path=path, workers=workers, servers=servers))
    with process(["nginx", "-p", path, "-c", config], os.path.join(lab.folder, "nginx.log")):
        ports = re.findall(r"listen ([\d.]+):(\d+)", servers)
        for address, port in ports:
            wait_for(lambda: is_open(address, int(port)), "nginx listens")
        yield path


NGINX = """
daemon off; user root; worker_processes {workers}; pid {path}/pid; error_log {path}/error.log warn;
worker_rlimit_nofile 65536;
events {{ worker_connections 30000; }}
http {{
    access_log off; client_max_body_size 0; client_body_temp_path {path}/body; server_tokens off;
    proxy_temp_path {path}/proxy; fastcgi_temp_path {path}/f; uwsgi_temp_path {path}/u;
    scgi_temp_path {path}/s;
    {servers}
}}
"""


def is_open(address, port):
    with contextlib.suppress(OSError), socket.create_connection((address, port), 1):
        return True
    return False


class Lab:
    """What a check gets: a folder for its logs, and ways to start what it needs."""

    def __init__(self, folder, standing=None):
        self.folder = folder
        self.standing = standing
        os.makedirs(folder, exist_ok=True)

    def host(self, boot, **more):
        """A host with Penstock's usual addresses; see Host."""
        return Host(self, f"{ADDRESSES} {boot}", **more)

    def nginx(self, servers, **more):
        return nginx(self, servers, **more)

    def file(self, name):
        return os.path.join(self.folder, name)
