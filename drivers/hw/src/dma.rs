//! Memory that a device reaches: taken in runs, cut into pieces, and of each piece either descriptors
//! that both sides use at all times, or frames that have one owner at a time.
#![allow(unsafe_code)]

use alloc::rc::Rc;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

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

    /// As many descriptors as it holds, a power of two, zeroed.
    ///
    /// # Panics
    /// When it holds none.
    pub fn into_ring(self) -> Ring<K> {
        let fitting = self.bytes / size_of::<Descriptor>();
        assert!(fitting > 0, "memory for no descriptor");
        // SAFETY: the run is ours, and nobody has a reference to it.
        unsafe { self.base.write_bytes(0, self.bytes) };
        Ring {
            base: self.base.cast(),
            mask: (1 << fitting.ilog2()) - 1,
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

/// A descriptor: two words of 64 bits.
type Descriptor = [AtomicU64; 2];

/// A ring of descriptors, which driver and device use at the same time: all accesses are atomic. One
/// core's. Indices wrap.
#[derive(Debug)]
pub struct Ring<K = Forever> {
    base: NonNull<Descriptor>,
    mask: u32,
    bus: BusAddr,
    _keeper: K,
    _core: PhantomData<*const ()>,
}

impl<K> Ring<K> {
    /// Where the device finds the first descriptor.
    pub fn bus(&self) -> BusAddr {
        self.bus
    }

    /// How many there are: a power of two.
    pub fn count(&self) -> u32 {
        self.mask + 1
    }

    /// The first word of descriptor `index`.
    #[inline]
    pub fn first(&self, index: u32) -> u64 {
        self.at(index)[0].load(Ordering::Relaxed)
    }

    /// The second word of descriptor `index`. What the device stored before it is seen by what
    /// follows.
    #[inline]
    pub fn second(&self, index: u32) -> u64 {
        self.at(index)[1].load(Ordering::Acquire)
    }

    /// Writes descriptor `index`, the second word last.
    #[inline]
    pub fn write(&self, index: u32, words: [u64; 2]) {
        let descriptor = self.at(index);
        descriptor[0].store(words[0], Ordering::Relaxed);
        descriptor[1].store(words[1], Ordering::Release);
    }

    #[inline]
    fn at(&self, index: u32) -> &Descriptor {
        // SAFETY: `Dma::into_ring` gave `mask + 1` initialised descriptors, aligned to 128 bytes, that
        // are ours until the keeper goes; the index is cut to them. The device changes them at any
        // time: atomics may change.
        unsafe { self.base.add((index & self.mask) as usize).as_ref() }
    }
}

/// Rings must begin at multiples of this (82599 datasheet 7.1.9, 7.2.3.3).
const ALIGNMENT: usize = 128;
