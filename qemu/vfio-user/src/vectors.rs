//! From the card's messages to the client's eventfds.
//!
//! INTx follows VFIO: the line masks itself when it fires, and fires again if it is still high when
//! the client unmasks it.

use penstock_nic82599::Messages;
use std::fs::File;
use std::io::{self, Write};
use vfio_bindings::bindings::vfio as numbers;

/// The eventfds of one client.
#[derive(Default)]
pub(crate) struct Vectors {
    line: Option<File>,
    line_high: bool,
    line_masked: bool,
    single: Option<File>,
    table: Vec<Option<File>>,
}

impl Vectors {
    /// A client sets, removes, masks or triggers.
    pub(crate) fn configure(
        &mut self,
        index: u32,
        flags: u32,
        start: u32,
        count: u32,
        files: Vec<File>,
    ) -> io::Result<()> {
        let range = start as usize..(start as usize).saturating_add(count as usize);
        if range.end > VECTORS_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        match flags & numbers::VFIO_IRQ_SET_ACTION_TYPE_MASK {
            numbers::VFIO_IRQ_SET_ACTION_TRIGGER => {}
            numbers::VFIO_IRQ_SET_ACTION_MASK if index == numbers::VFIO_PCI_INTX_IRQ_INDEX => {
                self.line_masked = true;
                return Ok(());
            }
            numbers::VFIO_IRQ_SET_ACTION_UNMASK if index == numbers::VFIO_PCI_INTX_IRQ_INDEX => {
                self.line_masked = false;
                self.drive_line();
                return Ok(());
            }
            // Vectors of MSI and MSI-X are masked by the client itself.
            _ => return Ok(()),
        }
        let clear = flags & numbers::VFIO_IRQ_SET_DATA_NONE != 0;
        if clear && count > 0 {
            return self.trigger(index, range);
        }
        match index {
            numbers::VFIO_PCI_INTX_IRQ_INDEX => {
                self.line = files.into_iter().next();
                self.line_masked = false;
                self.drive_line();
            }
            numbers::VFIO_PCI_MSI_IRQ_INDEX => self.single = files.into_iter().next(),
            numbers::VFIO_PCI_MSIX_IRQ_INDEX if count == 0 => self.table.clear(),
            numbers::VFIO_PCI_MSIX_IRQ_INDEX => {
                self.table.resize_with(self.table.len().max(range.end), || None);
                let mut files = files.into_iter();
                for slot in &mut self.table[range] {
                    *slot = files.next();
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The client fires vectors by hand.
    fn trigger(&mut self, index: u32, range: std::ops::Range<usize>) -> io::Result<()> {
        match index {
            numbers::VFIO_PCI_INTX_IRQ_INDEX => signal(self.line.as_ref()),
            numbers::VFIO_PCI_MSI_IRQ_INDEX => signal(self.single.as_ref()),
            numbers::VFIO_PCI_MSIX_IRQ_INDEX => {
                for vector in range {
                    signal(self.table.get(vector).and_then(Option::as_ref));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Sends what the card asks for.
    pub(crate) fn send(&mut self, messages: Messages) {
        let mut rest = messages.vectors;
        while rest != 0 {
            signal(self.table.get(rest.trailing_zeros() as usize).and_then(Option::as_ref));
            rest &= rest - 1;
        }
        if messages.single {
            let first = self.table.first().and_then(Option::as_ref);
            signal(first.or(self.single.as_ref()));
        }
        self.line_high = messages.line;
        if self.table.is_empty() && self.single.is_none() {
            self.drive_line();
        }
    }

    fn drive_line(&mut self) {
        if self.line_high && !self.line_masked && self.line.is_some() {
            self.line_masked = true;
            signal(self.line.as_ref());
        }
    }
}

/// Adds one to an eventfd. Its counter cannot overflow here, and a client that has gone needs no
/// message, so nothing is done about an error.
fn signal(event: Option<&File>) {
    if let Some(mut event) = event {
        let _ = event.write_all(&1u64.to_ne_bytes());
    }
}

/// Vectors a client may name.
const VECTORS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    //! Proves which eventfd fires for which message, with a pipe in place of each eventfd.
    use super::*;
    use std::io::{PipeReader, Read, pipe};
    use std::os::fd::OwnedFd;

    fn event() -> (PipeReader, File) {
        let (reader, writer) = pipe().expect("a pipe");
        (reader, File::from(OwnedFd::from(writer)))
    }

    /// How often the event has fired since it was asked last.
    fn fired(reader: &mut PipeReader, vectors: &mut Vectors) -> usize {
        // Dropping every writer ends the pipe, so that reading to the end cannot block.
        *vectors = Vectors::default();
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).expect("ended");
        bytes.len() / 8
    }

    const SET: u32 = numbers::VFIO_IRQ_SET_DATA_EVENTFD | numbers::VFIO_IRQ_SET_ACTION_TRIGGER;

    #[test]
    fn a_vector_fires_its_own_eventfd() {
        let mut vectors = Vectors::default();
        let ((mut first, a), (mut second, b)) = (event(), event());
        vectors.configure(2, SET, 0, 1, vec![a]).expect("valid");
        vectors.configure(2, SET, 5, 1, vec![b]).expect("valid");
        vectors.send(Messages { vectors: 1 << 5 | 1 << 63, ..Messages::default() });
        vectors.send(Messages { vectors: 1 << 5, ..Messages::default() });
        vectors.send(Messages { single: true, ..Messages::default() });
        assert_eq!(fired(&mut first, &mut vectors), 1, "a single message is vector 0");
        assert_eq!(fired(&mut second, &mut vectors), 2);
        assert!(vectors.configure(2, SET, 60, 5, vec![]).is_err());
        assert!(vectors.configure(2, SET, u32::MAX, u32::MAX, vec![]).is_err());
    }

    #[test]
    fn the_line_masks_itself_and_fires_again_while_high() {
        let mut vectors = Vectors::default();
        let (mut line, file) = event();
        vectors.configure(0, SET, 0, 1, vec![file]).expect("valid");
        let high = Messages { line: true, ..Messages::default() };
        let unmask = numbers::VFIO_IRQ_SET_DATA_NONE | numbers::VFIO_IRQ_SET_ACTION_UNMASK;
        vectors.send(high);
        vectors.send(high);
        vectors.configure(0, unmask, 0, 1, vec![]).expect("valid");
        vectors.send(Messages::default());
        vectors.configure(0, unmask, 0, 1, vec![]).expect("valid");
        assert_eq!(fired(&mut line, &mut vectors), 2);
    }
}
