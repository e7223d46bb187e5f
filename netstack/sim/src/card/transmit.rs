//! The transmit side: what the card makes of a header, lent bytes and an [`Offload`].

use penstock_queue::{L4, Offload};
use penstock_wire::checksum::{Sum, pseudo_header};
use penstock_wire::{ethernet, ip, tcp, udp};

use crate::frame::Frame;

/// Computes what was asked for. The result is what leaves: several frames when cut.
pub(super) fn execute(frame: Frame, offload: Offload) -> Result<Vec<Frame>, String> {
    if offload == Offload::NONE {
        return Ok(vec![frame]);
    }
    let layout = Layout::of(&frame, &offload)?;
    if offload.segment_bytes == 0 {
        let mut frame = frame;
        layout.finish(&mut frame, &offload)?;
        return Ok(vec![frame]);
    }
    cut(&frame, &layout, &offload)
}

/// Where the headers of a frame stand.
struct Layout {
    ip: usize,
    l4: usize,
    payload: usize,
    is_v4: bool,
}

impl Layout {
    fn of(frame: &[u8], offload: &Offload) -> Result<Layout, String> {
        let ip = offload.mac_bytes as usize;
        let l4 = ip + offload.ip_bytes as usize;
        let payload = l4 + offload.l4_bytes as usize;
        if ip != ethernet::HEADER_BYTES || payload > frame.len() {
            return Err(format!("offload {offload:?} of a frame of {} bytes", frame.len()));
        }
        let is_v4 = frame[12..14] == ethernet::IPV4.to_be_bytes();
        if !is_v4 && offload.ip_checksum {
            return Err("an IPv4 header checksum was asked for in an IPv6 packet".into());
        }
        Ok(Layout { ip, l4, payload, is_v4 })
    }

    /// Inserts the checksums: the field of the transport header holds the pseudo-header's sum.
    fn finish(&self, frame: &mut Frame, offload: &Offload) -> Result<(), String> {
        if offload.ip_checksum {
            frame[self.ip + 10..self.ip + 12].fill(0);
            let checksum = Sum::of(&frame[self.ip..self.l4]).checksum();
            frame[self.ip + 10..self.ip + 12].copy_from_slice(&checksum.to_be_bytes());
        }
        let (field, protocol) = match offload.l4_checksum {
            L4::None => return Ok(()),
            L4::Tcp => (self.l4 + 16, ip::TCP),
            L4::Udp => (self.l4 + udp::CHECKSUM_OFFSET, ip::UDP),
        };
        let found = u16::from_be_bytes([frame[field], frame[field + 1]]);
        let expected = self.pseudo_sum(frame, protocol)?;
        if found != expected {
            return Err(format!(
                "checksum field holds {found:#06x}, not the pseudo-header's sum {expected:#06x}"
            ));
        }
        let sum = Sum::of(&frame[self.l4..]).checksum();
        // A UDP checksum of 0 means none (RFC 768).
        let sum = if offload.l4_checksum == L4::Udp && sum == 0 { 0xffff } else { sum };
        frame[field..field + 2].copy_from_slice(&sum.to_be_bytes());
        Ok(())
    }

    fn pseudo_sum(&self, frame: &[u8], protocol: u8) -> Result<u16, String> {
        let packet = if self.is_v4 {
            ip::parse_v4(&frame[self.ip..], false)
        } else {
            ip::parse_v6(&frame[self.ip..])
        };
        let packet = packet.map_err(|malformed| format!("offload of a {malformed:?} packet"))?;
        if packet.protocol != protocol {
            return Err(format!("offload of protocol {} as {protocol}", packet.protocol));
        }
        Ok(pseudo_header(packet.src, packet.dst, protocol, packet.payload_bytes).fold())
    }
}

/// Cuts a large segment (82599 datasheet section 7.2.4): headers are repeated, lengths, identification
/// and sequence numbers go on, FIN and PSH stand on the last piece.
fn cut(frame: &[u8], layout: &Layout, offload: &Offload) -> Result<Vec<Frame>, String> {
    if offload.l4_checksum != L4::Tcp {
        return Err("segmentation without TCP checksums".into());
    }
    let (headers, payload) = frame.split_at(layout.payload);
    let field = layout.l4 + 16;
    let found = u16::from_be_bytes([headers[field], headers[field + 1]]);
    let mut frames = Vec::new();
    let piece_bytes = offload.segment_bytes as usize;
    for (number, piece) in payload.chunks(piece_bytes).enumerate() {
        let mut segment = [headers, piece].concat();
        let is_last = (number + 1) * piece_bytes >= payload.len();
        let bytes = (segment.len() - layout.ip) as u16;
        if layout.is_v4 {
            put_u16(&mut segment, layout.ip + 2, bytes);
            let identification = u16_at(headers, layout.ip + 4).wrapping_add(number as u16);
            put_u16(&mut segment, layout.ip + 4, identification);
        } else {
            put_u16(&mut segment, layout.ip + 4, bytes - penstock_wire::ip::V6_HEADER_BYTES as u16);
        }
        let seq = u32::from_be_bytes([
            headers[layout.l4 + 4],
            headers[layout.l4 + 5],
            headers[layout.l4 + 6],
            headers[layout.l4 + 7],
        ]);
        let seq = seq.wrapping_add((number * piece_bytes) as u32);
        segment[layout.l4 + 4..layout.l4 + 8].copy_from_slice(&seq.to_be_bytes());
        if !is_last {
            segment[layout.l4 + 13] &= !(tcp::Flags::FIN.0 | tcp::Flags::PSH.0);
        }
        let expected = layout.pseudo_sum(&segment, ip::TCP)?;
        let without_length = subtract_length(expected, bytes - (layout.l4 - layout.ip) as u16);
        if found != without_length && !(found == 0xffff && without_length == 0) {
            return Err(format!(
                "checksum field holds {found:#06x}, not the sum without length {without_length:#06x}"
            ));
        }
        put_u16(&mut segment, field, expected);
        layout.finish(&mut segment, &Offload { segment_bytes: 0, ..*offload })?;
        frames.push(segment);
    }
    Ok(frames)
}

/// One's complement subtraction.
fn subtract_length(sum: u16, length: u16) -> u16 {
    let difference = sum as u32 + !length as u32;
    (difference as u16) + (difference >> 16) as u16
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}
