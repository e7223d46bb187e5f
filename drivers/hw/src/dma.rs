//! Memory that a device reaches: taken in runs, cut into pieces, and of each piece either words
//! that both sides use at all times, or frames that have one owner at a time.
#![allow(unsafe_code)]

use alloc::rc::Rc;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;

use crate::BusAddr;
use crate::frames::{Custody, Frames};

/// What keeps DMA memory alive, and hears who owns its frames.
pub trait Keeper: Clone + core::fmt::Debug {
    /// Frames were made of the memory at `bus`; `custody` says at all times which are the device's.
    fn watch(&self, bus: BusAddr, custody: &Rc<Custody>);
}

/// Memory that lives as long as the program, which nobody watches: a machine's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forever;

impl Keeper for Forever {
    fn watch(&self, _bus: BusAddr, _custody: &Rc<Custody>) {}
}

/// A run of memory with an address on the bus, owned by whoever holds this.
#[derive(Debug)]
pub struct Dma<K = Forever> {
    base: NonNull<u8>,
    bytes: usize,
    bus: BusAddr,
    keeper: K,
}

impl<K: Keeper> Dma<K> {
    /// The `bytes` bytes at virtual address `base`, which the device finds at `bus`.
    ///
    /// # Safety
    /// The memory is zero or otherwise initialised, contiguous on the bus, cached (x86 keeps it
    /// coherent), aligned to 128 bytes on both sides, and nobody else's from now until `keeper` is
    /// dropped. The device that is told addresses of it writes only into descriptors and into
    /// frames that it was given, and stops writing into a frame before it reports it done.
    pub unsafe fn new(base: NonNull<u8>, bytes: usize, bus: BusAddr, keeper: K) -> Dma<K> {
        Dma { base, bytes, bus, keeper }
    }

    /// How many bytes are left.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Cuts the first `bytes` bytes off, rounded up to 128. `None` if there are fewer.
    pub fn split(&mut self, bytes: usize) -> Option<Dma<K>> {
        let bytes = bytes.checked_next_multiple_of(ALIGNMENT)?;
        if bytes > self.bytes {
            return None;
        }
        let piece = Dma { bytes, keeper: self.keeper.clone(), ..*self };
        // SAFETY: `bytes` is at most the length of the run.
        self.base = unsafe { self.base.byte_add(bytes) };
        self.bus = self.bus.add(bytes as u64);
        self.bytes -= bytes;
        Some(piece)
    }

    /// All of it as words of 64 bits, zeroed.
    pub fn into_words(self) -> Words<K> {
        let count = self.bytes / size_of::<AtomicU64>();
        // SAFETY: the run is ours, and nobody has a reference to it.
        unsafe { self.base.write_bytes(0, self.bytes) };
        Words {
            base: self.base.cast(),
            count,
            bus: self.bus,
            _keeper: self.keeper,
            _core: PhantomData,
        }
    }

    /// As many frames as it holds, a power of two, all the driver's.
    pub fn into_frames(self) -> Frames<K> {
        Frames::new(self.base, self.bytes, self.bus, self.keeper)
    }
}

// SAFETY: a run of memory is nobody's but its holder's, wherever the holder is; a keeper that must
// stay on its thread keeps the run there too.
unsafe impl<K: Send> Send for Dma<K> {}

/// Words that driver and device use at the same time: descriptors. One core's.
#[derive(Debug)]
pub struct Words<K = Forever> {
    base: NonNull<AtomicU64>,
    count: usize,
    bus: BusAddr,
    _keeper: K,
    _core: PhantomData<*const ()>,
}

impl<K> Words<K> {
    /// Where the device finds the first word.
    pub fn bus(&self) -> BusAddr {
        self.bus
    }
}

impl<K> core::ops::Deref for Words<K> {
    type Target = [AtomicU64];

    #[inline]
    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: `Dma::into_words` gave `count` initialised words that are ours until the keeper
        // goes, aligned to 128 bytes. The device changes them at any time: atomics may change.
        unsafe { core::slice::from_raw_parts(self.base.as_ptr(), self.count) }
    }
}

/// Rings must begin at multiples of this (82599 datasheet 7.1.9, 7.2.3.3).
const ALIGNMENT: usize = 128;
