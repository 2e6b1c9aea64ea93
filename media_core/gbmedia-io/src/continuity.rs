//! The outgoing RTP header of a relay: own SSRC, own sequence numbers, own timestamp base.
//!
//! Packets pass through: a gap or a disorder of the source stays one, so that the next hop counts
//! the same loss. Only when the source's SSRC changes, or its numbering jumps, is the offset set
//! anew, and then the output goes on without a gap (RFC 3550 section 7.1, a translator that
//! changes the SSRC).

/// A forward or backward step of more sequence numbers than this is a restart of the source.
const MAX_STEP: u16 = 3000;
/// Timestamp step (90 kHz) put between the last packet before and the first after a restart: one
/// frame of 25 per second.
const RESTART_STEP: u32 = 3600;
/// A timestamp step beyond this many ticks (10 s) together with a restart is not kept.
const MAX_TICKS: u32 = 900_000;

/// What is rewritten in the 12-byte header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
}

#[derive(Debug)]
pub struct Continuity {
    ssrc: u32,
    source: Option<u32>,
    sequence_offset: u16,
    timestamp_offset: u32,
    highest_in: u16,
    last_out: (u16, u32),
    /// How often the offsets were set anew because the source changed.
    pub restarts: u64,
}

impl Continuity {
    /// `sequence` and `timestamp` are the first values sent (random, RFC 3550 section 5.1).
    pub fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self {
            ssrc,
            source: None,
            sequence_offset: 0,
            timestamp_offset: 0,
            highest_in: 0,
            last_out: (
                sequence.wrapping_sub(1),
                timestamp.wrapping_sub(RESTART_STEP),
            ),
            restarts: 0,
        }
    }

    #[inline]
    pub fn next(&mut self, packet: Numbers) -> Numbers {
        let step = packet.sequence.wrapping_sub(self.highest_in);
        let forward = step < 0x8000;
        let distance = if forward { step } else { step.wrapping_neg() };
        if self.source != Some(packet.ssrc) || distance > MAX_STEP {
            self.restart(packet);
        } else if forward {
            self.highest_in = packet.sequence;
        }
        let sequence = packet.sequence.wrapping_add(self.sequence_offset);
        let timestamp = packet.timestamp.wrapping_add(self.timestamp_offset);
        if forward || packet.sequence == self.highest_in {
            self.last_out = (sequence, timestamp);
        }
        Numbers {
            ssrc: self.ssrc,
            sequence,
            timestamp,
        }
    }

    #[cold]
    fn restart(&mut self, packet: Numbers) {
        let same_source = self.source == Some(packet.ssrc);
        if self.source.is_some() {
            self.restarts += 1;
        }
        let (sequence, timestamp) = self.last_out;
        self.sequence_offset = sequence.wrapping_add(1).wrapping_sub(packet.sequence);
        let continued = packet.timestamp.wrapping_add(self.timestamp_offset);
        // The timestamps of a source that only renumbers stay as they are when they go on.
        if !same_source || continued.wrapping_sub(timestamp) > MAX_TICKS {
            self.timestamp_offset = timestamp
                .wrapping_add(RESTART_STEP)
                .wrapping_sub(packet.timestamp);
        }
        self.source = Some(packet.ssrc);
        self.highest_in = packet.sequence;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(ssrc: u32, sequence: u16, timestamp: u32) -> Numbers {
        Numbers {
            ssrc,
            sequence,
            timestamp,
        }
    }

    #[test]
    fn starts_at_its_own_numbers() {
        let mut out = Continuity::new(9, 500, 70_000);
        assert_eq!(out.next(packet(1, 65_535, 10)), packet(9, 500, 70_000));
        assert_eq!(out.next(packet(1, 0, 3610)), packet(9, 501, 73_600));
    }

    #[test]
    fn keeps_gaps_and_disorder_of_the_source() {
        let mut out = Continuity::new(9, 0, 0);
        let sequence: Vec<u16> = [10, 13, 12, 14, 11]
            .map(|n| out.next(packet(1, n, 0)).sequence)
            .to_vec();
        assert_eq!(sequence, [0, 3, 2, 4, 1]);
    }

    #[test]
    fn goes_on_when_the_source_changes() {
        let mut out = Continuity::new(9, 0, 0);
        out.next(packet(1, 100, 1000));
        out.next(packet(1, 101, 4600));
        assert_eq!(out.next(packet(2, 40_000, 5)), packet(9, 2, 7200));
        assert_eq!(out.next(packet(2, 40_001, 3605)), packet(9, 3, 10_800));
        assert_eq!(out.restarts, 1);
    }

    #[test]
    fn goes_on_when_the_numbering_jumps() {
        let mut out = Continuity::new(9, 0, 0);
        out.next(packet(1, 100, 1000));
        assert_eq!(out.next(packet(1, 30_000, 4600)), packet(9, 1, 3600));
        assert_eq!(out.next(packet(1, 30_001, 8200)), packet(9, 2, 7200));
    }
}
