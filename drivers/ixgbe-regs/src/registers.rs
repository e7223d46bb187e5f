//! The table: each register in use with its datasheet section and offset.
//!
//! A line reads `NAME section offset, "meaning"`; an array adds `count x stride`, a receive queue
//! register `halves upper`. The macro makes a documented constant of each line and collects all of
//! them in [`TABLE`].

use crate::{Entry, Reg, RegArray};

macro_rules! registers {
    ($($name:ident $section:literal [$($shape:tt)+] $meaning:literal;)+) => {
        $(registers!(@constant $name $section [$($shape)+] $meaning);)+

        /// Every register in use, in the order of the datasheet's groups.
        pub const TABLE: &[Entry] = &[
            $(Entry {
                name: stringify!($name),
                section: $section,
                array: registers!(@array $($shape)+),
            },)+
        ];
    };
    (@constant $name:ident $section:literal [$offset:literal] $meaning:literal) => {
        #[doc = concat!($meaning, " (", $section, ").")]
        pub const $name: Reg = Reg($offset);
    };
    (@constant $name:ident $section:literal [$($shape:tt)+] $meaning:literal) => {
        #[doc = concat!($meaning, " (", $section, ").")]
        pub const $name: RegArray = registers!(@array $($shape)+);
    };
    (@array $offset:literal) => { RegArray::new($offset, 4, 1) };
    (@array $offset:literal; $count:literal) => { RegArray::new($offset, 4, $count) };
    (@array $offset:literal; $count:literal x $stride:literal) => {
        RegArray::new($offset, $stride, $count)
    };
    (@array $offset:literal halves $upper:literal) => { RegArray::halves($offset, $upper) };
}

registers! {
    // General control.
    CTRL "8.2.3.1.1" [0x00000] "Device control";
    CTRL_ALIAS "8.2.3.1.1" [0x00004] "Device control, second address";
    STATUS "8.2.3.1.2" [0x00008] "Device status";
    CTRL_EXT "8.2.3.1.3" [0x00018] "Extended device control";
    ESDP "8.2.3.1.4" [0x00020] "Software definable pins: module present, laser off";
    I2CCTL "8.2.3.1.5" [0x00028] "The two I2C wires of the module, driven by software";
    LEDCTL "8.2.3.1.6" [0x00200] "Lamps";
    FRTIMER "8.2.3.15" [0x00048] "Free running timer, microseconds";
    TCPTIMER "8.2.3.15" [0x0004C] "TCP timer";

    // EEPROM, flash, firmware, PCIe.
    EEC "8.2.3.2.1" [0x10010] "EEPROM and flash control";
    EERD "8.2.3.2.2" [0x10014] "EEPROM read";
    EEWR "8.2.3.2" [0x10018] "EEPROM write";
    FLA "8.2.3.2.3" [0x1001C] "Flash access";
    GRC "8.2.3.2" [0x10200] "General receive control of the EEPROM agent";
    SWSM "8.2.3.4" [0x10140] "Software semaphore";
    FWSM "8.2.3.4.10" [0x10148] "Firmware semaphore";
    SW_FW_SYNC "8.2.3.4" [0x10160] "Software-firmware synchronization (GSSR)";
    FACTPS "8.2.3.4" [0x10150] "Function active and power state";
    GCR "8.2.3.4" [0x11000] "PCIe control";
    GCR_EXT "8.2.3.4.12" [0x11050] "PCIe control extended";
    DCA_ID "8.2.3.11" [0x11070] "Direct cache access requester";
    DCA_CTRL "8.2.3.11" [0x11074] "Direct cache access control";
    PICAUSE "8.2.3.4" [0x110B0] "PCIe interrupt cause";
    PIENA "8.2.3.4" [0x110B8] "PCIe interrupt enable";
    CIAA "8.2.3.4" [0x11088] "Configuration space indirect access address";
    CIAD "8.2.3.4" [0x1108C] "Configuration space indirect access data";
    HICR "8.2.3.25" [0x15F00] "Host interface to the firmware";
    HIBA "8.2.3.25" [0x15F0C] "Host interface base";
    CORECTL "8.2.3.22.32" [0x14F00] "Core analog configuration";

    // Interrupts.
    EICR "8.2.3.5.1" [0x00800] "Interrupt causes";
    EICS "8.2.3.5.2" [0x00808] "Interrupt causes, set";
    EIMS "8.2.3.5.3" [0x00880] "Interrupt mask, set";
    EIMC "8.2.3.5.4" [0x00888] "Interrupt mask, clear";
    EIAC "8.2.3.5.5" [0x00810] "Causes cleared when their message is sent";
    EIAM "8.2.3.5.6" [0x00890] "Causes masked when their message is sent";
    EICS_EX "8.2.3.5.7" [0x00A90; 2] "Vector causes 0-31 and 32-63, set";
    EIMS_EX "8.2.3.5.8" [0x00AA0; 2] "Vector masks 0-31 and 32-63, set";
    EIMC_EX "8.2.3.5.9" [0x00AB0; 2] "Vector masks 0-31 and 32-63, clear";
    EIAM_EX "8.2.3.5.10" [0x00AD0; 2] "Vector auto-masks 0-31 and 32-63";
    EITRSEL "8.2.3.5.11" [0x00894] "Which throttles belong to virtual functions";
    EITR "8.2.3.5.12" [0x00820; 24] "Throttle of vectors 0-23";
    EITR_HIGH "8.2.3.5.12" [0x12300; 105] "Throttle of vectors 24-128";
    GPIE "8.2.3.5.18" [0x00898] "General purpose interrupt enable";
    IVAR "8.2.3.5" [0x00900; 64] "Vectors of two queue pairs each";
    IVAR_MISC "8.2.3.5" [0x00A00] "Vectors of the TCP timer and of other causes";
    PBACL "8.2.3.5" [0x110C0; 8] "Pending bit clear";

    // Flow control.
    PFCTOP "8.2.3.3.1" [0x03008] "Priority flow control type";
    FCTTV "8.2.3.3.2" [0x03200; 4] "Pause time";
    FCRTL "8.2.3.3.3" [0x03220; 8] "Receive threshold low";
    FCRTH "8.2.3.3.4" [0x03260; 8] "Receive threshold high";
    FCRTV "8.2.3.3.5" [0x032A0] "Refresh threshold";
    TFCS "8.2.3.3.6" [0x0CE00] "Transmit flow control status";
    FCCFG "8.2.3.3.7" [0x03D00] "Flow control configuration";

    // Receive filters and steering.
    FCTRL "8.2.3.7.1" [0x05080] "Filter control";
    VLNCTRL "8.2.3.7.2" [0x05088] "VLAN control";
    EXVET "8.2.3.7" [0x05078] "EtherType of an outer tag";
    MCSTCTRL "8.2.3.7.3" [0x05090] "Multicast control";
    PSRTYPE_LOW "8.2.3.7.4" [0x05480; 16] "Header split types, old addresses";
    PSRTYPE "8.2.3.7.4" [0x0EA00; 64] "Header split types and queues of a pool";
    RXCSUM "8.2.3.7.5" [0x05000] "Receive checksum control";
    RFCTL "8.2.3.7.6" [0x05008] "Receive filter control";
    MTA "8.2.3.7.7" [0x05200; 128] "Multicast hash table";
    RAL_LOW "8.2.3.7.8" [0x05400; 16 x 8] "Receive address low, old addresses";
    RAH_LOW "8.2.3.7.9" [0x05404; 16 x 8] "Receive address high, old addresses";
    RAL "8.2.3.7.8" [0x0A200; 128 x 8] "Receive address low";
    RAH "8.2.3.7.9" [0x0A204; 128 x 8] "Receive address high";
    MPSAR "8.2.3.7.10" [0x0A600; 256] "Pools of a receive address";
    VFTA "8.2.3.7.11" [0x0A000; 128] "VLAN filter table";
    MRQC "8.2.3.7.12" [0x05818] "Multiple receive queues command";
    MRQC_ALIAS "8.2.3.7.12" [0x0EC80] "Multiple receive queues command, second address";
    RQTC "8.2.3.7.13" [0x0EC70] "RSS queues per traffic class";
    RSSRK "8.2.3.7.14" [0x05C80; 10] "RSS key";
    RSSRK_HIGH "8.2.3.7.14" [0x0EB80; 10] "RSS key, second address";
    RETA "8.2.3.7.15" [0x05C00; 32] "Redirection table, four entries a word";
    RETA_HIGH "8.2.3.7.15" [0x0EB00; 32] "Redirection table, second address";
    SAQF "8.2.3.7.16" [0x0E000; 128] "5-tuple filter: source address";
    DAQF "8.2.3.7.17" [0x0E200; 128] "5-tuple filter: destination address";
    SDPQF "8.2.3.7.18" [0x0E400; 128] "5-tuple filter: ports";
    FTQF "8.2.3.7.19" [0x0E600; 128] "5-tuple filter: protocol, mask, enable";
    L34TIMIR "8.2.3.5" [0x0E800; 128] "5-tuple filter: queue and immediate interrupt";
    SYNQF "8.2.3.7.20" [0x0EC30] "SYN filter";
    ETQF "8.2.3.7.21" [0x05128; 8] "EtherType filter";
    ETQS "8.2.3.7.22" [0x0EC00; 8] "EtherType filter: queue";
    IMIRVP "8.2.3.5" [0x0EC60] "Immediate interrupt by VLAN priority";

    // Receive DMA.
    RDBAL "8.2.3.8.1" [0x01000 halves 0x0D000] "Receive ring address low";
    RDBAH "8.2.3.8.2" [0x01004 halves 0x0D004] "Receive ring address high";
    RDLEN "8.2.3.8.3" [0x01008 halves 0x0D008] "Receive ring length, bytes";
    DCA_RXCTRL "8.2.3.11.1" [0x0100C halves 0x0D00C] "Receive direct cache access";
    RDH "8.2.3.8.4" [0x01010 halves 0x0D010] "Receive ring head";
    SRRCTL "8.2.3.8.7" [0x01014 halves 0x0D014] "Split and replication receive control";
    RDT "8.2.3.8.5" [0x01018 halves 0x0D018] "Receive ring tail";
    RXDCTL "8.2.3.8.6" [0x01028 halves 0x0D028] "Receive descriptor control";
    RSCCTL "8.2.3.8" [0x0102C halves 0x0D02C] "Receive side coalescing control";
    SRRCTL_LOW "8.2.3.8.7" [0x02100; 16] "Split receive control of queues 0-15, old addresses";
    DCA_RXCTRL_LOW "8.2.3.11.1" [0x02200; 16] "Receive DCA of queues 0-15, old addresses";
    RDRXCTL "8.2.3.8.8" [0x02F00] "Receive DMA control";
    RXPBSIZE "8.2.3.8.9" [0x03C00; 8] "Receive packet buffer size";
    RXCTRL "8.2.3.8.10" [0x03000] "Receive control";
    RSCDBU "8.2.3.8" [0x03028] "Receive side coalescing data buffer";
    QDE "8.2.3.27" [0x02F04] "Queue drop enable";

    // Transmit.
    DTXMXSZRQ "8.2.3.9.1" [0x08100] "Transmit DMA outstanding bytes";
    DMATXCTL "8.2.3.9.2" [0x04A80] "Transmit DMA control";
    DTXTCPFLGL "8.2.3.9.3" [0x04A88] "TCP flags kept in first and middle segments";
    DTXTCPFLGH "8.2.3.9.4" [0x04A8C] "TCP flags kept in the last segment";
    TDBAL "8.2.3.9.5" [0x06000; 128 x 0x40] "Transmit ring address low";
    TDBAH "8.2.3.9.6" [0x06004; 128 x 0x40] "Transmit ring address high";
    TDLEN "8.2.3.9.7" [0x06008; 128 x 0x40] "Transmit ring length, bytes";
    DCA_TXCTRL "8.2.3.11.2" [0x0600C; 128 x 0x40] "Transmit direct cache access";
    TDH "8.2.3.9.8" [0x06010; 128 x 0x40] "Transmit ring head";
    TDT "8.2.3.9.9" [0x06018; 128 x 0x40] "Transmit ring tail";
    TXDCTL "8.2.3.9.10" [0x06028; 128 x 0x40] "Transmit descriptor control";
    TDWBAL "8.2.3.9.11" [0x06038; 128 x 0x40] "Head write-back address low";
    TDWBAH "8.2.3.9.11" [0x0603C; 128 x 0x40] "Head write-back address high";
    TXPBSIZE "8.2.3.9.13" [0x0CC00; 8] "Transmit packet buffer size";
    MNGTXMAP "8.2.3.9" [0x0CD10] "Management traffic class";
    MTQC "8.2.3.9.15" [0x08120] "Multiple transmit queues command";
    TXPBTHRESH "8.2.3.9.16" [0x04950; 8] "Transmit packet buffer threshold";

    // Data center bridging: stored, with no effect.
    RTRPT4S "8.2.3.10" [0x02160; 8] "Receive packet plane per-class status";
    RTTDT2S "8.2.3.10" [0x04930; 8] "Transmit descriptor plane per-class status";
    RTTPT2S "8.2.3.10" [0x0CD40; 8] "Transmit packet plane per-class status";
    RTTBCNRD "8.2.3.10" [0x0498C] "Transmit rate drift";
    RTTBCNTG "8.2.3.10" [0x04A90] "Transmit rate tag";
    RTRPCS "8.2.3.10" [0x02430] "Receive packet plane control";
    RTTDCS "8.2.3.10.2" [0x04900] "Transmit descriptor plane control";
    RTTDQSEL "8.2.3.10.13" [0x04904] "Transmit descriptor plane queue select";
    RTTDT1C "8.2.3.10.14" [0x04908] "Transmit descriptor plane per-queue configuration";
    RTTDT2C "8.2.3.10" [0x04910; 8] "Transmit descriptor plane per-class configuration";
    RTTBCNRC "8.2.3.10" [0x04984] "Transmit rate scheduler";
    RTTBCNRM "8.2.3.10" [0x04980] "Transmit rate scheduler memory";
    RTTPCS "8.2.3.10" [0x0CD00] "Transmit packet plane control";
    RTTPT2C "8.2.3.10" [0x0CD20; 8] "Transmit packet plane per-class configuration";
    RTRPT4C "8.2.3.10" [0x02140; 8] "Receive packet plane per-class configuration";
    RTRUP2TC "8.2.3.10" [0x03020] "Receive priority to traffic class";
    RTTUP2TC "8.2.3.10" [0x0C800] "Transmit priority to traffic class";

    // Security: no keys are kept, the engines are always drained.
    SECTXCTRL "8.2.3.12" [0x08800] "Security transmit control";
    SECTXSTAT "8.2.3.12" [0x08804] "Security transmit status";
    SECTXBUFFAF "8.2.3.12" [0x08808] "Security transmit buffer almost full";
    SECTXMINIFG "8.2.3.12" [0x08810] "Security transmit minimum gap";
    SECRXCTRL "8.2.3.12.5" [0x08D00] "Security receive control";
    SECRXSTAT "8.2.3.12.6" [0x08D04] "Security receive status";
    LSECTXCAP "8.2.3.13" [0x08A00] "LinkSec transmit capabilities";
    LSECRXCAP "8.2.3.13" [0x08F00] "LinkSec receive capabilities";
    LSECTXCTRL "8.2.3.13" [0x08A04] "LinkSec transmit control";
    LSECRXCTRL "8.2.3.13" [0x08F04] "LinkSec receive control";
    LSECTXCNT "8.2.3.13" [0x08A3C; 5] "LinkSec transmit counters";
    LSECRXCNT "8.2.3.13" [0x08F40; 17] "LinkSec receive counters";
    IPSTXIDX "8.2.3.14" [0x08900] "IPsec transmit table command";
    IPSTXDATA "8.2.3.14" [0x08904; 5] "IPsec transmit table: salt and key";
    IPSRXIDX "8.2.3.14" [0x08E00] "IPsec receive table command";
    IPSRXDATA "8.2.3.14" [0x08E04; 12] "IPsec receive table: addresses, SPI, key";

    // Time stamps: stored, no stamp is ever taken.
    TSYNCRXCTL "8.2.3.26" [0x05188] "Receive time stamp control";
    RXSTMPL "8.2.3.26" [0x051E8] "Receive time stamp low";
    RXSTMPH "8.2.3.26" [0x051A4] "Receive time stamp high";
    RXMTRL "8.2.3.26" [0x05120] "Receive time stamp message type";
    TSYNCTXCTL "8.2.3.26" [0x08C00] "Transmit time stamp control";
    TXSTMPL "8.2.3.26" [0x08C04] "Transmit time stamp low";
    TXSTMPH "8.2.3.26" [0x08C08] "Transmit time stamp high";
    SYSTIML "8.2.3.26" [0x08C0C] "System time low";
    SYSTIMH "8.2.3.26" [0x08C10] "System time high";
    TIMINCA "8.2.3.26" [0x08C14] "System time increment";
    TIMADJ "8.2.3.26" [0x08C18; 2] "System time adjustment";
    TSAUXC "8.2.3.26" [0x08C20] "Auxiliary time stamp control";

    // Fibre Channel over Ethernet: stored, off.
    FCRXCTRL "8.2.3.16" [0x05100] "FCoE receive control";
    FCRETASEL "8.2.3.16" [0x0ED00] "FCoE redirection control";
    FCRETA "8.2.3.16" [0x0ED10; 8] "FCoE redirection table";

    // Flow Director.
    FDIRCTRL "8.2.3.21.1" [0x0EE00] "Flow Director control";
    FDIRSIPV6 "8.2.3.21" [0x0EE0C; 3] "Filter: high words of an IPv6 source";
    FDIRIPSA "8.2.3.21" [0x0EE18] "Filter: source address";
    FDIRIPDA "8.2.3.21" [0x0EE1C] "Filter: destination address";
    FDIRPORT "8.2.3.21" [0x0EE20] "Filter: ports";
    FDIRVLAN "8.2.3.21" [0x0EE24] "Filter: VLAN and flexible bytes";
    FDIRHASH "8.2.3.21" [0x0EE28] "Filter: bucket and software index";
    FDIRCMD "8.2.3.21" [0x0EE2C] "Filter: command and queue";
    FDIRFREE "8.2.3.21" [0x0EE38] "Free filters";
    FDIRDIP4M "8.2.3.21" [0x0EE3C] "Mask: destination address, 1 ignores a bit";
    FDIRSIP4M "8.2.3.21" [0x0EE40] "Mask: source address, 1 ignores a bit";
    FDIRTCPM "8.2.3.21" [0x0EE44] "Mask: TCP ports, bit-reversed, 1 ignores a bit";
    FDIRUDPM "8.2.3.21" [0x0EE48] "Mask: UDP ports, bit-reversed, 1 ignores a bit";
    FDIRLEN "8.2.3.21" [0x0EE4C] "Longest bucket";
    FDIRUSTAT "8.2.3.21" [0x0EE50] "Filters added and removed";
    FDIRFSTAT "8.2.3.21" [0x0EE54] "Additions and removals that failed";
    FDIRMATCH "8.2.3.21" [0x0EE58] "Frames that matched a filter";
    FDIRMISS "8.2.3.21" [0x0EE5C] "Frames that matched none";
    FDIRHKEY "8.2.3.21" [0x0EE68] "Bucket hash key";
    FDIRSKEY "8.2.3.21" [0x0EE6C] "Signature hash key";
    FDIRM "8.2.3.21" [0x0EE70] "Mask: whole fields, 1 ignores the field";
    FDIRIP6M "8.2.3.21" [0x0EE74] "Mask: bytes of IPv6 addresses";

    // MAC and link.
    PCS1GCFIG "8.2.3.22.1" [0x04200] "1 GbE PCS configuration";
    PCS1GLCTL "8.2.3.22.2" [0x04208] "1 GbE PCS link control";
    PCS1GLSTA "8.2.3.22.3" [0x0420C] "1 GbE PCS link status";
    PCS1GANA "8.2.3.22.4" [0x04218] "1 GbE PCS advertisement";
    PCS1GANLP "8.2.3.22" [0x0421C] "1 GbE PCS partner ability";
    HLREG0 "8.2.3.22.8" [0x04240] "MAC core control 0";
    HLREG1 "8.2.3.22" [0x04244] "MAC core status 1";
    PAP "8.2.3.22" [0x04248] "Pause and pace";
    MSCA "8.2.3.22" [0x0425C] "MDI command and address";
    MSRWD "8.2.3.22" [0x04260] "MDI data";
    MAXFRS "8.2.3.22.13" [0x04268] "Largest frame";
    PCSS1 "8.2.3.22" [0x04288] "XGXS status 1";
    PCSS2 "8.2.3.22" [0x0428C] "XGXS status 2";
    XPCSS "8.2.3.22" [0x04290] "10GBASE-X PCS status";
    MFLCN "8.2.3.22.34" [0x04294] "MAC flow control";
    SERDESC "8.2.3.22" [0x04298] "SERDES interface control";
    MACS "8.2.3.22" [0x0429C] "FIFO status and control";
    AUTOC "8.2.3.22.19" [0x042A0] "Auto negotiation control";
    LINKS "8.2.3.22" [0x042A4] "Link status";
    LINKS2 "8.2.3.22" [0x04324] "Link status 2";
    AUTOC2 "8.2.3.22.22" [0x042A8] "Auto negotiation control 2";
    ANLP1 "8.2.3.22" [0x042B0] "Auto negotiation partner 1";
    ANLP2 "8.2.3.22" [0x042B4] "Auto negotiation partner 2";
    MMNGC "8.2.3.22" [0x042D0] "MAC manageability control: the veto bit";
    MACC "8.2.3.22" [0x04330] "MAC control";

    // Wake-up and management.
    WUC "8.2.3.24" [0x05800] "Wake-up control";
    WUFC "8.2.3.24" [0x05808] "Wake-up filter control";
    WUS "8.2.3.24" [0x05810] "Wake-up status";
    IPAV "8.2.3.24" [0x05838] "Address valid";
    IP4AT "8.2.3.24" [0x05840; 4 x 8] "IPv4 addresses that wake";
    IP6AT "8.2.3.24" [0x05880; 4] "IPv6 address that wakes";
    WUPL "8.2.3.24" [0x05900] "Length of the packet that woke";
    WUPM "8.2.3.24" [0x05A00; 32] "The packet that woke";
    FHFT "8.2.3.24" [0x09000; 256] "Flexible wake-up filters 0-3";
    MANC "8.2.3.25" [0x05820] "Management control";

    // Diagnostics: what register dumps of drivers read. Nothing is ever found wrong.
    PBACLR "8.2.3.5.16" [0x11068] "Pending bit clear, all at once";
    PCIEECCCTL "8.2.3.4" [0x1106C] "PCIe memory correction";
    PCIE_DIAG "8.2.3.4" [0x11090; 8] "PCIe diagnostics";
    EEMNGCTL "8.2.3.2" [0x10110] "EEPROM access of the firmware";
    EEMNGDATA "8.2.3.2" [0x10114] "EEPROM data of the firmware";
    FLMNGCTL "8.2.3.2" [0x10118] "Flash access of the firmware";
    FLMNGDATA "8.2.3.2" [0x1011C] "Flash data of the firmware";
    FLMNGCNT "8.2.3.2" [0x10120] "Flash count of the firmware";
    FLOP "8.2.3.2" [0x1013C] "Flash opcodes";
    FLEX_MNG "8.2.3.25" [0x15800; 448] "Command memory of the firmware";
    RXBUFCTRL "8.2.3.8" [0x03600] "Receive packet buffer access";
    RXBUFDATA "8.2.3.8" [0x03610; 4] "Receive packet buffer data";
    TXBUFCTRL "8.2.3.9" [0x0C600] "Transmit packet buffer access";
    TXBUFDATA "8.2.3.9" [0x0C610; 4] "Transmit packet buffer data";
    PBRXECC "8.2.3.8" [0x03300] "Receive packet buffer correction";
    PBTXECC "8.2.3.9" [0x0C300] "Transmit packet buffer correction";
    RDHMPN "8.2.3.8" [0x02F08] "Receive descriptor handler memory page";
    RIC_DW "8.2.3.8" [0x02F10; 4] "Receive descriptor handler memory data";
    RFVAL "8.2.3.7" [0x050A4] "Receive filter validation";
    PCS1GDBG0 "8.2.3.22" [0x04210] "1 GbE PCS diagnostics 0";
    PCS1GDBG1 "8.2.3.22" [0x04214] "1 GbE PCS diagnostics 1";
    PCS1GANNP "8.2.3.22" [0x04220] "1 GbE PCS next page";
    PCS1GANLPNP "8.2.3.22" [0x04224] "1 GbE PCS partner's next page";
    MLADD "8.2.3.22" [0x04264] "MAC address low";
    TREG "8.2.3.22" [0x0426C] "MAC test";
    MDFTC1 "8.2.3.22" [0x042B8] "MAC test control 1";
    MDFTC2 "8.2.3.22" [0x042C0] "MAC test control 2";
    MDFTFIFO1 "8.2.3.22" [0x042C4] "MAC test FIFO 1";
    MDFTFIFO2 "8.2.3.22" [0x042C8] "MAC test FIFO 2";
    MDFTS "8.2.3.22" [0x042CC] "MAC test status";
    ATLASCTL "8.2.3.22" [0x04800] "Analog configuration of 1 GbE";

    // Virtualization: stored; one pool holds everything until virtual functions exist.
    VT_CTL "8.2.3.27" [0x051B0] "Virtualization control";
    VFRE "8.2.3.27" [0x051E0; 2] "Pools that receive";
    VFTE "8.2.3.27" [0x08110; 2] "Pools that transmit";
    PFVFSPOOF "8.2.3.27" [0x08200; 8] "Spoof checks";
    PFDTXGSWC "8.2.3.27" [0x08220] "Switch loopback";
    VMTXSW "8.2.3.27" [0x05180; 2] "Pools that hear themselves";
    VMECM "8.2.3.27" [0x08790; 2] "Pools whose drops count";
    VMVIR "8.2.3.27" [0x08000; 64] "VLAN insertion of a pool";
    VMOLR "8.2.3.27.14" [0x0F000; 64] "What a pool accepts";
    VLVF "8.2.3.27.15" [0x0F100; 64] "VLANs of pools";
    VLVFB "8.2.3.27.16" [0x0F200; 128] "Pools of a VLAN";
    PFUTA "8.2.3.27.17" [0x0F400; 128] "Unicast hash table";
    MRCTL "8.2.3.27" [0x0F600; 4] "Mirror rules";
    VMRVLAN "8.2.3.27" [0x0F610; 8] "Mirrored VLANs";
    VMRVM "8.2.3.27" [0x0F630; 8] "Mirrored pools";
    PFMAILBOX "8.2.3.27" [0x04B00; 64] "Mailbox control of a virtual function";
    MBMEM "8.2.3.27" [0x13000; 1024] "Mailbox memory";
    MBVFICR "8.2.3.27" [0x00710; 4] "Mailbox causes";
    MBVFIMR "8.2.3.27" [0x00720; 2] "Mailbox masks";
    VFLRE "8.2.3.27" [0x00600] "Function resets of virtual functions 0-31";
    VFLRE_HIGH "8.2.3.27" [0x001C0] "Function resets of virtual functions 32-63";
    VFLREC "8.2.3.27" [0x00700; 2] "Function resets, clear";

    // Statistics: saturating, cleared by a read.
    CRCERRS "8.2.3.23" [0x04000] "Frames with a bad CRC";
    ILLERRC "8.2.3.23" [0x04004] "Illegal bytes";
    ERRBC "8.2.3.23" [0x04008] "Error bytes";
    MSPDC "8.2.3.23" [0x04010] "MAC short packets discarded";
    MPC "8.2.3.23" [0x03FA0; 8] "Frames missed for lack of packet buffer";
    MLFC "8.2.3.23" [0x04034] "MAC local faults";
    MRFC "8.2.3.23" [0x04038] "MAC remote faults";
    RLEC "8.2.3.23" [0x04040] "Receive length errors";
    LXONTXC "8.2.3.23" [0x03F60] "XON sent";
    LXOFFTXC "8.2.3.23" [0x03F68] "XOFF sent";
    LXONRXCNT "8.2.3.23" [0x041A4] "XON received";
    LXOFFRXCNT "8.2.3.23" [0x041A8] "XOFF received";
    PXONTXC "8.2.3.23" [0x03F00; 8] "Priority XON sent";
    PXOFFTXC "8.2.3.23" [0x03F20; 8] "Priority XOFF sent";
    PXONRXCNT "8.2.3.23" [0x04140; 8] "Priority XON received";
    PXOFFRXCNT "8.2.3.23" [0x04160; 8] "Priority XOFF received";
    PXON2OFFCNT "8.2.3.23" [0x03240; 8] "Priority XON to XOFF";
    PRC "8.2.3.23" [0x0405C; 6] "Good frames received, six sizes";
    GPRC "8.2.3.23" [0x04074] "Good frames received";
    BPRC "8.2.3.23" [0x04078] "Broadcast frames received";
    MPRC "8.2.3.23" [0x0407C] "Multicast frames received";
    GPTC "8.2.3.23" [0x04080] "Good frames sent";
    GORCL "8.2.3.23" [0x04088] "Good bytes received, low";
    GORCH "8.2.3.23" [0x0408C] "Good bytes received, high";
    GOTCL "8.2.3.23" [0x04090] "Good bytes sent, low";
    GOTCH "8.2.3.23" [0x04094] "Good bytes sent, high";
    RNBC "8.2.3.23" [0x03FC0; 8] "Frames received without a buffer";
    RUC "8.2.3.23" [0x040A4] "Undersized frames";
    RFC "8.2.3.23" [0x040A8] "Fragments";
    ROC "8.2.3.23" [0x040AC] "Oversized frames";
    RJC "8.2.3.23" [0x040B0] "Jabbers";
    MNGPRC "8.2.3.23" [0x040B4] "Management frames received";
    MNGPDC "8.2.3.23" [0x040B8] "Management frames dropped";
    MNGPTC "8.2.3.23" [0x0CF90] "Management frames sent";
    TORL "8.2.3.23" [0x040C0] "All bytes received, low";
    TORH "8.2.3.23" [0x040C4] "All bytes received, high";
    TPR "8.2.3.23" [0x040D0] "All frames received";
    TPT "8.2.3.23" [0x040D4] "All frames sent";
    PTC "8.2.3.23" [0x040D8; 6] "Frames sent, six sizes";
    MPTC "8.2.3.23" [0x040F0] "Multicast frames sent";
    BPTC "8.2.3.23" [0x040F4] "Broadcast frames sent";
    XEC "8.2.3.23" [0x04120] "Frames with a bad IP, TCP or UDP checksum";
    RXNFGPC "8.2.3.23" [0x041B0] "Good frames received before filters";
    RXNFGBC "8.2.3.23" [0x041B4; 2] "Good bytes received before filters";
    RXDGPC "8.2.3.23" [0x02F50] "Good frames moved to memory";
    RXDGBC "8.2.3.23" [0x02F54; 2] "Good bytes moved to memory";
    TXDGPC "8.2.3.23" [0x087A0] "Good frames moved from memory";
    TXDGBC "8.2.3.23" [0x087A4; 2] "Good bytes moved from memory";
    SSVPC "8.2.3.23" [0x08780] "Frames stopped by a spoof check";
    QPRC "8.2.3.23" [0x01030; 16 x 0x40] "Frames received, by counter";
    QBRC_L "8.2.3.23" [0x01034; 16 x 0x40] "Bytes received, by counter, low";
    QBRC_H "8.2.3.23" [0x01038; 16 x 0x40] "Bytes received, by counter, high";
    QPRDC "8.2.3.23" [0x01430; 16 x 0x40] "Frames dropped for lack of descriptors, by counter";
    QPTC "8.2.3.23" [0x06030; 16 x 0x40] "Frames sent, by counter";
    QBTC "8.2.3.23" [0x08700; 32] "Bytes sent, by counter, low and high in turn";
    QPTC_ALIAS "8.2.3.23" [0x08680; 16] "Frames sent, by counter, second address";
    RQSMR "8.2.3.23.71" [0x02300; 32] "Which counter a receive queue counts in";
    TQSM "8.2.3.23.73" [0x08600; 32] "Which counter a transmit queue counts in";
    FCCRC "8.2.3.23" [0x05118] "FCoE frames with a bad CRC";
    FCOERPDC "8.2.3.23" [0x0241C] "FCoE frames dropped";
    FCLAST "8.2.3.23" [0x02424] "FCoE last errors";
    FCOEPRC "8.2.3.23" [0x02428] "FCoE frames received";
    FCOEDWRC "8.2.3.23" [0x0242C] "FCoE words received";
    FCOEPTC "8.2.3.23" [0x08784] "FCoE frames sent";
    FCOEDWTC "8.2.3.23" [0x08788] "FCoE words sent";
    B2OSPC "8.2.3.23" [0x041C0] "BMC to OS frames sent";
    O2BGPTC "8.2.3.23" [0x041C4] "OS to BMC frames sent";
    B2OGPRC "8.2.3.23" [0x02F90] "BMC to OS frames received";
    O2BSPC "8.2.3.23" [0x087B0] "OS to BMC frames received";
}

/// Offsets that are reserved on this card and read all the same: the card before it, the 82598, had
/// registers there, and register dumps (`ethtool -d`, DPDK's `dump_regs`) know only one list.
pub const RESERVED: &[RegArray] = &[
    RegArray::new(0x02000, 4, 1),
    RegArray::new(0x02C00, 4, 9),
    RegArray::new(0x02F20, 4, 1),
    RegArray::new(0x03D04, 4, 1),
    RegArray::new(0x0424C, 4, 4),
    RegArray::new(0x042AC, 4, 1),
    RegArray::new(0x0581C, 4, 1),
    RegArray::new(0x05A80, 4, 17),
    RegArray::new(0x07214, 4, 1),
    RegArray::new(0x0721C, 4, 3),
    RegArray::new(0x0722C, 4, 3),
    RegArray::new(0x07C14, 4, 1),
    RegArray::new(0x07C1C, 4, 2),
    RegArray::new(0x07F14, 4, 1),
    RegArray::new(0x07F1C, 4, 2),
    RegArray::new(0x082E0, 4, 4),
    RegArray::new(0x08B00, 4, 1),
    RegArray::new(0x0CB00, 4, 1),
];
