"""In front of real web servers."""

import os
import subprocess

from judge import DONE, PATIENCE, Failed
from lab import LOGS, ab, answers_at_last, check, connects, counted, fetched, serve, until, wire


class Backends:
    """Real web servers on the wire's other end."""

    def __init__(self, number, count, address=None):
        self.address, self.folder = address or f"10.82.{number}.1", os.path.join(LOGS, f"backend-{address or number}")
        os.makedirs(self.folder, exist_ok=True)
        with open(os.path.join(self.folder, "file"), "wb") as file:
            file.write(os.urandom(2_000_000))
        with open(os.path.join(self.folder, "index.html"), "w") as file:
            file.write("a page behind the proxy\n")
        self.servers = {9000 + at: self.begin(9000 + at) for at in range(count)}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for port in self.servers:
            self.end(port)

    def list(self):
        """What a proxy is told of them."""
        return " ".join(f"{self.address}:{port}" for port in self.servers)

    def begin(self, port):
        """One that listens."""
        server = subprocess.Popen(["nginx", "-e", f"{self.folder}/error{port}", "-c", self.configured(port)],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(f"nginx listens on {port}", lambda: connects(self.address, port))
        return server

    def end(self, port):
        self.servers[port].terminate()
        self.servers[port].wait()

    def returns(self, port):
        self.servers[port] = self.begin(port)

    def configured(self, port):
        """An nginx configuration that touches nothing outside of the folder."""
        path = os.path.join(self.folder, f"nginx{port}.conf")
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in kinds)
        with open(path, "w") as file:
            file.write(f"daemon off; master_process off; user root; pid {self.folder}/pid{port};"
                       f" events {{ worker_connections 4096; }} http {{ access_log off; {paths}"
                       f" server {{ listen {self.address}:{port} backlog=4096; root {self.folder}; }} }}")
        return path


@check(("steered", "", True), ("unsteered", "rfd=off", False))
def proxies(start, keys, steered):
    """Real servers behind four cores: every reply comes to the core that asked, by the card or by mail."""
    number = wire()
    with Backends(number, 2) as backends:
        boot, url = serve(start, keys=keys, words=f"-x {backends.list()}", cpus=4, number=number)
        answers_at_last(url)
        with open(os.path.join(backends.folder, "file"), "rb") as file:
            if fetched(url + "/file") != file.read():
                raise Failed("a file came through changed")
        rate = ab(url, 5_000)
        boot.qmp("system_powerdown")
        text = boot.end(DONE)
    total = {name: counted(text, name) for name in ("rfd-hits", "rfd-misdirected", "fdir_match")}
    if total["rfd-hits"] < 5_000 or (total["rfd-misdirected"] > 0) == steered or (total["fdir_match"] > 0) != steered:
        raise Failed(f"of replies {total}")
    return (f"{rate:.0f}/s, {total['rfd-hits']} replies at home, {total['fdir_match']} by Flow Director, "
            f"{total['rfd-misdirected']} by mail")


@check()
def outlives_a_server_that_is_killed(start):
    """One of two goes: who is given it is told so at once, the others are served, and all when it is back."""
    number = wire()
    with Backends(number, 2) as backends:
        boot, url = serve(start, words=f"-x {backends.list()}", number=number)
        answers_at_last(url)
        backends.servers[9000].kill()
        backends.servers[9000].wait()
        codes = [code(url) for _ in range(40)]
        if set(codes) != {"200", "502"}:
            raise Failed(f"with one of two servers gone, clients saw {sorted(set(codes))}")
        backends.returns(9000)
        until("both servers serve", lambda: {code(url) for _ in range(8)} == {"200"})
        ab(url, 1_000)
    return f"{codes.count('200')} of 40 served while one of two was gone, the others told 502"


def code(url):
    """The status of an answer."""
    words = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", str(int(PATIENCE)), url + "/"]
    return subprocess.run(words, stdout=subprocess.PIPE, timeout=PATIENCE + 5).stdout.decode()
