//! Proves the driver against the emulated card, in process: two machines, a card in each, one cable,
//! virtual time.

mod bring_up;
mod frames;
mod hostile;
mod machine;
mod offloads;
mod recovery;
mod rings;
mod stacks;
mod steering;
mod wakeups;
