//! What a driver reads and writes: one `match` each, the datasheet section beside each line.
//!
//! A register without a line here is plain storage (`storage.rs` lists what it resets to and which
//! of its bits a driver may change). An offset that is no register at all reads zero and is counted.

use crate::card::{Card, Reset};
use crate::loss::Loss;
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::bits::{self, ctrl, eec, esdp, msca, status, swsm, txdctl};
use penstock_ixgbe_regs::{Reg, RegArray};

impl Card {
    /// A read of the word at `offset` in BAR 0. The low two bits of the offset are ignored.
    pub fn read32(&mut self, offset: u32) -> u32 {
        let Some(reg) = self.storage.find(offset) else {
            return self.unknown_read(offset);
        };
        match reg {
            regs::STATUS => self.status(),                            // 8.2.3.1.2
            regs::ESDP => self.pins(),                                // 8.2.3.1.4
            regs::I2CCTL => self.module.read(),                       // 8.2.3.1.5
            regs::EEC => self.storage.at(reg) | self.eeprom.output(), // 8.2.3.2.1
            regs::FRTIMER => self.now_us as u32,                      // 8.2.3.15
            regs::SWSM => self.read_semaphore(),                      // 8.2.3.4
            regs::EICR => self.interrupts.read_causes(&self.storage), // 8.2.3.5.1
            regs::EICS => self.interrupts.causes(),                   // 8.2.3.5.2
            regs::EIMS => self.interrupts.enabled(),                  // 8.2.3.5.3
            regs::EIMC => self.interrupts.enabled(),                  // 8.2.3.5.4
            regs::TFCS => self.flow_status(),                         // 8.2.3.3.6
            regs::RDRXCTL => self.storage.at(reg) | bits::rdrxctl::DMAIDONE, // 8.2.3.8.8
            regs::LINKS => self.link.links(self.storage.at(regs::AUTOC)), // 8.2.3.22
            // No PHY answers on the MDIO bus of a card with SFP+ cages.
            regs::MSRWD => self.storage.at(reg) & 0xFFFF | 0xFFFF_0000, // 8.2.3.22
            _ if regs::EICS_EX.holds(reg) => self.interrupts.vector_causes(half(reg)), // 8.2.3.5.7
            _ if regs::EIMS_EX.holds(reg) => self.interrupts.enabled_vectors(half(reg)), // 8.2.3.5.8
            _ if regs::EIMC_EX.holds(reg) => self.interrupts.enabled_vectors(half(reg)), // 8.2.3.5.9
            _ if regs::TXDCTL.holds(reg) => self.transmit_control(reg), // 8.2.3.9.10
            _ => self.storage.read(reg),
        }
    }

    /// The same word without what a read changes: counters, which a read would clear, are zero.
    pub fn peek32(&self, offset: u32) -> u32 {
        match self.storage.find(offset) {
            Some(reg) if regs::TXDCTL.holds(reg) => self.transmit_control(reg),
            Some(reg) => self.storage.peek(reg),
            None => 0,
        }
    }

    /// A write of the word at `offset` in BAR 0. What it sets in motion happens in the next
    /// [`Card::step`]. The low two bits of the offset are ignored.
    pub fn write32(&mut self, offset: u32, value: u32) {
        let Some(reg) = self.storage.find(offset) else {
            return self.unknown_write(offset);
        };
        match reg {
            regs::CTRL => self.write_control(value),    // 8.2.3.1.1
            regs::I2CCTL => self.module.write(value),   // 8.2.3.1.5
            regs::EEC => self.write_eeprom_pins(value), // 8.2.3.2.1
            regs::EERD => self.storage.set(reg, self.eeprom.read(value)), // 8.2.3.2.2
            regs::EEWR => self.storage.set(reg, self.eeprom.write(value)), // 8.2.3.2
            regs::SWSM => self.storage.set(reg, value & (swsm::SMBI | swsm::SWESMBI)), // 8.2.3.4
            // The firmware's half of the word is not ours to take.
            regs::SW_FW_SYNC => self.storage.set(reg, value & !0x03E0), // 8.2.3.4
            regs::EICR => self.interrupts.clear(&self.storage, value),  // 8.2.3.5.1
            regs::EICS => self.interrupts.write(reg, value),            // 8.2.3.5.2
            regs::EIMS => self.interrupts.write(reg, value),            // 8.2.3.5.3
            regs::EIMC => self.interrupts.write(reg, value),            // 8.2.3.5.4
            regs::DMATXCTL => self.write_transmit_control(value),       // 8.2.3.9.2
            // The tables forget what they are given; the command is done at once.
            regs::IPSTXIDX | regs::IPSRXIDX => self.storage.set(reg, value & 0x3FFF_FFFF), // 8.2.3.14
            regs::FDIRCTRL => self.director.write_control(&mut self.storage, value), // 8.2.3.21.1
            regs::FDIRCMD => self.write_director_command(value),                     // 8.2.3.21
            regs::MSCA => self.storage.set(reg, value & !msca::MDICMD),              // 8.2.3.22
            regs::AUTOC => self.write_link_control(value),                           // 8.2.3.22.19
            _ if regs::EICS_EX.holds(reg) => self.interrupts.write(reg, value),      // 8.2.3.5.7
            _ if regs::EIMS_EX.holds(reg) => self.interrupts.write(reg, value),      // 8.2.3.5.8
            _ if regs::EIMC_EX.holds(reg) => self.interrupts.write(reg, value),      // 8.2.3.5.9
            _ if regs::EITR.holds(reg) => self.write_throttle(reg, value),           // 8.2.3.5.12
            _ if regs::EITR_HIGH.holds(reg) => self.write_throttle(reg, value),      // 8.2.3.5.12
            _ if regs::TDT.holds(reg) => self.write_and_ring(&regs::TDT, reg, value), // 8.2.3.9.9
            _ if regs::TXDCTL.holds(reg) => self.write_and_ring(&regs::TXDCTL, reg, value), // 8.2.3.9.10
            _ => self.write_plain(reg, value),
        }
    }

    /// A plain value.
    fn write_plain(&mut self, reg: Reg, value: u32) {
        if !self.storage.write(reg, value) {
            self.losses.count(Loss::ReadOnlyWrite);
        }
    }

    /// A register of a transmit queue that may set it in motion.
    fn write_and_ring(&mut self, array: &RegArray, reg: Reg, value: u32) {
        self.write_plain(reg, value);
        self.ring_doorbell(array.index_of(reg).unwrap_or(0));
    }

    /// Transmit as a whole starts or stops.
    fn write_transmit_control(&mut self, value: u32) {
        self.write_plain(regs::DMATXCTL, value);
        self.ring_all_doorbells();
    }

    fn write_director_command(&mut self, value: u32) {
        let full = self.faults.director_full;
        if self.director.write_command(&mut self.storage, value, full) {
            self.interrupts.raise(bits::eicr::FLOW_DIR);
        }
    }

    fn write_throttle(&mut self, reg: Reg, value: u32) {
        self.write_plain(reg, value);
        let high = regs::EITR_HIGH.index_of(reg).map(|index| index + 24);
        if let Some(vector) = regs::EITR.index_of(reg).or(high) {
            self.interrupts.write_throttle(self.now_us, vector, value);
        }
    }

    /// A queue does not say that it runs before DMATXCTL.TE is set.
    fn transmit_control(&self, reg: Reg) -> u32 {
        let value = self.storage.at(reg);
        if self.transmit_enabled() { value } else { value & !txdctl::ENABLE }
    }

    fn status(&self) -> u32 {
        let control = self.storage.at(regs::CTRL);
        let busy = control & ctrl::GIO_DIS == 0 || self.faults.stuck_master_disable;
        let mut value = u32::from(self.config.port & 1) << status::LAN_ID_SHIFT;
        if busy {
            value |= status::GIO;
        }
        if self.link.up() {
            value |= status::LINK_UP;
        }
        value
    }

    fn pins(&self) -> u32 {
        let driven = self.storage.at(regs::ESDP) & !esdp::SDP2;
        driven | if self.module.plugged() { esdp::SDP2 } else { 0 }
    }

    /// A read takes the semaphore: who reads 0 has it.
    fn read_semaphore(&mut self) -> u32 {
        let value = self.storage.at(regs::SWSM);
        self.storage.set(regs::SWSM, value | swsm::SMBI);
        value
    }

    fn write_control(&mut self, value: u32) {
        self.storage.set(regs::CTRL, value & !(ctrl::RST | ctrl::LNK_RST));
        if value & ctrl::LNK_RST != 0 {
            self.reset(Reset::Link);
        } else if value & ctrl::RST != 0 {
            self.reset(Reset::Software);
        }
    }

    /// Software may ask for the EEPROM's pins and has them at once.
    fn write_eeprom_pins(&mut self, value: u32) {
        const DRIVEN: u32 = eec::SK | eec::CS | eec::DI | eec::REQ;
        let granted = if value & eec::REQ != 0 { eec::GNT } else { 0 };
        let fixed = self.storage.at(regs::EEC) & !(DRIVEN | eec::GNT);
        self.storage.set(regs::EEC, fixed | value & DRIVEN | granted);
        if granted != 0 {
            self.eeprom.drive(value);
        }
    }

    fn write_link_control(&mut self, value: u32) {
        self.storage.set(regs::AUTOC, value & !bits::autoc::AN_RESTART);
        if value & bits::autoc::AN_RESTART != 0 {
            self.restart_link();
        }
    }
}

/// Which half of the 64 vectors an `_EX` register stands for.
fn half(reg: Reg) -> u32 {
    (reg.0 >> 2) & 1
}

#[cfg(test)]
mod tests {
    //! Proves the registers with behaviour one by one, and that no access upsets the card.
    use super::*;
    use crate::card::CardConfig;
    use crate::faults::Faults;
    use penstock_ixgbe_regs::{BAR0_BYTES, Reg};
    use proptest::prelude::*;

    fn card() -> Card {
        Card::new(CardConfig::default())
    }

    fn read(card: &mut Card, reg: Reg) -> u32 {
        card.read32(reg.0)
    }

    #[test]
    fn resets_clear_themselves_and_load_the_address() {
        let mut card = card();
        for kind in [ctrl::RST, ctrl::LNK_RST, ctrl::RST | ctrl::LNK_RST] {
            card.write32(regs::RAL.at(0).0, 0);
            card.write32(regs::MRQC.0, 1);
            card.write32(regs::CTRL.0, kind | ctrl::GIO_DIS);
            assert_eq!(read(&mut card, regs::CTRL), 0, "each kind ends the master disable too");
            assert_eq!(read(&mut card, regs::MRQC), 0);
        }
        assert_eq!(read(&mut card, regs::RAL_LOW.at(0)), 0x0000_0052, "52:00:00:00:00:00");
        assert_eq!(read(&mut card, regs::RAH_LOW.at(0)), 0x8000_0100, "...:01, valid");
    }

    #[test]
    fn master_disable_is_answered_unless_it_is_stuck() {
        let mut card = card();
        card.write32(regs::CTRL.0, ctrl::GIO_DIS);
        assert_eq!(read(&mut card, regs::STATUS) & status::GIO, 0);
        card.set_faults(Faults { stuck_master_disable: true, ..Faults::default() });
        assert_eq!(read(&mut card, regs::STATUS) & status::GIO, status::GIO);
    }

    #[test]
    fn the_semaphore_is_taken_by_reading() {
        let mut card = card();
        assert_eq!(read(&mut card, regs::SWSM) & swsm::SMBI, 0);
        assert_eq!(read(&mut card, regs::SWSM) & swsm::SMBI, swsm::SMBI);
        card.write32(regs::SWSM.0, 0);
        assert_eq!(read(&mut card, regs::SWSM), 0);
        card.write32(regs::SWSM.0, swsm::SWESMBI);
        assert_ne!(read(&mut card, regs::SWSM) & swsm::SWESMBI, 0);
        card.write32(regs::SW_FW_SYNC.0, !0);
        assert_eq!(read(&mut card, regs::SW_FW_SYNC) & 0x3E0, 0, "firmware's bits stay free");
    }

    #[test]
    fn what_foreign_drivers_wait_for() {
        let mut card = card();
        assert_ne!(read(&mut card, regs::EEC) & eec::ARD, 0);
        assert_ne!(read(&mut card, regs::RDRXCTL) & bits::rdrxctl::DMAIDONE, 0);
        assert_eq!(read(&mut card, regs::SECRXSTAT), 1);
        assert_eq!(read(&mut card, regs::FWSM), 0x8000);
        assert_ne!(read(&mut card, regs::ANLP1) & 0xF_0000, 0);
        card.write32(regs::MSCA.0, msca::MDICMD);
        assert_eq!(read(&mut card, regs::MSCA), 0);
        assert_eq!(read(&mut card, regs::MSRWD) >> 16, 0xFFFF);
        card.write32(regs::FDIRCTRL.0, 0x11);
        assert_ne!(read(&mut card, regs::FDIRCTRL) & bits::fdirctrl::INIT_DONE, 0);
        card.write32(regs::TXDCTL.at(7).0, txdctl::ENABLE);
        assert_eq!(read(&mut card, regs::TXDCTL.at(7)), 0, "not before DMATXCTL.TE");
        card.write32(regs::DMATXCTL.0, 1);
        assert_eq!(read(&mut card, regs::TXDCTL.at(7)), txdctl::ENABLE);
    }

    /// The offline register test of Linux: which bits stick.
    #[test]
    fn bits_that_stick() {
        let mut card = card();
        let table = [
            (regs::FCRTL.at(0), 0x8007_FFF0u32, !0u32),
            (regs::FCRTH.at(0), 0x8007_FFF0, !0),
            (regs::PFCTOP, !0, !0),
            (regs::FCTTV.at(0), !0, !0),
            (regs::VLNCTRL, 0, 0),
            (regs::RDBAL.at(0), 0xFFFF_FF80, !0),
            (regs::RDBAH.at(0), !0, !0),
            (regs::RDLEN.at(0), 0x000F_FF80, !0),
            (regs::RDT.at(0), 0xFFFF, !0),
            (regs::TDBAL.at(0), 0xFFFF_FF80, !0),
            (regs::TDBAH.at(0), !0, !0),
            (regs::TDLEN.at(0), 0x000F_FF80, !0),
            (regs::RXCTRL, 1, 1),
            (regs::RAL_LOW.at(3), !0, !0),
            (regs::RAH_LOW.at(3), 0x8001_FFFF, 0x800C_FFFF),
            (regs::MTA.at(9), !0, !0),
        ];
        for pattern in [0x5A5A_5A5A, 0xA5A5_A5A5, 0, !0u32] {
            for (reg, mask, write) in table {
                card.write32(reg.0, pattern & write);
                assert_eq!(card.read32(reg.0), pattern & write & mask, "{reg:?}");
            }
        }
        let before = read(&mut card, regs::STATUS);
        card.write32(regs::STATUS.0, !0);
        assert_eq!(read(&mut card, regs::STATUS), before);
    }

    #[test]
    fn unknown_offsets_are_counted_and_named() {
        let mut card = card();
        assert_eq!(card.read32(0x1FFFC), 0);
        card.write32(0x1FFF8, 1);
        card.write32(0x1FFF8, 1);
        assert_eq!(card.losses().of(Loss::UnknownRead), 1);
        assert_eq!(card.losses().of(Loss::UnknownWrite), 2);
        assert_eq!(card.unknown().collect::<Vec<_>>(), [(0x1FFF8, 2), (0x1FFFC, 1)]);
    }

    proptest! {
        #[test]
        fn any_accesses_are_survived(
            accesses in proptest::collection::vec((any::<bool>(), 0..BAR0_BYTES + 64, any::<u32>()), 0..300)
        ) {
            let mut card = card();
            for (write, offset, value) in accesses {
                if write { card.write32(offset, value) } else { card.read32(offset); }
            }
        }
    }
}
