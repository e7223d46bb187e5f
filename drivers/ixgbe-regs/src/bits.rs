//! Fields of registers: one module per register, named as the datasheet names them.
//!
//! A constant is a mask in place; where the value of a field matters there is a `_SHIFT` beside it.

fields! {
    /// Device control (8.2.3.1.1).
    ctrl {
        GIO_DIS = 1 << 2, "Master disable: no new DMA.";
        LNK_RST = 1 << 3, "Link reset, clears itself.";
        RST = 1 << 26, "Software reset, clears itself.";
    }
}
fields! {
    /// Device status (8.2.3.1.2).
    status {
        LAN_ID_SHIFT = 2, "Which port of the card this is.";
        LINK_UP = 1 << 7, "Link is up.";
        GIO = 1 << 19, "Master enable status: DMA may be outstanding.";
    }
}
fields! {
    /// Extended device control (8.2.3.1.3).
    ctrl_ext {
        PFRSTD = 1 << 14, "The physical function is out of reset.";
        NS_DIS = 1 << 16, "No-snoop disable.";
        RO_DIS = 1 << 17, "Relaxed ordering disable.";
        DRV_LOAD = 1 << 28, "A driver owns the port.";
    }
}
fields! {
    /// Software definable pins (8.2.3.1.4).
    esdp {
        SDP2 = 1 << 2, "Module present.";
        SDP3 = 1 << 3, "Laser off.";
    }
}
fields! {
    /// The two I2C wires (8.2.3.1.5).
    i2cctl {
        CLK_IN = 1 << 0, "Level of the clock.";
        CLK_OUT = 1 << 1, "Clock as driven by software, open drain.";
        DATA_IN = 1 << 2, "Level of the data wire.";
        DATA_OUT = 1 << 3, "Data as driven by software, open drain.";
    }
}
fields! {
    /// EEPROM control (8.2.3.2.1).
    eec {
        SK = 1 << 0, "Clock, when software drives the pins.";
        CS = 1 << 1, "Chip select.";
        DI = 1 << 2, "Data to the EEPROM.";
        DO = 1 << 3, "Data from the EEPROM.";
        REQ = 1 << 6, "Request for the pins.";
        GNT = 1 << 7, "Grant of the pins.";
        PRES = 1 << 8, "An EEPROM with a valid signature is present.";
        ARD = 1 << 9, "Auto-read done.";
        ADDR_SIZE = 1 << 10, "Its addresses have 16 bits; else 8.";
        SIZE_SHIFT = 11, "Size: 64 << value words.";
    }
}
fields! {
    /// EEPROM read and write (8.2.3.2.2).
    eerd {
        START = 1 << 0, "Start.";
        DONE = 1 << 1, "Done.";
        ADDR_SHIFT = 2, "Word address.";
        ADDR_MASK = 0x3FFF, "Word address, before the shift.";
        DATA_SHIFT = 16, "Data.";
    }
}
fields! {
    /// Software semaphore (8.2.3.4).
    swsm {
        SMBI = 1 << 0, "Between drivers: a read returns it and sets it.";
        SWESMBI = 1 << 1, "Between software and firmware: write 1, granted if it reads 1.";
    }
}
fields! {
    /// Firmware semaphore (8.2.3.4.10).
    fwsm {
        MODE_SHIFT = 1, "Firmware mode, 0 for none.";
        VALID = 1 << 15, "Firmware is valid.";
    }
}
fields! {
    /// PCIe control extended (8.2.3.4.12).
    gcr_ext {
        BUFFERS_CLEAR = 1 << 30, "Flush internal buffers.";
        MSIX_EN = 1 << 31, "MSI-X of virtual functions.";
    }
}
fields! {
    /// Interrupt causes (8.2.3.5.1).
    eicr {
        RTXQ = 0xFFFF, "Queues, by vector.";
        FLOW_DIR = 1 << 16, "The Flow Director table is nearly full.";
        RX_MISS = 1 << 17, "A frame was missed.";
        PCI = 1 << 18, "A PCIe exception.";
        MAILBOX = 1 << 19, "A virtual function wrote.";
        LSC = 1 << 20, "The link changed.";
        LINKSEC = 1 << 21, "LinkSec.";
        MNG = 1 << 22, "Manageability.";
        SDP1 = 1 << 25, "Pin 1: the module's laser.";
        SDP2 = 1 << 26, "Pin 2: a module was plugged or pulled.";
        ECC = 1 << 28, "Memory error.";
        TCP_TIMER = 1 << 30, "TCP timer.";
        OTHER = 1 << 31, "Any of 16 to 29, in vectors with a cause of their own.";
        OTHERS = 0x7FFF_0000, "All causes that are no queue.";
        CLEARED_UNDER_OCD = 0x3FFF_0000, "What a read still clears under GPIE.OCD.";
    }
}
fields! {
    /// Throttle (8.2.3.5.12).
    eitr {
        INTERVAL_SHIFT = 3, "Interval in units of 2.048 microseconds at 1 and 10 Gb/s.";
        INTERVAL_MASK = 0x1FF, "Interval, before the shift.";
        COUNTER_SHIFT = 21, "Counter, bits 11:5 of it.";
        CNT_WDIS = 1 << 31, "Leave the counter alone.";
    }
}
fields! {
    /// General purpose interrupt enable (8.2.3.5.18).
    gpie {
        MSIX = 1 << 4, "One message per vector; else every cause is vector 0.";
        OCD = 1 << 5, "A read of EICR clears only the causes that are no queue.";
        EIMEN = 1 << 6, "A write of EICS is not throttled.";
        EIAME = 1 << 30, "A message masks the causes that EIAM names.";
        PBA = 1 << 31, "Pending bits.";
    }
}
fields! {
    /// Vector assignment (8.2.3.5).
    ivar {
        VECTOR = 0x3F, "Vector of the byte.";
        VALID = 0x80, "The byte is valid.";
    }
}
fields! {
    /// Filter control (8.2.3.7.1).
    fctrl {
        SBP = 1 << 1, "Store bad packets.";
        MPE = 1 << 8, "Multicast promiscuous.";
        UPE = 1 << 9, "Unicast promiscuous.";
        BAM = 1 << 10, "Broadcast accept.";
    }
}
fields! {
    /// VLAN control (8.2.3.7.2).
    vlnctrl {
        VET = 0xFFFF, "EtherType of a tag.";
        CFI = 1 << 28, "The canonical form bit that is compared.";
        CFIEN = 1 << 29, "Compare the canonical form bit.";
        VFE = 1 << 30, "Filter by VFTA.";
    }
}
fields! {
    /// Multicast control (8.2.3.7.3).
    mcstctrl {
        MO = 3, "Which twelve bits of the address index MTA.";
        MFE = 1 << 2, "Filter by MTA.";
    }
}
fields! {
    /// Receive checksum control (8.2.3.7.5).
    rxcsum {
        IPPCSE = 1 << 12, "Checksum of IP payload.";
        PCSD = 1 << 13, "The descriptor carries the RSS hash, not the fragment checksum.";
    }
}
fields! {
    /// Receive address high (8.2.3.7.9).
    rah {
        AV = 1 << 31, "The address is valid.";
    }
}
fields! {
    /// Multiple receive queues (8.2.3.7.12).
    mrqc {
        MODE = 0xF, "0 none, 1 RSS, 4 and 5 RSS with traffic classes, 10 and 11 with pools.";
        TCP_IPV4 = 1 << 16, "Hash TCP over IPv4.";
        IPV4 = 1 << 17, "Hash IPv4.";
        IPV6 = 1 << 20, "Hash IPv6.";
        TCP_IPV6 = 1 << 21, "Hash TCP over IPv6.";
        UDP_IPV4 = 1 << 22, "Hash UDP over IPv4.";
        UDP_IPV6 = 1 << 23, "Hash UDP over IPv6.";
    }
}
fields! {
    /// Receive descriptor control (8.2.3.8.6).
    rxdctl {
        ENABLE = 1 << 25, "The queue runs.";
        SWFLSH = 1 << 26, "Flush, write only.";
        VME = 1 << 30, "Strip the VLAN tag.";
    }
}
fields! {
    /// Split and replication receive control (8.2.3.8.7).
    srrctl {
        BSIZEPKT = 0x1F, "Buffer size in KB.";
        DESCTYPE_SHIFT = 25, "0 legacy, 1 advanced with one buffer, 2 and 5 header split.";
        DESCTYPE = 7 << 25, "The same, in place.";
        DROP_EN = 1 << 28, "Drop when the ring is empty, instead of waiting.";
    }
}
fields! {
    /// Receive DMA control (8.2.3.8.8).
    rdrxctl {
        CRCSTRIP = 1 << 1, "Strip the CRC.";
        DMAIDONE = 1 << 3, "The DMA engine is ready.";
        RSCFRSTSIZE = 0x1F << 17, "Must be cleared.";
    }
}
fields! {
    /// Receive control (8.2.3.8.10).
    rxctrl {
        RXEN = 1 << 0, "Receive.";
        DMBYPS = 1 << 1, "Descriptor monitor bypass.";
    }
}
fields! {
    /// Transmit DMA control (8.2.3.9.2).
    dmatxctl {
        TE = 1 << 0, "Transmit.";
    }
}
fields! {
    /// Transmit descriptor plane control (8.2.3.10.2).
    rttdcs {
        ARBDIS = 1 << 6, "The arbiter stands still.";
    }
}
fields! {
    /// Transmit descriptor control (8.2.3.9.10).
    txdctl {
        ENABLE = 1 << 25, "The queue runs, once DMATXCTL.TE is set.";
        SWFLSH = 1 << 26, "Flush, write only.";
    }
}
fields! {
    /// Head write-back (8.2.3.9.11).
    tdwbal {
        ENABLE = 1 << 0, "Write the head to memory instead of DD to descriptors.";
    }
}
fields! {
    /// Security receive and transmit (8.2.3.12).
    sec {
        DIS = 1 << 1, "Stop the engine.";
        RDY = 1 << 0, "Status: the engine is drained.";
    }
}
fields! {
    /// Flow Director control (8.2.3.21.1).
    fdirctrl {
        PBALLOC = 3, "Table size: 0 off, 1 to 3 for 64, 128, 256 KB of packet buffer.";
        INIT_DONE = 1 << 3, "The table is ready.";
        PERFECT = 1 << 4, "Perfect match; else signatures.";
        REPORT = 1 << 5, "Matched frames carry bucket and software index.";
        REPORT_ALWAYS = 1 << 7, "The same, with every matching frame.";
        DROP_QUEUE_SHIFT = 8, "The queue that means drop.";
        FLEX_SHIFT = 16, "Offset of the flexible bytes, in words.";
        FLEX_MASK = 0x1F, "The same, before the shift.";
        FULL_SHIFT = 28, "FLOW_DIR is raised when fewer than 16 times this are free.";
    }
}
fields! {
    /// Flow Director command (8.2.3.21).
    fdircmd {
        CMD = 3, "1 add, 2 remove, 3 query; reads 0 when done.";
        ADD = 1, "Add or update.";
        REMOVE = 2, "Remove.";
        QUERY = 3, "Query by bucket and software index.";
        VALID = 1 << 2, "Query found the filter.";
        UPDATE = 1 << 3, "Add replaces an equal filter.";
        L4TYPE_SHIFT = 5, "1 UDP, 2 TCP, 3 SCTP.";
        IPV6 = 1 << 7, "IPv6.";
        CLEARHT = 1 << 8, "Clear the table.";
        DROP = 1 << 9, "Drop matching frames.";
        LAST = 1 << 11, "Last of a chain.";
        QUEUE_EN = 1 << 15, "The queue field counts.";
        QUEUE_SHIFT = 16, "Receive queue, absolute.";
        POOL_SHIFT = 24, "Pool.";
    }
}
fields! {
    /// Flow Director bucket (8.2.3.21).
    fdirhash {
        BUCKET = 0x1FFF, "Bucket.";
        VALID = 1 << 15, "The bucket is valid.";
        INDEX_SHIFT = 16, "Software index.";
    }
}
fields! {
    /// Flow Director masks of whole fields (8.2.3.21).
    fdirm {
        VLAN_ID = 1 << 0, "Ignore the VLAN.";
        VLAN_PRIORITY = 1 << 1, "Ignore the VLAN priority.";
        POOL = 1 << 2, "Ignore the pool.";
        L4 = 1 << 3, "Ignore the protocol.";
        FLEX = 1 << 4, "Ignore the flexible bytes.";
        DIPV6 = 1 << 5, "Ignore the IPv6 destination.";
    }
}
fields! {
    /// MAC core control (8.2.3.22.8).
    hlreg0 {
        TXCRCEN = 1 << 0, "Append the CRC.";
        RXCRCSTRP = 1 << 1, "Strip the CRC.";
        JUMBOEN = 1 << 2, "Frames up to MAXFRS.";
        TXPADEN = 1 << 10, "Pad short frames.";
        LPBK = 1 << 15, "Loop what is sent back to receive.";
    }
}
fields! {
    /// MDI command (8.2.3.22).
    msca {
        MDICMD = 1 << 30, "Start; clears itself.";
    }
}
fields! {
    /// Receive threshold low (8.2.3.3.3).
    fcrtl {
        RTL = 0x7_FFF0, "Bytes in the packet buffer at which the far end may go on.";
        XONE = 1 << 31, "Tell it.";
    }
}
fields! {
    /// Receive threshold high (8.2.3.3.4).
    fcrth {
        RTH = 0x7_FFF0, "Bytes in the packet buffer at which the far end is stopped.";
        FCEN = 1 << 31, "Stop it.";
    }
}
fields! {
    /// Transmit flow control status (8.2.3.3.6).
    tfcs {
        TC0_XON = 1 << 0, "The link, or traffic class 0, may send.";
        TC_XON = 0xFF, "The same for each traffic class.";
    }
}
fields! {
    /// Flow control configuration (8.2.3.3.7).
    fccfg {
        TFCE = 3 << 3, "Which pauses the card sends.";
        TFCE_LINK = 1 << 3, "Those of the whole link.";
    }
}
fields! {
    /// MAC flow control (8.2.3.22.34).
    mflcn {
        DPF = 1 << 1, "Pause frames end in the MAC.";
        RFCE = 1 << 3, "Pause frames of the whole link are obeyed.";
    }
}
fields! {
    /// Auto negotiation control (8.2.3.22.19).
    autoc {
        FLU = 1 << 0, "Force the link up.";
        AN_RESTART = 1 << 12, "Restart the link; clears itself.";
        LMS_SHIFT = 13, "Link mode: 0 1G, 1 10G parallel, 2 1G negotiated, 3 10G serial, 4 and up backplane.";
        LMS_MASK = 7, "The same, before the shift.";
    }
}
fields! {
    /// Auto negotiation control 2 (8.2.3.22.22).
    autoc2 {
        LINK_DISABLE = 0x7000_0000, "Any of these keeps the link down.";
    }
}
fields! {
    /// Link status (8.2.3.22).
    links {
        UP = 1 << 30, "Link is up.";
        SPEED_SHIFT = 28, "1 for 100 Mb/s, 2 for 1 Gb/s, 3 for 10 Gb/s.";
    }
}
