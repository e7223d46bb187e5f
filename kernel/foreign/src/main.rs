//! A driver by others on our kernel and on the emulated card: both sides meet a client that knows
//! neither.
//!
//! The crate `ixgbe-driver` is given memory, registers and time, brings the link up, and sends every
//! frame of the experimental EtherType 88b5 (IEEE 802) back to whoever sent it. `image/test` counts.
#![cfg_attr(panic = "abort", no_std, no_main)]

extern crate alloc;

use core::ptr::NonNull;
use core::time::Duration;

use ixgbe_driver::{
    INTEL_82599, INTEL_VEND, IxgbeDevice, IxgbeHal, IxgbeNetBuf, MemPool, NicDevice, PhysAddr,
};
use penstock_hw::Function;
use penstock_kernel::machine::{Core, Machine};
use penstock_kernel::{clock, frames, info, paging};

penstock_kernel::image!(run);

fn run(mut machine: Machine) {
    let mut cards = machine.functions().iter().filter_map(|function| {
        let function = Function::new(function.config.clone()).ok()?;
        ((function.vendor(), function.device()) == (INTEL_VEND, INTEL_82599)).then_some(function)
    });
    let card = cards.next().expect("an 82599");
    let bar = card.memory_bar(0).expect("its registers");
    card.enable();
    machine.start(0, move |core| echo(core, bar.address as usize, bar.bytes as usize));
}

/// Sends back what comes, until all has come.
fn echo(mut core: Core, registers: usize, bytes: usize) {
    let base =
        paging::map_registers(registers as u64, bytes as u64).expect("a place for registers");
    let base = base.as_ptr() as usize;
    let pool = MemPool::allocate::<Kernel>(BUFFERS, 2048).expect("memory for frames");
    let device = IxgbeDevice::<Kernel, RING>::init(base, bytes, 1, 1, &pool);
    let mut device = device.expect("a card that comes up");
    info!("foreign: link {} Mb/s, address {:02x?}", device.get_link_speed(), device.get_mac_addr());
    let (mut received, mut sent) = (0, 0);
    while sent < FRAMES {
        core.turn();
        let mut arrived = alloc::vec::Vec::with_capacity(BURST);
        // Nothing to receive is an error there.
        let _ = device.receive_packets(0, BURST, |frame| arrived.push(frame));
        for frame in arrived {
            if frame.packet().get(12..14) != Some(&[0x88, 0xb5]) {
                continue;
            }
            received += 1;
            while !device.can_send(0).expect("queue 0") {
                device.recycle_tx_buffers(0).expect("queue 0");
            }
            let mut answer = IxgbeNetBuf::alloc(&pool, frame.packet_len()).expect("a free frame");
            answer.packet_mut().copy_from_slice(frame.packet());
            let (to, from) = answer.packet_mut()[..12].split_at_mut(6);
            to.swap_with_slice(from);
            device.send(0, answer).expect("room was made");
            sent += 1;
        }
        device.recycle_tx_buffers(0).expect("queue 0");
    }
    clock::delay_us(100_000);
    info!("foreign: {received} frames in, {sent} frames out");
}

/// What the driver wants of a machine.
struct Kernel;

// SAFETY: memory is taken once and never given back, so no two runs overlap; it is zero, and physical
// and virtual addresses are the same. Registers were mapped before.
unsafe impl IxgbeHal for Kernel {
    fn dma_alloc(size: usize) -> (PhysAddr, NonNull<u8>) {
        let (base, bus) = frames::take_pages(size).expect("memory for a device");
        (bus.0 as PhysAddr, base)
    }

    unsafe fn dma_dealloc(_bus: PhysAddr, _base: NonNull<u8>, _size: usize) -> i32 {
        0
    }

    unsafe fn mmio_phys_to_virt(physical: PhysAddr, _size: usize) -> NonNull<u8> {
        NonNull::new(physical as *mut u8).expect("registers are not at 0")
    }

    unsafe fn mmio_virt_to_phys(base: NonNull<u8>, _size: usize) -> PhysAddr {
        base.as_ptr() as PhysAddr
    }

    fn wait_until(duration: Duration) -> Result<(), &'static str> {
        clock::delay_us(duration.as_micros() as u32);
        Ok(())
    }
}

const FRAMES: u32 = 10_000;
const BUFFERS: usize = 4096;
const RING: usize = 512;
const BURST: usize = 32;
