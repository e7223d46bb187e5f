//! TCP options: the loop for segments outside the fast path, and the layout of what we send.

use super::{HEADER_BYTES, HEADER_BYTES_MAX, Options, SACK_BLOCKS_MAX, Syn, Timestamps};
use crate::fields::u32_at;
use crate::seq::SeqNum;

/// The first word of the layout that RFC 7323 appendix A recommends: NOP, NOP, timestamps of 10 bytes.
pub(crate) const TIMESTAMPS_WORD: u32 = word(NOP, NOP, TIMESTAMPS, 10);

/// The same on a SYN, with SACK permitted in place of the padding.
const SACK_PERMITTED_AND_TIMESTAMPS_WORD: u32 = word(SACK_PERMITTED, 2, TIMESTAMPS, 10);

/// Reads the option bytes of a header into `options`, which are clear. What follows a malformed option is not read,
/// and the segment stands with what was (as in Linux): a header that confuses is no reason to lose
/// data.
//= rfc9293#3.1
//# A TCP implementation MUST be able to receive a TCP Option in any segment (MUST-5).
#[inline(never)]
pub(super) fn parse(bytes: &[u8], syn: bool, options: &mut Options) {
    let mut rest = parse_words(bytes, syn, options);
    // Bounded by the 40 bytes of options: each turn moves on by at least one.
    while let Some((&kind, after)) = rest.split_first() {
        match kind {
            END => return,
            NOP => {
                rest = after;
                continue;
            }
            _ => {}
        }
        //= rfc9293#3.1
        //# TCP implementations MUST be prepared to handle an illegal option length (e.g., zero)
        let Some((&length, _)) = after.split_first() else { return };
        if length < 2 {
            return;
        }
        let Some((option, next)) = rest.split_at_checked(length as usize) else { return };
        read(kind, &option[2..], syn, options);
        rest = next;
    }
}

/// Reads options as far as they are laid out in words, as Linux and its like do; returns the rest.
#[inline]
fn parse_words<'a>(bytes: &'a [u8], syn: bool, options: &mut Options) -> &'a [u8] {
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first_chunk::<4>() {
        let first = u32::from_be_bytes(*first);
        if syn && first >> 16 == word(0, 0, MSS, 4) {
            options.mss = first as u16;
        } else if syn && first >> 8 == word(0, NOP, WINDOW_SCALE, 3) {
            options.window_scale = Some(first as u8);
        } else if first == TIMESTAMPS_WORD || first == SACK_PERMITTED_AND_TIMESTAMPS_WORD {
            let Some((stamps, after)) = after.split_first_chunk::<8>() else { break };
            let (value, echo) = (u32_at(stamps, 0), u32_at(stamps, 4));
            options.timestamps = Some(Timestamps { value, echo });
            options.sack_permitted |= syn && first != TIMESTAMPS_WORD;
            rest = after;
            continue;
        } else {
            break;
        }
        rest = after;
    }
    rest
}

/// One option; of a known kind with a length that is not its own, nothing is believed.
//= rfc9293#3.1
//# A TCP implementation MUST (MUST-6) ignore without error any TCP Option it does not implement,
//# assuming that the option has a length field.
#[inline]
fn read(kind: u8, value: &[u8], syn: bool, options: &mut Options) {
    match (kind, value) {
        (MSS, &[high, low]) if syn => options.mss = u16::from_be_bytes([high, low]),
        (WINDOW_SCALE, &[shift]) if syn => options.window_scale = Some(shift),
        (SACK_PERMITTED, []) if syn => options.sack_permitted = true,
        (TIMESTAMPS, value) => {
            if let Ok(value) = <&[u8; 8]>::try_from(value) {
                let (value, echo) = (u32_at(value, 0), u32_at(value, 4));
                options.timestamps = Some(Timestamps { value, echo });
            }
        }
        (SACK, value) if !syn => {
            let (blocks, rest) = value.as_chunks::<8>();
            if !rest.is_empty() || blocks.is_empty() {
                return;
            }
            // 38 bytes hold four at most, so none is left out.
            for (slot, block) in options.sack.blocks.iter_mut().zip(blocks) {
                *slot = (SeqNum(u32_at(block, 0)), SeqNum(u32_at(block, 4)));
            }
            options.sack.count = blocks.len().min(SACK_BLOCKS_MAX) as u8;
        }
        _ => {}
    }
}

/// Options as they go on the wire: words, since each that we write is padded to one.
pub(super) struct Words {
    words: [u32; WORDS_MAX],
    count: usize,
}

impl Words {
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.count * 4
    }

    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().copied().take(self.count)
    }

    #[inline]
    fn push(&mut self, word: u32) {
        if let Some(slot) = self.words.get_mut(self.count) {
            *slot = word;
            self.count += 1;
        }
    }
}

/// Linux's order: on a SYN the MSS, SACK permitted with timestamps (or padded, alone), the window
/// scale; later timestamps and SACK blocks.
pub(super) fn lay_out(options: &Options, syn: bool) -> Words {
    let mut words = Words { words: [0; WORDS_MAX], count: 0 };
    if syn {
        let &Options { mss, window_scale, sack_permitted, .. } = options;
        let syn = Syn { mss, window_scale, sack_permitted };
        lay_out_syn(syn, options.timestamps, |word| words.push(word));
        return words;
    }
    if let Some(Timestamps { value, echo }) = options.timestamps {
        words.push(TIMESTAMPS_WORD);
        words.push(value);
        words.push(echo);
    }
    let room = (WORDS_MAX - words.count - 1) / 2;
    let blocks = (options.sack.count as usize).min(SACK_BLOCKS_MAX).min(room);
    if blocks != 0 {
        words.push(word(NOP, NOP, SACK, 2 + 8 * blocks as u8));
        for (from, to) in options.sack.iter().take(blocks) {
            words.push(from.0);
            words.push(to.0);
        }
    }
    words
}

/// The words of a SYN, at most [`SYN_WORDS_MAX`], one after the other to `push`.
#[inline(always)]
pub(crate) fn lay_out_syn(syn: Syn, timestamps: Option<Timestamps>, mut push: impl FnMut(u32)) {
    if syn.mss != 0 {
        push(word(MSS, 4, 0, 0) | syn.mss as u32);
    }
    if let Some(Timestamps { value, echo }) = timestamps {
        push(if syn.sack_permitted { SACK_PERMITTED_AND_TIMESTAMPS_WORD } else { TIMESTAMPS_WORD });
        push(value);
        push(echo);
    } else if syn.sack_permitted {
        push(word(NOP, NOP, SACK_PERMITTED, 2));
    }
    if let Some(shift) = syn.window_scale {
        push(word(NOP, WINDOW_SCALE, 3, shift));
    }
}

const fn word(a: u8, b: u8, c: u8, d: u8) -> u32 {
    u32::from_be_bytes([a, b, c, d])
}

const WORDS_MAX: usize = (HEADER_BYTES_MAX - HEADER_BYTES) / 4;

/// MSS, timestamps, window scale.
const SYN_WORDS_MAX: usize = 5;

const _: () = assert!(SYN_WORDS_MAX <= WORDS_MAX);

// Kinds (RFC 9293 section 3.1, RFC 2018, RFC 7323).
const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;
