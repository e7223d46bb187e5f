"""Boots images under QEMU and judges what they say. `kernel/test` and `image/test` are lists of checks.

A check is a function that starts machines with the function it is given, and raises `Failed`. One that
fails prints why, and for each machine the command that boots it again, where its serial log and the frames of its
wire are kept, and the end of the log. The last thing is a table. QEMU is what `qemu/run` finds or fetches.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(TREE, "target"))
DONE, PANIC, REFUSED = 33, 35, 37  # what isa-debug-exit makes of 0x10, 0x11, 0x12
LINES_KEPT = 40  # of the console of each machine of a check that fails
PCAP_BYTES = 16 << 20  # of a check that fails, the last frames of its wire, and as much again
PATIENCE = 120 * float(os.environ.get("SLOWER", "1"))  # seconds for what takes one: only a failure waits for all of them


class Failed(Exception):
    """A check did not hold."""


class Boot:
    """One QEMU, from its start to its end. If it is `counted`, its time is that of its instructions, a nanosecond each: the same
    on any machine, however busy."""

    def __init__(self, folder, name, image, line="", cpus=1, memory="256M", card=None, more=(), kernel=True, serial=True,
                 counted=False):
        self.log_path = os.path.join(folder, name + ".log")
        self.pcap_path = os.path.join(folder, name + ".pcap")
        self.folder = tempfile.mkdtemp(prefix="penstock-kernel.")
        self.qmp_path = os.path.join(self.folder, "qmp")
        self.fault_path = os.path.join(self.folder, "faults")
        program = [os.path.join(TREE, "qemu/run"), f"--memory={memory}"]
        command = ["-smp", str(cpus)]
        command += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
        command += ["-serial", "stdio"] if serial else []
        if kernel:
            command += ["-kernel", image, "-append", line]
        command += ["-icount", "shift=0,sleep=off"] if counted else []
        command += list(more)
        # Instructions can be counted on one thread only.
        environment = {"ACCEL": "tcg,thread=single"} if counted else {}
        cards = [card] if isinstance(card, str) else card or []
        self.replay = " ".join(f"{name}={value}" for name, value in environment.items()) + " " if environment else ""
        self.replay += shlex.join(program + [f"--card={card}" for card in cards] + command)
        if cards:
            os.mkfifo(self.fault_path)
            self.forget_frames()
            # What is recorded and broken is the first.
            cards[0] += f" --pcap={self.pcap_path} --pcap-ring={PCAP_BYTES} --fault-pipe={self.fault_path}"
        program += [f"--card={card}" for card in cards]
        self.log = open(self.log_path, "wb")
        self.begin = time.monotonic()
        self.process = subprocess.Popen(
            program + command + ["-qmp", f"unix:{self.qmp_path},server=on,wait=off"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT, env={**os.environ, **environment})

    def text(self):
        with open(self.log_path, "rb") as log:
            return log.read().decode("utf-8", "replace").replace("\r", "")

    def wait(self, pattern, seconds=PATIENCE):
        """The match of a pattern in what was said, once it is there."""
        deadline = time.monotonic() + seconds
        while True:
            ended = self.process.poll() is not None
            found = re.search(pattern, self.text(), re.M)
            if found:
                return found
            if ended:
                raise Failed(f"ended with {self.process.returncode} before it said {pattern!r}")
            if time.monotonic() > deadline:
                raise Failed(f"did not say {pattern!r} within {seconds:.0f} s")
            time.sleep(0.02)

    def end(self, status, seconds=PATIENCE):
        """Everything that was said, when QEMU ends with this status."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"did not end within {seconds:.0f} s") from None
        if code != status:
            raise Failed(f"ended with {code} instead of {status}")
        return self.text()

    def qmp(self, *commands):
        """Says commands to QEMU, and gives the answers and events until it is done or gone."""
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(PATIENCE)
            channel.connect(self.qmp_path)
            lines = channel.makefile("rw")
            said = []
            for command in ("qmp_capabilities",) + commands:
                lines.write(json.dumps({"execute": command}) + "\n")
                lines.flush()
                for line in lines:
                    said.append(json.loads(line))
                    if "return" in said[-1] or "error" in said[-1]:
                        break
            return said

    def breaks(self, faults):
        """Something of the card or its wire breaks, or mends, from now on."""
        with open(self.fault_path, "w") as pipe:
            pipe.write(faults + "\n")

    def qemu(self):
        """The number of QEMU's process."""
        shell = self.process.pid
        with open(f"/proc/{shell}/task/{shell}/children") as children:
            # The cards come first.
            return int(children.read().split()[-1])

    def cut_power(self):
        """QEMU is gone, without a word to anybody."""
        os.kill(self.qemu(), signal.SIGKILL)
        self.process.wait(PATIENCE)

    def processor_seconds(self):
        """What QEMU has used of the host's processors."""
        with open(f"/proc/{self.qemu()}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        if self.log.closed:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
        self.log.close()
        # QEMU takes its socket away at its own end, which may be at this very moment.
        for path in (self.qmp_path, self.fault_path):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        os.rmdir(self.folder)

    def frames(self):
        """Where the frames of its wire are recorded: the last ones, and those before."""
        return [path for path in (self.pcap_path + ".1", self.pcap_path) if os.path.exists(path)]

    def forget_frames(self):
        for path in self.frames():
            os.unlink(path)


def registry():
    """A table of checks, and the decorator that fills it: for each case, a name and arguments."""
    checks = {}

    def check(*cases):
        def register(function):
            name = function.__name__.replace("_", "-")
            for suffix, *arguments in cases or [("",)]:
                checks[f"{name}-{suffix}" if suffix else name] = (function, arguments)
            return function
        return register

    return checks, check


def expect(text, *patterns):
    for pattern in patterns:
        if not re.search(pattern, text, re.M):
            raise Failed(f"did not say {pattern!r}")


class Verdict:
    """What came of a check."""

    def __init__(self, name, failure, seconds, note, kept=""):
        self.name, self.failure, self.seconds, self.note, self.kept = name, failure, seconds, note, kept

    def line(self):
        word = "FAIL " if self.failure else "ok   "
        return f"{word} {self.name:<48} {self.seconds:5.1f} s  {self.failure or self.note or ''}".rstrip()


def run(checks, image, folder, name):
    """Runs a check; what came of it."""
    function, arguments = checks[name]
    boots = []

    def start(line="", suffix="", other_image=None, **more):
        log = f"{name}-{suffix}" if suffix else name
        boots.append(Boot(folder, log, other_image or image, line, **more))
        return boots[-1]

    begin, note, failure = time.monotonic(), None, None
    try:
        note = function(start, *arguments)
    except Exception as error:  # a check that breaks has not held
        failure = str(error) or repr(error)
    for boot in boots:
        boot.stop()
    seconds = time.monotonic() - begin
    if failure is None:
        for boot in boots:
            boot.forget_frames()
        return Verdict(name, None, seconds, note)
    return Verdict(name, failure, seconds, note, "".join(map(told, boots)))


def told(boot):
    """How to boot it again, and the end of what it said: where a check fails, that may be all that is left of it."""
    kept = f"      again: {boot.replay}\n      log:   {boot.log_path}\n"
    kept += "".join(f"      wire:  {path}\n" for path in boot.frames())
    return kept + "".join(f"      | {line}\n" for line in boot.text().splitlines()[-LINES_KEPT:])


def build(*package):
    """The path of an image, built now: its package and, of another workspace, its manifest."""
    built = subprocess.run([os.path.join(TREE, ".ci/image"), *package], check=True, stdout=subprocess.PIPE, text=True)
    return os.path.join(TREE, built.stdout.strip())


def fetch():
    """Where the packages are, fetched if they were not."""
    fetched = subprocess.run([os.path.join(TREE, "qemu/packages"), "fetch"], check=True, stdout=subprocess.PIPE, text=True)
    return fetched.stdout.strip()


def pack(image, folder, stem, line, *files):
    """A disk and an ISO of an image."""
    subprocess.run([os.path.join(TREE, "image/package"), image, folder, f"--cmdline={line}", f"--stem={stem}"]
                   + [f"--file={file}" for file in files], check=True)


def media(folder, stem, medium, firmware, cache):
    """Options of QEMU that boot a disk or an ISO by BIOS or UEFI."""
    path = os.path.join(folder, stem)
    more = {"iso": ["-cdrom", f"{path}.iso"],
            "disk": ["-drive", f"format=raw,snapshot=on,file={path}.img"]}[medium]
    if firmware == "uefi":
        code = os.path.join(cache, "host/usr/share/OVMF/OVMF_CODE_4M.fd")
        more += ["-drive", f"if=pflash,format=raw,readonly=on,file={code}"]
    return more


def main(title, checks, prepare, jobs):
    """Reads the command line and runs checks. `prepare` gives the image and the folder for logs."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--jobs", type=int, default=jobs)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("checks", nargs="*")
    arguments = parser.parse_args()
    unknown = set(arguments.checks) - set(checks)
    if unknown:
        sys.exit(f"no check {', '.join(sorted(unknown))}")
    if arguments.list:
        print("\n".join(checks))
        return
    image, folder = prepare()
    with alone():
        judge(checks, image, folder, arguments)


@contextlib.contextmanager
def alone():
    """A folder for everything that is made on the way; however this ends, nothing of it stays, nor of what was started."""
    own = tempfile.mkdtemp(prefix="penstock-judge.")
    tempfile.tempdir = os.environ["TMPDIR"] = own

    def stop(number, _):
        for child in children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
        deadline = time.monotonic() + 5
        while children() and time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)
            time.sleep(0.01)
        shutil.rmtree(own, ignore_errors=True)
        os._exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        yield
    finally:
        shutil.rmtree(own, ignore_errors=True)


def children():
    """The processes that this one has started and not seen the end of."""
    found = []
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/self/task/{task}/children") as file:
            found += map(int, file.read().split())
    return found


def judge(checks, image, folder, arguments):
    """Runs the checks, and ends the program with what came of them."""
    begin = time.monotonic()
    names = arguments.checks or list(checks)
    verdicts = {}
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        running = [pool.submit(run, checks, image, folder, name) for name in names]
        for done in concurrent.futures.as_completed(running):
            verdict = done.result()
            verdicts[verdict.name] = verdict
            print(f"[{len(verdicts):3}/{len(names)}] {verdict.line()}\n{verdict.kept}", end="", flush=True)
    failed = [name for name in names if verdicts[name].failure]
    print(f"\n{len(names)} checks in {time.monotonic() - begin:.0f} s")
    for name in names:
        print(verdicts[name].line())
    print(f"{len(names) - len(failed)} passed, {len(failed)} failed{': ' if failed else ''}{', '.join(failed)}")
    sys.exit(len(failed) > 0)
