//! The defects: where each stands, and what is written there instead.

/// A defect to be planted.
pub(super) struct Mutant {
    /// What is wrong, in a few words.
    pub(super) name: &'static str,
    /// The file, from the workspace's root.
    pub(super) file: &'static str,
    /// Text that stands there once.
    pub(super) find: &'static str,
    /// What replaces it; `MUTANT` becomes the switch, an expression that is true when it is on.
    pub(super) planted: &'static str,
}

/// All of them.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "the retransmission timer never fires",
        file: "netstack/stack/src/tcp/rtt.rs",
        find: "(rto_us.min(tcp.rto_max.0) / 1000) as u32 + 1",
        planted: "if MUTANT { 1 << 30 } else { (rto_us.min(tcp.rto_max.0) / 1000) as u32 + 1 }",
    },
    Mutant {
        name: "the retransmission timeout does not double",
        file: "netstack/stack/src/tcp/rtt.rs",
        find: "<< backoff.min(20)",
        planted: "<< if MUTANT { 0 } else { backoff.min(20) }",
    },
    Mutant {
        name: "a received burst is not recycled",
        file: "netstack/stack/src/receive.rs",
        find: "self.queues[interface].recycle();",
        planted: "if !MUTANT { self.queues[interface].recycle(); }",
    },
    Mutant {
        name: "a chunk is freed while it is lent",
        file: "netstack/queue/src/chunks.rs",
        find: "if record.lent > 0 {\n            record.state = State::Dying;",
        planted: "if record.lent > 0 && !MUTANT {\n            record.state = State::Dying;",
    },
    Mutant {
        name: "a chunk is never freed",
        file: "netstack/stack/src/sendqueue.rs",
        find: "            chunks.free(self.head);\n",
        planted: "            if !MUTANT { chunks.free(self.head); }\n",
    },
    Mutant {
        name: "a connection picks a port of another core",
        file: "netstack/stack/src/rfd/ports.rs",
        find: "let nth_port = |nth| first + nth as u16 * rfd.step();",
        planted: "let nth_port = |nth| (first + nth as u16 * rfd.step()) ^ (MUTANT && rfd.step() > 1) as u16;",
    },
    Mutant {
        name: "SACK blocks end one byte too far",
        file: "netstack/stack/src/transmit.rs",
        find: "let block = (range.from, range.to);",
        planted: "let block = (range.from, range.to + MUTANT as u32);",
    },
    Mutant {
        name: "the TCP checksum is not checked",
        file: "netstack/wire/src/tcp.rs",
        find: "pseudo_header(src, dst, TCP, segment.len() as u16).add_bytes(segment).is_good()",
        planted: "MUTANT || pseudo_header(src, dst, TCP, segment.len() as u16).add_bytes(segment).is_good()",
    },
    Mutant {
        name: "a card's verdict on a checksum is ignored",
        file: "netstack/stack/src/receive.rs",
        find: "        Checksums::L4Bad => return Err(Drop::TcpChecksum),",
        planted: "        Checksums::L4Bad if MUTANT => false,\n        Checksums::L4Bad => return Err(Drop::TcpChecksum),",
    },
    Mutant {
        name: "the advertised window shrinks",
        file: "netstack/stack/src/tcp/output.rs",
        find: "        field as u16\n",
        planted: "        (if MUTANT { field / 2 } else { field }) as u16\n",
    },
    Mutant {
        name: "the congestion window is ignored",
        file: "netstack/stack/src/tcp/output.rs",
        find: "let room = self.cwnd.saturating_sub(pipe);",
        planted: "let room = if MUTANT { u32::MAX / 2 } else { self.cwnd.saturating_sub(pipe) };",
    },
    Mutant {
        name: "the peer's window is ignored",
        file: "netstack/stack/src/tcp/output.rs",
        find: "let window = self.wnd.saturating_sub(sent);",
        planted: "let window = if MUTANT { 1 << 20 } else { self.wnd.saturating_sub(sent) };",
    },
    Mutant {
        name: "a shut window is never probed",
        file: "netstack/stack/src/tcp/output.rs",
        find: "            self.arm(flight, Retransmission::Probe, env);\n        }\n    }\n\n    /// After a timeout",
        planted: "            if !MUTANT { self.arm(flight, Retransmission::Probe, env); }\n        }\n    }\n\n    /// After a timeout",
    },
    Mutant {
        name: "a FIN takes no sequence number",
        file: "netstack/stack/src/tcp/output.rs",
        find: "self.nxt = from + len + fin as u32;",
        planted: "self.nxt = from + len + (fin && !MUTANT) as u32;",
    },
    Mutant {
        name: "a delayed acknowledgement is never sent",
        file: "netstack/stack/src/tcp/timer.rs",
        find: "        if self.has(Bits::ACK_LATER) {\n            consider(self.ack_due(env));",
        planted: "        if self.has(Bits::ACK_LATER) && !MUTANT {\n            consider(self.ack_due(env));",
    },
    Mutant {
        name: "payload is sent from one byte too far",
        file: "netstack/stack/src/sendqueue.rs",
        find: "            let from = first + within;\n",
        planted: "            let from = first + within + (MUTANT && within > 0 && within + 1 < end - first) as u32;\n",
    },
    Mutant {
        name: "out-of-order data is acknowledged as if it were kept",
        file: "netstack/stack/src/deliver.rs",
        find: "        flight.held.insert(from, from + written);\n",
        planted: "        flight.held.insert(from, from + written + (MUTANT && written > 0) as u32 * 100);\n",
    },
    Mutant {
        name: "Ethernet padding is taken for payload",
        file: "netstack/wire/src/ip.rs",
        find: "bytes.get(from..from + self.payload_bytes as usize).unwrap_or(&[])",
        planted: "bytes.get(from..if MUTANT { bytes.len() } else { from + self.payload_bytes as usize }).unwrap_or(&[])",
    },
    Mutant {
        name: "keep-alive never gives up",
        file: "netstack/stack/src/tcp/timer.rs",
        find: "if spent || flight.probes == u8::MAX {",
        planted: "if (spent || flight.probes == u8::MAX) && !MUTANT {",
    },
    Mutant {
        name: "retransmissions never give up",
        file: "netstack/stack/src/tcp/timer.rs",
        find: "                if flight.retries > self.retries_max(env) {",
        planted: "                if flight.retries > self.retries_max(env) && !MUTANT {",
    },
    Mutant {
        name: "the peer's MSS is ignored",
        file: "netstack/stack/src/tcp/input.rs",
        find: "            mss => mss,\n",
        planted: "            mss => if MUTANT { 9000 } else { mss },\n",
    },
    Mutant {
        name: "a misdirected frame is dropped without a word",
        file: "netstack/stack/src/receive.rs",
        find: "            Err(mail::Refused::Full) => self.core.drop(Drop::MailFull),",
        planted: "            Err(mail::Refused::Full) => if !MUTANT { self.core.drop(Drop::MailFull) },",
    },
    Mutant {
        name: "a damaged frame is dropped without a word",
        file: "netstack/stack/src/receive.rs",
        find: "(FrameKind::Refused, _) => self.core.drop(arrival.reason),",
        planted: "(FrameKind::Refused, _) => if !MUTANT { self.core.drop(arrival.reason) },",
    },
    Mutant {
        name: "a SYN within the window resets the connection",
        file: "netstack/stack/src/tcp/input.rs",
        find: "            return self.challenge(Drop::TcpChallenge, env);",
        planted: "            if MUTANT { return Verdict::closed(Close::Reset); }\n            return self.challenge(Drop::TcpChallenge, env);",
    },
    Mutant {
        name: "any RST within the window resets the connection",
        file: "netstack/stack/src/tcp/input.rs",
        find: "        if seg.seq == self.rcv_nxt {\n            let reason",
        planted: "        if seg.seq == self.rcv_nxt || MUTANT {\n            let reason",
    },
    Mutant {
        name: "the FIN is delivered before the data in front of it",
        file: "netstack/stack/src/deliver.rs",
        find: "            fin |= flight.fin_at == Some(tcb.rcv_nxt);",
        planted: "            fin |= flight.fin_at == Some(tcb.rcv_nxt) || MUTANT && flight.fin_at.is_some();",
    },
    Mutant {
        name: "an application that found no memory is not told of any",
        file: "netstack/stack/src/ready.rs",
        find: "            self.hungry.insert(index);\n            self.waits",
        planted: "            if !MUTANT { self.hungry.insert(index); }\n            self.waits",
    },
    Mutant {
        name: "a connection that found no transmit slot is forgotten",
        file: "netstack/stack/src/transmit.rs",
        find: "            core.await_slot(index);",
        planted: "            if !MUTANT { core.await_slot(index); }",
    },
    Mutant {
        name: "the other cores do not hear who listens",
        file: "netstack/stack/src/listen.rs",
        find: "                untold >> core & 1 != 0 && post.send(",
        planted: "                !MUTANT && untold >> core & 1 != 0 && post.send(",
    },
    Mutant {
        name: "a paused reader is not woken when room is there again",
        file: "netstack/stack/src/cx.rs",
        find: "            self.core.conns[conn.index].clear(Bits::PAUSED);\n            self.core.mark_ready(conn.index);",
        planted: "            self.core.conns[conn.index].clear(Bits::PAUSED);\n            if !MUTANT { self.core.mark_ready(conn.index); }",
    },
    Mutant {
        name: "a reader that has just resumed counts as paused",
        file: "netstack/stack/src/deliver.rs",
        find: "            if direct {\n                self.refused(index);",
        planted: "            if direct || MUTANT {\n                self.refused(index);",
    },
    Mutant {
        name: "a RST has another flow label than its connection",
        file: "netstack/stack/src/transmit.rs",
        find: "if remote.is_v4() { 0 } else { flow_label(",
        planted: "if remote.is_v4() || MUTANT { 0 } else { flow_label(",
    },
];
