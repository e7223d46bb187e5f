//! Proves the card as a driver meets it: rings, offloads, steering, interrupts and faults, with a
//! small driver on each of two cards that one cable joins.

mod faults;
mod frames;
mod hostile;
mod mock;
mod offloads;
mod orders;
mod pause;
mod rings;
mod steering;
