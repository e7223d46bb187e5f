"""Programs that nobody here wrote, clients and servers, through haproxy and through Penstock: what a client
prints must be the same, and no session may end otherwise than in order."""

import contextlib
import os
import re

from lab import LINUX, expect, is_open, process, run, wait_for
from twins import twins

SECTIONS = f"""
defaults
    mode tcp
    log global
    option tcplog
    option dontlog-normal
    timeout connect 1m
    timeout client 2m
    timeout server 2m
listen web
    bind {{address}}:8431
    server a {LINUX}:8084
listen told
    bind {{address}}:8432
    server a {LINUX}:8085 send-proxy-v2
listen redis
    bind {{address}}:8433
    server a {LINUX}:8086
frontend tls
    bind {{address}}:8434
    tcp-request inspect-delay 1m
    tcp-request content accept if {{{{ req.ssl_hello_type 1 }}}}
    use_backend one if {{{{ req.ssl_sni -i one.example }}}}
    default_backend two
backend one
    server a {LINUX}:8087
backend two
    server a {LINUX}:8088
"""
NGINX = f"""
server {{ listen {LINUX}:8084; location / {{ return 200 "hello\\n"; }} location /big {{ root $path; }} }}
server {{ listen {LINUX}:8085 proxy_protocol; location / {{ return 200 "$proxy_protocol_addr\\n"; }} }}
"""

# So many requests has ab on their way.
AT_ONCE = 30
# What is run against an address, and what of its output is compared.
TABLE = [
    ("curl", "curl -sS http://{address}:8431/", r".*"),
    ("curl, told", "curl -sS http://{address}:8432/", r".*"),
    ("curl, large", "curl -sS -o /dev/null -w %{{size_download}} http://{address}:8431/big", r"\d+"),
    ("curl, upload", "curl -sS -o /dev/null -w %{{http_code}} --data-binary @{big} http://{address}:8431/", r"\d+"),
    ("redis-benchmark", "redis-benchmark -h {host} -p 8433 -n 5000 -c 20 -P 8 -d 500 -t set,get,lrange_100 --csv", r'^"[^"]*"'),
    ("redis-cli", "redis-cli -h {host} -p 8433 eval {eval} 0", r".*"),
    ("openssl, one", "openssl s_client -connect {address}:8434 -servername one.example -brief", r"CN *= *\S+|Verification.*"),
    ("openssl, two", "openssl s_client -connect {address}:8434 -servername two.example -brief", r"CN *= *\S+|Verification.*"),
    ("openssl, none", "openssl s_client -connect {address}:8434 -noservername -brief", r"CN *= *\S+|Verification.*"),
    # When it has its requests it leaves others that it has begun: their clients are gone, in lines that may come when
    # the next run has begun, so these are the last; and the sum of bytes has theirs. A request with less has failed.
    ("ab", f"ab -q -n 1500 -c {AT_ONCE} http://{{address}}:8431/", r"(?:Complete requests|Failed requests|Document Length): *\d+"),
    ("ab -k", f"ab -q -k -n 5000 -c {AT_ONCE} http://{{address}}:8431/", r"(?:Complete requests|Failed requests|Document Length): *\d+"),
]
BIG = 3_000_000


@contextlib.contextmanager
def servers(lab):
    """nginx, redis, and two servers of TLS."""
    with contextlib.ExitStack() as stack:
        web = os.path.join(lab.folder, "web")
        os.makedirs(web)
        with open(os.path.join(web, "big"), "wb") as file:
            file.write(os.urandom(BIG))
        stack.enter_context(lab.nginx(NGINX.replace("$path", web)))
        redis = ["redis-server", "--bind", LINUX, "--port", "8086", "--save", "", "--protected-mode", "no", "--dir", lab.folder]
        stack.enter_context(process(redis, lab.file("redis.log")))
        for name, port in (("one", 8087), ("two", 8088)):
            key, certificate = lab.file(f"{name}.key"), lab.file(f"{name}.pem")
            run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", f"/CN={name}.example", "-keyout", key, "-out", certificate)
            serve = ["openssl", "s_server", "-accept", f"{LINUX}:{port}", "-cert", certificate, "-key", key, "-www"]
            stack.enter_context(process(serve, lab.file(f"{name}.log")))
        for port in (8086, 8087, 8088):
            wait_for(lambda port=port: is_open(LINUX, port), f"the server on {port} listens")
        yield os.path.join(web, "big")


def proxy_programs(lab):
    """curl, ab, redis and openssl say the same through both."""
    with servers(lab) as big, twins(lab, SECTIONS) as both:
        for name, command, compared in TABLE:
            printed = []
            for twin in both:
                words = command.format(address=twin.address, host=twin.address, big=big, eval="EVAL").split()
                script = "return string.rep('x', 100000)"
                words = [script if word == "EVAL" else word for word in words]
                text = run(*words, accept=(0, 1))
                printed.append(re.findall(compared, text, re.M))
            expect(printed[0] == printed[1] and printed[0], f"{name}: haproxy {printed[0]}, penstock {printed[1]}")
            for twin in both:
                lines = twin.said()
                left = [line for line in lines if name.startswith("ab") and re.search(r" C[CDL] ", line)]
                expect(len(left) == len(lines) and len(left) <= 2 * AT_ONCE, f"{name}: {twin.name} logged: {lines}")
    return f"{len(TABLE)} runs of curl, ab, redis-benchmark, redis-cli and openssl print the same"


ALL = [proxy_programs]
