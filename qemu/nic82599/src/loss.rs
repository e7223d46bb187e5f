//! Every frame or access that dies in the card, by name.

macro_rules! losses {
    ($($name:ident $text:literal;)+) => {
        /// Why a frame or an access was lost.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Loss {
            $(#[doc = $text] $name,)+
        }

        impl Loss {
            /// All of them, in order.
            pub const ALL: &'static [Loss] = &[$(Loss::$name,)+];

            /// What happened, in words.
            pub const fn text(self) -> &'static str {
                match self { $(Loss::$name => $text,)+ }
            }
        }
    };
}

losses! {
    UnknownRead "a read of an offset that is no register";
    UnknownWrite "a write to an offset that is no register";
    ReadOnlyWrite "a write to a register that only reads";
    DmaFault "a DMA address that no memory answers";
    BadRing "a ring with a head or tail outside of it";
    ReceiveLinkDown "received while the link was down";
    ReceiveLooped "received from the wire while the MAC was looped back";
    ReceiveOff "received while RXCTRL.RXEN was clear";
    AddressFilter "received for an address that no filter takes";
    VlanFilter "received in a VLAN that VFTA does not take";
    ReceiveTooLong "received longer than MAXFRS or than a whole ring";
    PacketBufferFull "received while the packet buffer was full";
    QueueDisabled "received for a queue that does not run";
    RingEmpty "received for a ring without descriptors, with DROP_EN";
    FlowDirectorDrop "received and matched by a Flow Director filter that drops";
    TransmitLinkDown "sent while the link was down";
    TransmitTooLong "sent with more bytes than a frame or a segmented frame may have";
    TransmitHole "sent from an address that no memory answers";
    TransmitRunt "sent shorter than a frame, without padding";
    BadContext "sent with offloads that its headers or its context contradict";
    TooManySegments "sent with more segments than a frame may be cut into";
    LostInterrupt "a message swallowed by a planted fault";
}

/// How often each [`Loss`] happened.
#[derive(Clone, Debug)]
pub struct Losses {
    counts: [u64; Loss::ALL.len()],
}

impl Losses {
    pub(crate) fn new() -> Losses {
        Losses { counts: [0; Loss::ALL.len()] }
    }

    pub(crate) fn count(&mut self, loss: Loss) {
        self.counts[loss as usize] += 1;
    }

    /// How often `loss` happened.
    pub fn of(&self, loss: Loss) -> u64 {
        self.counts[loss as usize]
    }

    /// Those that happened at all, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Loss, u64)> + '_ {
        Loss::ALL.iter().map(|&loss| (loss, self.of(loss))).filter(|&(_, count)| count > 0)
    }
}
