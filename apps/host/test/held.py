"""How long the machine keeps processes from what they would do: what a comparison of moments may not blame
on them."""

import contextlib
import signal
import threading
import time

from lab import expect, process, sleeps, wait_for


class Held:
    """How long the machine has not let a process come to rest, nor whoever looks at it: what they do, and what
    they are kept from doing. Where a timer decides all of them sleep, and this stands still."""

    TICK_S = 0.02

    def __init__(self, pids):
        self.seconds, self.before = dict.fromkeys(pids, 0.0), time.monotonic()
        self.is_over, self.lock = threading.Event(), threading.Lock()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.is_over.wait(self.TICK_S):
            self.look()

    def look(self):
        with self.lock:
            now = time.monotonic()
            passed, self.before = now - self.before, now
            for pid in self.seconds:
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    is_asleep = all(is_asleep for is_asleep, _ in sleeps(pid).values())
                    # A look that comes late by less than a tick is on time.
                    self.seconds[pid] += passed if passed > 2 * self.TICK_S or not is_asleep else 0

    def of(self, pid):
        """Seconds, of the process and of the thread that asks."""
        self.look()
        with open("/proc/thread-self/schedstat", encoding="ascii") as times:
            waited_ns = int(times.read().split()[1])
        return self.seconds[pid] + waited_ns / 1e9

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.is_over.set()
        self.thread.join()


def what_is_held(lab):
    """How long the machine holds a process is measured: all of the time in which it is stopped, none in which
    it sleeps."""
    with process(["sleep", "infinity"], lab.file("log")) as child, Held([child.pid]) as held:

        def rests():
            before = held.of(child.pid)
            time.sleep(0.2)
            return held.of(child.pid) - before < 0.01

        wait_for(rests, "it stands still")
        child.send_signal(signal.SIGSTOP)
        wait_for(lambda: not any(is_asleep for is_asleep, _ in sleeps(child.pid).values()), "it is stopped")
        before = held.of(child.pid)
        time.sleep(0.5)
        seconds = held.of(child.pid) - before
        child.send_signal(signal.SIGCONT)
    expect(seconds > 0.45, f"stopped for half a second, held for {seconds:.2f} s")
    return f"stopped for half a second, held for {seconds:.2f} s"


ALL = [what_is_held]
