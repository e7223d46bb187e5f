//! Temporary.
use crate::counters::Drop;
use penstock_queue::ChunkId;
use penstock_wire::{Addr, Mac};
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HopId(pub(crate) u16);
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Request,
    Reply { solicited: bool, override_: bool },
    Mail,
}
pub(crate) struct Learned {
    pub(crate) changed: bool,
    pub(crate) hop: Option<HopId>,
    pub(crate) moved: bool,
}
pub(crate) enum Action {
    Solicit { interface: u8, addr: Addr, to: Option<Mac> },
    Failed { hop: HopId },
}
#[derive(Debug)]
pub(crate) struct Neighbours {}
impl Neighbours {
    pub(crate) fn new(_capacity: u16) -> Neighbours {
        Neighbours {}
    }
    pub(crate) fn resolve(
        &mut self,
        _millis: u32,
        _interface: u8,
        _addr: Addr,
    ) -> Result<HopId, Drop> {
        Ok(HopId(0))
    }
    pub(crate) fn mac(&mut self, _hop: HopId, _millis: u32) -> Option<Mac> {
        None
    }
    pub(crate) fn confirm(&mut self, _hop: HopId, _millis: u32) {}
    pub(crate) fn enqueue(&mut self, _hop: HopId, chunk: ChunkId, _bytes: u16) -> Option<ChunkId> {
        Some(chunk)
    }
    pub(crate) fn learn(
        &mut self,
        _millis: u32,
        _interface: u8,
        _addr: Addr,
        _mac: Mac,
        _how: How,
    ) -> Learned {
        Learned { changed: false, hop: None, moved: false }
    }
    pub(crate) fn take_waiting(&mut self, _hop: HopId) -> Option<(ChunkId, u16)> {
        None
    }
    pub(crate) fn next_deadline(&self) -> Option<u32> {
        None
    }
    pub(crate) fn expire(&mut self, _millis: u32) -> Option<Action> {
        None
    }
    pub(crate) fn live(&self) -> u32 {
        0
    }
    pub(crate) fn waiting(&self) -> u32 {
        0
    }
}
