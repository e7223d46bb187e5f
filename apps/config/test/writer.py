"""Configurations of `mode tcp` from a seed: every keyword with right and wrong arguments.

What a line may look like is a template: `{a|b}` is a choice, `<time>` is what
the method of that name of `Writer` gives; behind a tilde stands what is wrong or rare. A line that a template gave is mostly right; `spoil` makes it
wrong in one of the ways in which people are."""

import random
import re

GLOBAL = """
maxconn <number>
~maxconnrate <number>
~maxsessrate <number>
~nbthread <number>
~nbproc <number>
node {lb1|~<word>}
description <word> <word>
log <target> {len {1024|~<number>}|} {format {<logform>|~<word>}|} {sample <ranges>:<number>|} {<facility>|~<word>} {{<level>|~<word>}|} {<level>|}
log-tag <word>
log-send-hostname {<word>|}
spread-checks {5|~<number>}
max-spread-checks <time>
hard-stop-after <time>
grace <time>
~stats {socket|timeout|maxconn} {/run/x.sock|<time>|<number>|ipv4@127.0.0.1:9999} {level {user|operator|admin|x}|} {mode 600|} {expose-fd listeners|}
tune.bufsize {16384|~<number>}
tune.maxaccept <number>
tune.maxrewrite {1024|~<number>}
~tune.maxpollevents <number>
~tune.rcvbuf.client <number>
~tune.ssl.default-dh-param <number>
~tune.chksize <number>
{daemon|zero-warning|noepoll|nosplice|set-dumpable|strict-limits|insecure-fork-wanted}
{uid|gid|ulimit-n|maxpipes} <number>
{pidfile|ca-base|crt-base} {/tmp/x|~<word>}
{setenv|presetenv} {A|~<word>} <word>
{unsetenv|resetenv} {A|~<word>}
ssl-default-bind-options {no-sslv3|no-tlsv10|ssl-min-ver TLSv1.2}
~cpu-map {1|auto:1/1-2} {0|0-1}
~unix-bind mode 600
~server-state-base /tmp
~server-state-file <word>
~maxcomprate <number>
~maxcompcpuusage <number>
~set-var proc.x {int(5)|str(a)|src}
"""

INHERITED = """
mode {tcp|tcp|tcp|~health|~<word>}
timeout {client|server|connect|queue|tunnel|check|client-fin|server-fin|tarpit|http-request|http-keep-alive|~<word>} <time>
~{clitimeout|srvtimeout|contimeout} <time>
maxconn <number>
backlog <number>
fullconn <number>
retries <number>
option <option>
{no |}option {tcplog|dontlognull|logasap|nolinger|redispatch|abortonclose|allbackups|tcp-check|tcpka|persist|splice-auto|contstats}
~default option {tcplog|dontlognull|redispatch|httpchk}
log <target> {len {1024|~<number>}|} {format {<logform>|~<word>}|} {sample <ranges>:<number>|} {<facility>|~<word>} {{<level>|~<word>}|} {<level>|}
{log global|no log|log-tag <word>}
~{log-format|error-log-format|unique-id-format} <format>
balance <balance>
hash-type {consistent|map-based|~<word>} {sdbm|djb2|wt6|crc32|~<word>|~} {{avalanche|~<word>}|}
hash-balance-factor {0|150|~<number>}
rate-limit sessions <number>
source {10.0.0.7|~10.0.0.7:<number>|~<address>} {interface eth0|}
{disabled|enabled}
~errorfile {400|503|999|~<word>} /etc/haproxy/errors/503.http
{clitcpka|srvtcpka}-{cnt <number>|idle <time>|intvl <time>|~cnt <time>}
~http-reuse {never|safe|~<word>}
~retry-on {none|503|all-retryable-errors|~<word>}
~max-keep-alive-queue {<number>|~<word>}
~bind-process {1|all|odd|<number>|<word>}
~{unique-id-header|dynamic-cookie-key|max-session-srv-conns} {<word>|}
"""

BOTH = INHERITED + """
description <word> <word>
~id <number>
~stick-table {type {ip|ipv6|integer|string|string len <number>|binary len <number>|~<word>}|~} {size <size>|~} {expire <time>|} {nopurge|} {store <stores>|} {~peers <word>|}
~cookie <word> {insert|} {indirect|}
~stats {enable|uri /x|refresh 5s}
"""

FRONT = """
bind <listen> {<bindword>|} {<bindword>|}
acl <acl> <test>
use_backend <backend> {<condition>|}
default_backend <backend>
tcp-request inspect-delay <time>
tcp-request connection {accept|reject|expect-proxy layer4|<track>|sc-inc-gpc0(<small>)|sc-set-gpt0(<small>) <number>|sc-inc-gpc(<small>,<small>)|~sc-set-gpt(<small>,<small>) {<number>|src_port|<word>}|~<word>} {<condition>|}
tcp-request session {accept|reject|<track>|sc-set-gpt(<small>,<small>) {<number>|src_port}|~<word>} {<condition>|}
tcp-request content {accept|reject|<track>|~<word>} {<condition>|}

~declare capture request len 5
"""

BACK = """
~server <word> <target> {<serverword>|} {<serverword>|} {<serverword>|}
server <server> <address> {<serverword>|} {<serverword>|} {<serverword>|}
default-server <serverword> {<serverword>|}
use-server {s1|s2|~<server>} <condition>
stick {on|match|store-request} src {table {b1|b2}|}{ if a1|}
~stick {on|match|store-request|store-response|<word>} <sample> {table {b1|b2|<word>}|} {<condition>|}
option {httpchk|smtpchk|smtpchk HELO x|pgsql-check user x|redis-check|tcp-check|httpchk GET /|httpchk HEAD / HTTP/1.1}
~option {httpchk|smtpchk|pgsql-check|redis-check|tcp-check|mysql-check|ldap-check|ssl-hello-chk} {{GET|user|HELO|EHLO|<word>}|} {{/|<word>}|} {{HTTP/1.1\\r\\nHost:\\ x|<word>}|}
~tcp-check {connect|connect port <number>|connect addr 10.0.0.1|connect linger|connect send-proxy|connect <word>}
tcp-check {send abc|send-binary 0a0b|send-lf %[src]|~{send|send-binary|send-lf|send-binary-lf} {abc|0a0|%[src]|%|<word>}} {comment <word>|}
tcp-check expect {min-recv <number>|} {!|} {string ok|rstring ^a.*b|binary 0a0b|~{string|rstring|binary|rbinary|string-lf|binary-lf|<word>} {ok|^a|(|0a0|%[src]|<word>}} {comment <word>|} {{on-success|on-error} <format>|}
tcp-check expect {ok-status L7OK|error-status L7RSP|tout-status L7TOUT|~{ok-status|error-status|tout-status|status-code} {L7OK|L4TOUT|L6OK|~<word>}} string x
http-check {send meth GET uri /x|expect status 200-399|expect ! rstatus ^5|disable-on-404|connect port 80}
~http-check {send|connect|expect|disable-on-404|comment} {{meth GET|uri /x|hdr a b|body x|port <number>|status 200|status 200-399|! rstatus ^5|string x|~<word>}|} {{ver HTTP/1.1|~<word>}|}
tcp-request content {accept|reject|<track>|~<word>} {<condition>|}
tcp-response content {accept|reject|close|~<word>} {<condition>|}
tcp-response inspect-delay <time>
tcp-request inspect-delay <time>
~dispatch 10.0.0.1:<number>
"""

OPTION = """
tcplog|dontlognull|dontlog-normal|log-separate-errors|logasap|nolinger|abortonclose|allbackups|redispatch|redispatch <number>|clitcpka
srvtcpka|tcpka|contstats|socket-stats|log-health-checks|persist|tcp-smart-accept|tcp-smart-connect|splice-auto|splice-request|tcp-check
~httplog|~httplog clf|~httpslog|~forwardfor|~forwardfor except 127.0.0.1|~originalto|~httpclose|~http-server-close|~http-keep-alive
~forceclose|~http-buffer-request|~prefer-last-server|~checkcache|~tcplog clf|~accept-invalid-http-request|~independent-streams
~transparent|~http_proxy|~httpchk GET|~http-restrict-req-hdr-names delete|~<word>
"""

BIND = """
accept-proxy|backlog <number>|defer-accept|tfo|id <number>|maxconn <number>|name <word>|nice <number>|tcp-ut <time>|mode 600|level admin
v4v6|v6only|gid 0|expose-fd listeners|~accept-netscaler-cip 5|interface eth0|~mss <number>|~user root|~process 1|~thread 1|~transparent
~severity-output number|~shards 2|~namespace x|~<word>
"""

SERVER = """
check|no-check|backup|no-backup|disabled|enabled|weight <number>|maxconn <number>|minconn <number>|maxqueue <number>|inter <time>|fastinter <time>
downinter <time>|rise <number>|fall <number>|slowstart <time>|port <number>|addr {10.0.0.9|<address>}|send-proxy|send-proxy-v2|no-send-proxy
check-send-proxy|proxy-v2-options {crc32c|unique-id|crc32c,unique-id|~<word>}|source {10.0.0.7|~10.0.0.7:<number>|~10.0.0.7:1000-2000|~<address>} {interface eth0|}
on-marked-down {shutdown-sessions|~<word>}|on-marked-up {shutdown-backup-sessions|~<word>}|observe {layer4|~layer7|~none|~<word>}
on-error {mark-down|fastinter|fail-check|sudden-death|~<word>}|error-limit <number>|id <number>|non-stick|stick|tfo|no-tfo|tcp-ut <time>
init-addr {none|last,libc,none|10.0.0.1|~<word>}|~resolve-prefer {ipv4|ipv6|<word>}|~cookie <word>|~track {b1/s1|s1|<word>}|~redir /x
~agent-check|~no-agent-check|~ws auto|~port http|~<word>
"""

STORES = """
conn_rate(<time>)|conn_cur|conn_cnt|gpc0|gpc0_rate(<time>)|gpc1|gpc1_rate(<time>)|gpt0|bytes_in_cnt|bytes_in_rate(<time>)|bytes_out_rate(<time>)
sess_cnt|sess_rate(<time>)|http_req_rate(<time>)|http_err_cnt|http_req_cnt|server_id|~<word>|~conn_rate|~conn_cnt(5)|~conn_cur(
~gpc(2)|~gpt(1)|~gpc_rate(2,<time>)|~gpc(<number>)|~gpt|~gpc_rate(2)|~gpt(2
"""

# By type: samples, converters that leave the type as it is, tests that fit it.
NUMBERS_OF = """
src_port|dst_port|fc_dst_port|fe_id|so_id|fe_conn(f1)|be_conn(b1)|nbsrv(<backend>)|queue(b1)|avg_queue(b1)|srv_conn(<place>)|rand
srv_weight(<place>)|req.len|req_len|rand(<number>)|req.ssl_hello_type|req_ssl_hello_type|int(<number>)|date|src_conn_rate(b1)|sc0_conn_rate
sc_conn_rate(<small>)|src_get_gpc0(b1)|src_inc_gpc0(b1)|sc0_inc_gpc0|sc1_get_gpc0|sc_conn_rate(0,b1)|table_cnt(b1)|dst_conn|src,table_conn_rate(b1)
~fe_conn|~be_id|~srv_id|~be_conn|~nbsrv|~rdp_cookie_cnt|~date(<number>)|~table_avl(b1)|~src_conn_cur(b1)|~src_clr_gpc0(b1)|~sc_get_gpc0(0)|~sc0_kbytes_in
~sc0_tracked|~sc_trackers(0)|~src_bytes_in_rate(b1)|~src_sess_cnt(b1)|~res.len|~res.ssl_hello_type|~thread|~nbproc|~connslots(b1)|~src_conn_rate
~srv_sess_rate(<place>)|~be_sess_rate(b1)|~srv_iweight(<place>)|~int|~int()|~int(5|~req.len,|~srv_queue(<place>)|~srv_uweight(<place>)
~table_cnt(<backend>)|~src_conn_rate(<backend>)|~req.ssl_st_ext|~sc_conn_rate|~sc_conn_rate()|~sc3_conn_rate|~sc0_conn_rate(nosuch)
~sc_get_gpc(0,<small>)|~sc_inc_gpc(1,<small>)|~src_get_gpt(0,b1)|~src_updt_conn_cnt(b1)|~sc_gpc_rate(0)|~src_get_gpc(b1)|~src,table_gpc(1,b1)|~src,table_gpt(b1)
fc_rtt|fc_rttvar(us)|fc_lost|date(0,ms)|~fc_rtt(<word>)|~fc_unacked(1)|~src,table_idle(b1)|~src,table_expire(b1,<number>)|~date(0,<word>)
"""

TEXTS_OF = """
req.ssl_sni|req_ssl_sni|req.ssl_alpn|req.rdp_cookie|req.rdp_cookie(<word>)|str(<word>)|hostname|env(A)|so_name|fe_name|fe_defbe|fc_pp_authority|date,utime(%H)
~be_name|~srv_id|~srv_name|~env(<word>)|~env()|~str("a b")|~str('a,b')|~str(a\\,b)|~path_beg|~hdr(host)|~method|~ssl_fc_sni|~<word>|~<word>(a)
"""

ADDRESSES_OF = "src|dst|fc_src|ipv4(10.0.0.1)|ipv6(::1)|~ipv4(<word>)|~src(|~src()|~src(a)|~src )"

FACTS_OF = """
srv_is_up(<place>)|wait_end|always_true|always_false|fc_rcvd_proxy|src,in_table(b1)|src_is_local|dst_is_local
~bool(<word>)|~req.proto_http|~req_proto_http|~stopping|~src_is_local(1)|~ssl_fc|~src,in_table(<backend>)
"""

BYTES_OF = """
req.payload(<small>,<small>)|payload(0,4)|req.payload_lv(0,2)|payload_lv(0,2)|bin(0a0b)|~res.payload(0,4)|~req.payload_lv(<small>,<small>)
~req.payload_lv(0,2,<number>)|~bin(0a0)|~req.payload(0|~req.payload(,)|~req.ssl_ver|~req_ssl_ver
"""

BY_TYPE = [
    (NUMBERS_OF, "add(<number>)|sub(1)|mul(2)|mod(3)|neg|xor(1)|and(1)", "gt <number>|lt <number>|ge <number>|eq <number>|<number>|1:1000|-m int <number>|-m found|-m bool|-m str 5"),
    (TEXTS_OF, "lower|upper|field(1,.)|word(1,.)|ltrim(a)|rtrim(a)|bytes(0,2)", "-m str <word>|-m beg <word>|-m end <word>|-m sub <word>|-m reg ^a.*b|-m len 5|-i -m str <word>|-m found"),
    (ADDRESSES_OF, "ipmask(24)|ipmask(24,64)", "10.0.0.0/8|10.0.0.1|-m found|-m ip 10.0.0.0/8|::1 10.0.0.2|10.0.0.0/255.0.0.0|-n 10.0.0.1"),
    (FACTS_OF, "not|bool", "||-m bool|-m found|true|0"),
    (BYTES_OF, "bytes(0,2)|base64|hex", "-m bin 0a0b|-m found|-m len 2|-m str abc|-m sub abc|-m reg ^a"),
]

CONVERTERS = """
lower|upper|length|ipmask(24)|add(<number>)|sub(1)|mul(2)|mod(3)|neg|not|hex|base64|crc32|djb2|sdbm|wt6|field(1,.)|word(1,.)|bytes(0,2)|ltrim(a)
iif(a,b)|in_table(b1)|table_conn_rate(b1)|odd|bool|xor(1)|ipmask(<number>)|ipmask(24,64)|div(<number>)|even|and(1)|or(1)|cpl|crc32(1)|djb2(<word>)
field(<number>,<word>)|bytes(<number>)|rtrim(a)|table_conn_rate(<backend>)|table_gpc0(b1)|htonl|cut_crlf|<word>|<word>(1)|add(x)|lower(1)|str|map(/x)
regsub(a,b)|url_dec|ipmask(33)|add|concat(a)|strcmp(x)|sha1|table_server_id(b1)|language(a)|ltime(%H)|field(1)|field(1,)|word()|bytes|add(1|iif(a)|mod(0)
utime(%Y)|utime|http_date|http_date(0,<word>)|digest(sha256)|digest(<word>)|hmac(sha1,a2V5)|hmac(sha1,<word>)|table_gpt(0,b1)|table_expire(b1)
"""

TAILS = """
10.0.0.0/33|::1|::/0|-m int gt <number>|-m dir <word>|-m dom <word>|-m reg (|-m bin 0a0|-m ip <word>|-m <word>|-m|-u 5 <word>|-u <word> <word>
-f /nowhere|-f|-M -f /nowhere|-x <word>|true|1|0|a b c|-m str|-m found <word>|le|gt|gt x|5:|:5|5:1|10.0.0.0/|10.0.0|1.2.3.4.5|gt 5 lt 3|-m reg -i A
-m str -f|-M <word>|-M -m beg <word>|--|-m int 1.5|1.5|-- -x|<word>|-m len <number>|<number>:<number>|-m bool|-i <word>|-m str <word>|10.0.0.0/8|-m reg (?=a)|-m reg [a
"""

BALANCES = """
roundrobin|static-rr|leastconn|source|first|random|random(<number>)|hash src|hash <sample>|rdp-cookie|rdp-cookie(<word>)
~<word>|~hdr(x)|~uri|~url_param x|~roundrobin <word>|~source <word>|~hash|~random()|~hash src,<converter>|~random(|~rdp-cookie()|~leastconn(5)
"""

FORMATS = """
%ci:%cp|%t|%ft|%b/%s|%Tw/%Tc/%Tt|%B|%ts|%ac/%fc/%bc/%sc/%rc|%sq/%bq|%[src]|%{+Q}b|%{+X}ci|%{-Q}b|%{+E}o|%%|%U|%Th|%pid|%rt|%H|%lc|%bi|%si
%fi|%fp|%bp|%sp|text|%Tl|%ms|%Td|%[src,<converter>]
~%[<sample>]|~%[<sample>,<converter>]|~%{+Q|~%zz|~%HM|~%ST|~%{+W}b|~%ID|~%hr|~%hs|~%sslc|~%|~%[|~%[src|~%{+Q}[src]|~%{}b|~%Q|~%T|~%tsc|~%r|~%CC|~%sslv
~%hrl|~%trg|~%Ta|~%TR|~%rc%|~%{+Q+X}b|~%{Q}b|~%{+Q,+E}b|~%ciz|~%b%s|~%[src]%[dst]|~%[]|~%[src]]|~%(abc)ci|~%(|~%{+M}o
"""

WORDS = [
    "x", "abc", "nosuch", "Web_1", "a.b-c", "UPPER", "-1", "0", "é", "tcp", "server", "if", "a:b", "a/b", "%", "$A", "${A}", '"${A}"',
    '"a b"', "'a b'", "a\\ b", "\\x41", "#x", "\\#x", '""', "a,b", "{", "}", "!a", "local0", "roundrobin", "10.0.0.1", "listen", "x" * 70,
    '"${NOSUCH}"', "$NOSUCH", '"${NOSUCH-abc}"', "a\\,b", '"\\n"', "a'b", "A=1", "1s", "*",
]
TIMES = ["10", "5s", "1m", "100ms", "2h", "1500us", "7d", "24d", "1s", "30s", "3s"]
WRONG_TIMES = ["0", "-1", "5q", "10mss", "1.5s", "", "25d", "1w", "99999999999", "s", "1 s", "1h30m", "0us", "1us", "999us", "2147483647", "2147483648", "+5", "0x10", "5S", "1us0"]
NUMBERS = ["1", "2", "3", "5", "10", "100", "255", "256", "1000"]
WRONG_NUMBERS = ["0", "-1", "x", "", "5x", "257", "65535", "65536", "99999999999", "2147483648", "1.5", "0x10", "+5", "-5", "1k", "4294967296", "00", "007", "1000000"]
ADDRESSES = ["10.0.0.1:80", "10.0.0.2:443", "10.0.0.3:5432", "127.0.0.1:6379", "[::1]:80", "ipv4@10.0.0.1:80", "ipv6@::1:80", "10.0.0.1:+5", "10.0.0.1"]
WRONG_ADDRESSES = [
    "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:x", "10.0.0.1:-5", "10.0.0.1:80-90", ":80", "*:80", "1.2.3:80", "::1", "[::1", "10.0.0.1:80:90",
    "ipv6@10.0.0.1:80", "ipv4@[::1]:80", "", "0.0.0.0:80", ":::80", "@:80", "256.0.0.1:80", "10.0.0.1:+", "10.0.0.1:80x", "10.0.0.1:99999999999", "10.0.0.1:80-",
    "10.0.0.1:-", "10.0.0.1:+80-90", "tcp@10.0.0.1:80", "udp@10.0.0.1:80",
]


def lines(text):
    return [line for line in text.splitlines() if line]


def choices(text):
    """What stands between bars, but for bars in braces."""
    return [one for line in text.strip("\n").splitlines() for one in re.split(r"\|(?![^{\n]*\})", line)]


class Writer:
    """One configuration for each seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.port = 20000
        self.servers = 0
        # How many of a hundred arguments are wrong ones, and how many lines are spoilt.
        self.wrong = self.pick(0, 2, 10, 30)
        self.spoilt = self.pick(0, 0, 5, 20)

    def pick(self, *of):
        return self.random.choice(of)

    def chance(self, percent):
        return self.random.randrange(100) < percent

    def one_of(self, of):
        """One of these; those behind a tilde are wrong, or HTTP's, or rare, and seldom taken."""
        right = [one for one in of if one[:1] != "~"]
        wrong = [one[1:] for one in of if one[:1] == "~"]
        return self.pick(*(wrong if wrong and self.chance(self.wrong) else right or [""]))

    def right_or(self, right, wrong):
        return self.pick(*(wrong if self.chance(self.wrong) else right))

    # What stands in angle brackets.

    def time(self):
        return self.right_or(TIMES, WRONG_TIMES)

    def number(self):
        return self.right_or(NUMBERS, WRONG_NUMBERS)

    def small(self):
        return self.right_or(["0", "1", "2"], ["3", "-1", "x", "", "12", "99", "4294967296"])

    def word(self):
        return self.right_or(WORDS[:6], WORDS)

    def size(self):
        return self.right_or(["1k", "100", "1m", "200k"], ["0", "x", "", "1kk", "5q", "-1", "99999999999", "1g"])

    def address(self):
        return self.right_or(ADDRESSES, WRONG_ADDRESSES)

    def target(self):
        right = ["10.0.0.1", "10.0.0.1:514", "127.0.0.1:1514", "/dev/log", "stdout", "stderr", "[::1]:514", "fd@1"]
        return self.right_or(right, [*WRONG_ADDRESSES, "<word>", "ring@x", "tcp@10.0.0.1:514", "global"])

    def listen(self):
        self.port += 1
        port = str(self.port)
        right = [f":{port}", f"*:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", f"ipv4@:{port}", f":::{port}", f"{port}" and f"0.0.0.0:{port}", f":{port}-{port}"]
        wrong = [*WRONG_ADDRESSES, f":{port}-", f":{port}-1", f":{port},", f":{port},:x", f"{port}", f"*:{port}-70000", "<word>", f"unix@/tmp/x{port}", "fd@9"]
        return self.right_or(right, wrong)

    def server(self):
        self.servers += 1
        return self.right_or([f"t{self.servers}"], ["s1", "s2", "<word>", "a#b", "a:b", "a/b", "a b"])

    def place(self):
        return self.right_or(["b1/s1", "b2/s2", "l1/s1"], ["s1", "b1/", "/s1", "nosuch/s1", "b1/nosuch", "", "b1", "f1/s1", "a/b/c"])

    def backend(self):
        return self.right_or(["b1", "b2"], ["f1", "nosuch", "%[src]", "", "<word>", "%[nosuch]"])

    def acl(self):
        return self.right_or(["a1", "a2", "a3"], ["<word>", "", "or", "if", "TRUE", "a#"])

    def facility(self):
        return self.pick("local0", "local7", "daemon", "user")

    def level(self):
        return self.pick("emerg", "err", "notice", "info", "debug")

    def logform(self):
        return self.pick("rfc3164", "rfc5424", "short", "raw", "iso", "timed", "priority", "local")

    def ranges(self):
        return self.right_or(["1"], ["0", "x", "2-1", "", "1-5,3", "5:"])

    def option(self):
        return self.one_of(choices(OPTION))

    def bindword(self):
        return self.one_of(choices(BIND))

    def serverword(self):
        return self.one_of(choices(SERVER))

    def stores(self):
        return ",".join(self.one_of(choices(STORES)) for _ in range(self.random.randint(1, 3)))

    def converter(self):
        return self.one_of(choices(CONVERTERS))

    def typed(self):
        """A sample, and the tests that fit it."""
        samples, converters, tests = self.pick(*BY_TYPE)
        sample = self.one_of(choices(samples))
        for _ in range(self.pick(0, 0, 0, 1, 2)):
            sample += "," + self.one_of(choices(CONVERTERS if self.chance(self.wrong) else converters))
        return sample, tests

    def sample(self):
        return self.typed()[0]

    def test(self):
        sample, tests = self.typed()
        return f"{sample} {self.one_of(choices(TAILS if self.chance(self.wrong) else tests))}".strip()

    def balance(self):
        return self.one_of(choices(BALANCES))

    def track(self):
        return self.one_of(["track-sc<small> src table b1", "track-sc0 src table l1", "~track-sc<small> <sample>", "~track-sc0 src", "~track-sc0 src table <backend>"])

    def format(self):
        parts = [self.one_of(choices(FORMATS)) for _ in range(self.random.randint(1, 4))]
        return '"' + " ".join(parts).replace('"', "") + '"'

    def condition(self):
        terms = []
        for _ in range(self.random.randint(1, 3)):
            terms.append(self.pick("{ <test> }", "!{ <test> }", "a1", "!a2", "TRUE", "WAIT_END", "LOCALHOST", "REQ_CONTENT", "HTTP", "<acl>", "! a1"))
        join = self.pick(" ", " or ", " || ")
        text = self.right_or(["if", "unless"], ["If", "when", "if if", ""]) + " " + join.join(terms)
        return text if not self.chance(self.wrong // 4) else self.pick(text + " {", text + " }", text + " or", text.rstrip(" }"), "if", "if {}", "if { }")

    # Templates.

    def expand(self, template):
        """Innermost first, until nothing of a template is left."""
        for _ in range(300):
            found = re.search(r"\{([^{}]*\|[^{}]*)\}|<(\w+)>", template)
            if not found:
                break
            many, name = found.groups()
            if many is not None:
                text = self.one_of(many.split("|"))
            else:
                text = getattr(self, name)() if hasattr(self, name) else name
            template = template[: found.start()] + text + template[found.end() :]
        return re.sub(r" +", " ", template).strip()

    def line(self, templates):
        line = self.expand(self.one_of(lines(templates)))
        return self.spoil(line) if self.chance(self.spoilt) else line

    # Mistakes.

    def spoil(self, line):
        words = line.split(" ")
        at = self.random.randrange(len(words))
        word = words[at]
        letter = self.random.randrange(len(word)) if word else 0
        kind = self.random.randrange(15)
        if kind == 0:
            words[at] = word[:letter] + word[letter + 1 :]
        elif kind == 1:
            words[at] = word[:letter] + self.pick(*"aexz_-") + word[letter:]
        elif kind == 2:
            words[at] = word[: letter - 1] + word[letter : letter + 1] + word[letter - 1 : letter] + word[letter + 1 :] if letter else word.upper()
        elif kind == 3:
            del words[at:]
        elif kind == 4:
            del words[at]
        elif kind == 5:
            words.insert(at, word)
        elif kind == 6:
            words.append(self.expand("<word>"))
        elif kind == 7:
            words[at] = self.expand("<word>")
        elif kind == 8:
            words[at] = self.pick(f'"{word}"', f"'{word}'", f'"{word}', f"{word}'", f"{word}\\", f"{word}\\x4", f"\\{word}", f"{word}#", f"#{word}")
        elif kind == 9:
            words[at] = self.pick(f"${{{word}}}", f'"${{{word}}}"', f'"${word}"', '"${A', "${A}", '"$"', '"${}"', '"${A[*]}"')
        elif kind == 10:
            words.insert(0, self.pick("no", "default", "no no", "nO"))
        elif kind == 11:
            words[at] = word.upper()
        elif kind == 12:
            words[at] = self.pick("", "\t", word + "\t", '""', word + " ")
        elif kind == 13:
            words[at] = word + self.pick(",", ":", "(", ")", "()", "/", "=", ".")
        else:
            words = [self.pick(*words) for _ in words]
        return " ".join(words)

    # The file.

    def block(self, sections):
        """Lines between `.if` and `.endif`, now and then."""
        if not self.chance(self.wrong):
            return
        at = self.random.randrange(len(sections) + 1)
        condition = self.expand(self.pick(
            "1", "0", "", "defined(A)", "!defined(NOSUCH)", "streq(A,b)", 'strneq("$A",b)', "feature(OPENSSL)", "version_atleast(2.4)", "version_before(2.7-dev1)",
            "defined(A) && 1", "0 || 1", "(1", "1)", "x", "defined(", "!(0)", "enabled(POLL)", "streq(a)", "1 1", "version_atleast(x)", "defined()", "! 1", "1 &", "strstr(abc,b)",
        ))
        begin, end = self.pick((f".if {condition}", ".endif"), (f".if {condition}", ".endif"), (".if 1", f".elif {condition}\n.else\n.endif"), (f".if {condition}", ""), ("", ".endif"),
                               (".notice x", ""), (".warning 'a b'", ""), (".alert", ""), (".diag x", ""), (".nosuch", ""), (".else", ".endif"), (".if 0", ".else\n.elif 1\n.endif"))
        sections.insert(at, begin)
        sections.insert(min(at + self.random.randint(1, 4), len(sections)), end)

    def config(self):
        out = ["global"] + [" " + self.line(GLOBAL) for _ in range(self.random.randint(0, 3))]
        out += [self.right_or(["defaults", "defaults d1"], ["defaults d1 from nosuch", "defaults a b", "default"]), " mode tcp"]
        if self.chance(80):
            out += [" timeout client 1m", " timeout server 1m", " timeout connect 1s"]
        these = FRONT + BACK + BOTH if self.chance(self.wrong) else INHERITED
        out += [" " + self.line(these) for _ in range(self.random.randint(0, 3))]
        sections = [("frontend", "f1"), ("backend", "b1"), ("backend", "b2"), ("listen", "l1")]
        for kind, name in sections:
            if self.chance(self.wrong):
                kind = self.pick("frontend", "backend", "listen", "defaults", "global", "nosuch", "Listen")
            if self.chance(self.wrong):
                name = self.pick("f1", "b1", "", "a b", "x#y", "a/b", "l1 from d1", "l1 from nosuch", "a:b", "b1 from")
            out.append(f"{kind} {name}".rstrip())
            templates = {"frontend": FRONT, "backend": BACK}.get(kind, FRONT + BACK)
            if kind != "backend" and self.chance(90):
                self.port += 1
                out.append(f" bind :{self.port}")
            if kind != "frontend" and self.chance(90):
                out += [" server s1 10.0.0.1:80", " server s2 10.0.0.2:80"]
                if self.chance(90):
                    out.append(" stick-table type ip size 1k expire 5m store conn_rate(10s),conn_cur,gpc0")
            if self.chance(95):
                out += [" " + self.expand(f"acl a{number} <test>") for number in (1, 2, 3)]
            for _ in range(self.random.randint(0, 7)):
                these = self.pick(BOTH, templates, templates)
                if self.chance(self.wrong // 2):
                    these = self.pick(GLOBAL, FRONT, BACK)
                out.append(self.pick(" ", "  ", "\t") + self.line(these))
        self.block(out)
        return "\n".join(out) + self.pick("\n", "\n", "\n", "\n\n") * (not self.chance(self.wrong // 10))
