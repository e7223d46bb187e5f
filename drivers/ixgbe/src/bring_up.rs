//! Bring-up and shutdown, in the datasheet's order (4.6.3).
//!
//! ```text
//!   reset      interrupts off, queues off, DMA stopped (5.2.5.3.2), reset, EEPROM and DMA ready
//!   configure  address, filters, packet buffers, receive-side scaling, Flow Director, link
//!   arm        each queue on its own core: its rings (4.6.7, 4.6.8)
//!   enable     the receive path, when all queues are armed
//! ```
//! Every wait has a bound and a name ([`Wait`]).

use penstock_hw::Device;
use penstock_ixgbe_regs as regs;
use penstock_ixgbe_regs::bits::{
    ctrl, ctrl_ext, dmatxctl, eec, hlreg0, rdrxctl, rttdcs, rxctrl, sec, status, txdctl,
};

use crate::config::Config;
use crate::error::{Error, Wait};
use crate::filters::read_station;
use crate::limits::FRAMING_BYTES;
use crate::registers::Registers;
use crate::{eeprom, interrupts, link, steer};

/// Stops whatever the card does and puts it back to its beginning.
pub(crate) fn reset<D: Device>(card: &Registers<D>) -> Result<(), Error> {
    if card.is_absent() {
        return Err(Error::Absent);
    }
    stop(card);
    let stopped = card.wait(Wait::MasterDisable, regs::STATUS, status::GIO, 0);
    reset_once(card)?;
    if stopped.is_err() {
        // DMA was still outstanding: the first reset flushed it, the second begins clean
        // (5.2.5.3.2).
        card.device().delay_us(1);
        reset_once(card)?;
    }
    interrupts::disable(card);
    card.wait(Wait::EepromAutoRead, regs::EEC, eec::ARD, eec::ARD)?;
    card.wait(Wait::DmaInit, regs::RDRXCTL, rdrxctl::DMAIDONE, rdrxctl::DMAIDONE)
}

/// Interrupts, queues and DMA off.
fn stop<D: Device>(card: &Registers<D>) {
    interrupts::disable(card);
    card.write(regs::RXCTRL, 0);
    card.fill(regs::TXDCTL, txdctl::SWFLSH);
    card.fill(regs::RXDCTL, 0);
    card.flush();
    card.change(regs::CTRL, 0, ctrl::GIO_DIS);
}

fn reset_once<D: Device>(card: &Registers<D>) -> Result<(), Error> {
    // A link that firmware holds must not be reset under it.
    let is_held = card.read(regs::MMNGC) & MMNGC_VETO != 0;
    let kind = if is_held { ctrl::RST } else { ctrl::RST | ctrl::LNK_RST };
    card.change(regs::CTRL, 0, kind);
    card.flush();
    card.device().delay_us(RESET_FIRST_US);
    card.wait(Wait::Reset, regs::CTRL, ctrl::RST | ctrl::LNK_RST, 0)?;
    card.device().delay_us(RESET_SETTLE_US);
    Ok(())
}

/// Sets up all that is the port's and not a queue's, and starts the link. Returns the station
/// address in use. The receive path stays off.
pub(crate) fn configure<D: Device>(card: &Registers<D>, config: &Config) -> Result<[u8; 6], Error> {
    eeprom::check(card)?;
    card.change(regs::CTRL_EXT, 0, ctrl_ext::DRV_LOAD | ctrl_ext::PFRSTD);
    let station = config.filters.station.or_else(|| read_station(card));
    let station = station.ok_or(Error::NoStationAddress)?;
    link::start(card);
    configure_receive(card, config)?;
    config.filters.program(card, station);
    configure_transmit(card);
    if let Some(wanted) = config.interrupts {
        interrupts::enable(card, config.queues, wanted);
    }
    Ok(station)
}

/// The receive path of the port (4.6.7).
fn configure_receive<D: Device>(card: &Registers<D>, config: &Config) -> Result<(), Error> {
    let table = if config.steer.is_some() { steer::TABLE_BYTES } else { 0 };
    card.fill(regs::RXPBSIZE, 0);
    card.write(regs::RXPBSIZE.at(0), PACKET_BUFFER_BYTES - table);
    let jumbo = if config.mtu > 1500 { hlreg0::JUMBOEN } else { 0 };
    let mac = hlreg0::TXCRCEN | hlreg0::RXCRCSTRP | hlreg0::TXPADEN | jumbo;
    card.change(regs::HLREG0, hlreg0::JUMBOEN | hlreg0::LPBK, mac);
    card.change(regs::RDRXCTL, rdrxctl::RSCFRSTSIZE, rdrxctl::CRCSTRIP);
    card.write(regs::MAXFRS, (u32::from(config.mtu) + FRAMING_BYTES) << 16);
    steer::program_rss(card, &config.rss);
    match &config.steer {
        Some(steer) => steer::program_filters(card, steer),
        None => Ok(()),
    }
}

/// The transmit path of the port (4.6.8).
fn configure_transmit<D: Device>(card: &Registers<D>) {
    // The arbiter stands still while its buffers change.
    card.change(regs::RTTDCS, 0, rttdcs::ARBDIS);
    card.write(regs::MTQC, 0);
    card.fill(regs::TXPBSIZE, 0);
    card.write(regs::TXPBSIZE.at(0), TRANSMIT_BUFFER_BYTES);
    card.write(regs::TXPBTHRESH.at(0), TRANSMIT_THRESHOLD_KB);
    card.write(regs::DTXMXSZRQ, OUTSTANDING_MAX);
    card.change(regs::RTTDCS, rttdcs::ARBDIS, 0);
    card.change(regs::DMATXCTL, 0, dmatxctl::TE);
}

/// Opens the receive path, with all rings armed (4.6.7): halted first, so that nothing is on its way
/// while it opens.
pub(crate) fn enable_receive<D: Device>(card: &Registers<D>) -> Result<(), Error> {
    card.change(regs::SECRXCTRL, 0, sec::DIS);
    let empty = card.wait(Wait::ReceivePathEmpty, regs::SECRXSTAT, sec::RDY, sec::RDY);
    if empty.is_ok() {
        card.change(regs::RXCTRL, 0, rxctrl::RXEN);
    }
    card.change(regs::SECRXCTRL, sec::DIS, 0);
    empty
}

/// Leaves the card silent: the laser off, nobody's.
pub(crate) fn shut_down<D: Device>(card: &Registers<D>) -> Result<(), Error> {
    let reset = reset(card);
    link::stop(card);
    card.change(regs::CTRL_EXT, ctrl_ext::DRV_LOAD, 0);
    card.flush();
    reset
}

/// The packet buffer of a port (8.2.3.8.9).
const PACKET_BUFFER_BYTES: u32 = 512 * 1024;

/// One transmit buffer of 160 KB, and when a frame of it may be fetched: when 160 KB are free
/// (4.6.11.3.1).
const TRANSMIT_BUFFER_BYTES: u32 = 0x2_8000;
const TRANSMIT_THRESHOLD_KB: u32 = 0xA0;

/// Bytes that transmit DMA may have outstanding, in units of 256 (8.2.3.9.1).
const OUTSTANDING_MAX: u32 = 0xFFFF;

/// MMNGC: firmware vetoes a reset of the link.
const MMNGC_VETO: u32 = 1 << 0;

/// The card must not be touched for a millisecond after a reset (4.2.1.6.1).
const RESET_FIRST_US: u32 = 1_000;

/// The EEPROM is read, and clocks settle. Linux waits as long.
const RESET_SETTLE_US: u32 = 50_000;
