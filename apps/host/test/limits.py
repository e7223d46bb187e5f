"""What a configuration limits, with Debian's haproxy and with Penstock: see twins.py for how.

Who comes beyond a rate waits, and is let in when the rate allows.
"""

import socket
import time

from twins import compare, hear

RATES = """
global
    maxconnrate 10
    nbthread 1
listen five
    bind {address}:8001
    rate-limit sessions 5
    timeout client 10s
    server a 10.82.0.1:8081
listen any
    bind {address}:8002
    timeout client 10s
    server a 10.82.0.1:8081
listen refused
    bind {address}:8003
    rate-limit sessions 5
    tcp-request connection reject
    server a 10.82.0.1:8081
"""


def proxy_rates(lab):
    """Clients that come faster than they may: let in as late as with haproxy, and nobody refused."""

    def let_in(twin, servers, port, count):
        """When each of so many that come at once is let in, in fifths of a second, and how many
        were logged."""
        # Whoever came before is forgotten after two periods.
        time.sleep(2.1)
        begin, moments = time.monotonic(), []
        clients = [twin.connect(port) for _ in range(count)]
        for _ in range(count):
            server = servers.accept()
            moments.append(int((time.monotonic() - begin + 0.05) * 5))
            server.close()
        for client in clients:
            hear(client)
            client.close()
        return moments, len(twin.logged(count))

    def of_a_frontend(twin, servers):
        return let_in(twin, servers, 8001, 12)

    def of_the_process(twin, servers):
        return let_in(twin, servers, 8002, 20)

    def who_is_refused_does_not_count(twin, servers):
        time.sleep(2.1)
        ends = []
        begin = time.monotonic()
        for _ in range(10):
            try:
                ends.append(hear(twin.connect(8003))[0] in (b"", "ConnectionResetError"))
            except (ConnectionResetError, socket.timeout) as error:
                ends.append(isinstance(error, ConnectionResetError))
        return [ends, time.monotonic() - begin < 0.8]

    compare(lab, RATES, of_a_frontend, of_the_process, who_is_refused_does_not_count)
    return "two rates, 32 clients let in at the same moments"


ALL = [proxy_rates]
