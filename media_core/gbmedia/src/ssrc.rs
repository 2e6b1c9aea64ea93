//! Which packets belong to a session: by SSRC (annex A.8.6 of our reference) and by source address.

use std::net::SocketAddr;

use crate::ingest::PortUse;

/// A second SSRC seen again within this time is a mixture and no change. In microseconds.
const MIXTURE_US: u64 = 1_000_000;

/// What to do with a packet of a certain SSRC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SsrcVerdict {
    /// The SSRC in use.
    Same,
    /// The first packet, with the expected SSRC.
    Matched,
    /// The first packet, with another SSRC than expected: accepted, the port is ours alone.
    Adopted,
    /// A change in mid-stream: accept and reset sequence and timestamps (row 7).
    Changed,
    /// Two SSRCs alternate; this one is not ours (row 10).
    Mixed,
    /// Not this session's.
    Foreign,
}

/// Expected SSRC = that of the 200, else that of the INVITE. A dedicated port adopts what comes.
#[derive(Clone, Debug)]
pub struct SsrcGate {
    expected: Option<u32>,
    port_use: PortUse,
    current: Option<u32>,
    previous: Option<u32>,
    changed_at: u64,
    last_at: u64,
    /// Set when two SSRCs alternated: changes are believed only after silence.
    pinned: bool,
}

impl SsrcGate {
    pub fn new(expected: Option<u32>, port_use: PortUse) -> Self {
        Self {
            expected,
            port_use,
            current: None,
            previous: None,
            changed_at: 0,
            last_at: 0,
            pinned: false,
        }
    }

    pub fn current(&self) -> Option<u32> {
        self.current
    }

    pub fn expected(&self) -> Option<u32> {
        self.expected
    }

    /// The 200 named another SSRC than the INVITE (row 1): change it in place (row 52).
    pub fn expect(&mut self, ssrc: Option<u32>) {
        self.expected = ssrc;
        if self.port_use == PortUse::Shared && self.current != ssrc {
            self.current = None;
        }
    }

    #[inline]
    pub fn check(&mut self, ssrc: u32, now: u64) -> SsrcVerdict {
        if self.current == Some(ssrc) {
            self.last_at = now;
            return SsrcVerdict::Same;
        }
        self.check_other(ssrc, now)
    }

    fn check_other(&mut self, ssrc: u32, now: u64) -> SsrcVerdict {
        let expected = self.expected.is_none_or(|expected| expected == ssrc);
        if self.port_use == PortUse::Shared && (!expected || self.expected.is_none()) {
            return SsrcVerdict::Foreign;
        }
        let Some(current) = self.current else {
            self.take(ssrc, now);
            return match self.expected {
                Some(expected) if expected == ssrc => SsrcVerdict::Matched,
                _ => SsrcVerdict::Adopted,
            };
        };
        let silent = now.saturating_sub(self.last_at) >= MIXTURE_US;
        if self.pinned && !silent {
            return SsrcVerdict::Mixed;
        }
        let returned = self.previous == Some(ssrc);
        if returned && now.saturating_sub(self.changed_at) < MIXTURE_US {
            self.pinned = true;
            if self.expected == Some(current) {
                return SsrcVerdict::Mixed;
            }
        } else {
            self.pinned = false;
        }
        self.previous = Some(current);
        self.take(ssrc, now);
        SsrcVerdict::Changed
    }

    fn take(&mut self, ssrc: u32, now: u64) {
        self.current = Some(ssrc);
        self.changed_at = now;
        self.last_at = now;
    }
}

/// Silence after which another address may take the session over. In microseconds.
const REBIND_US: u64 = 5_000_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourceVerdict {
    Same,
    /// The first packet: the session is bound to its source.
    Bound,
    /// The source changed its port, or another came after a silence (row 8).
    Rebound,
    Foreign,
}

/// Binds a session to the first source address seen, which behind NAT is not the one in the SDP.
#[derive(Clone, Debug, Default)]
pub struct SourceGate {
    source: Option<SocketAddr>,
    ssrc: u32,
    last_at: u64,
}

impl SourceGate {
    pub fn source(&self) -> Option<SocketAddr> {
        self.source
    }

    #[inline]
    pub fn check(&mut self, source: SocketAddr, ssrc: u32, now: u64) -> SourceVerdict {
        let verdict = match self.source {
            Some(bound) if bound == source => SourceVerdict::Same,
            None => SourceVerdict::Bound,
            Some(bound) => {
                let port_moved = bound.ip() == source.ip() && self.ssrc == ssrc;
                if !port_moved && now.saturating_sub(self.last_at) < REBIND_US {
                    return SourceVerdict::Foreign;
                }
                SourceVerdict::Rebound
            }
        };
        self.source = Some(source);
        self.ssrc = ssrc;
        self.last_at = now;
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SsrcVerdict::{Adopted, Changed, Foreign, Matched, Mixed, Same};

    fn dedicated(expected: Option<u32>) -> SsrcGate {
        SsrcGate::new(expected, PortUse::Dedicated)
    }

    #[test]
    fn row_01_the_ssrc_of_the_200_is_expected_before_the_first_packet() {
        let mut gate = dedicated(Some(100_000_001));
        gate.expect(Some(100_000_002));
        assert_eq!(gate.check(100_000_002, 0), Matched);
        assert_eq!(gate.check(100_000_002, 1), Same);
    }

    #[test]
    fn row_02_a_dedicated_port_adopts_what_comes() {
        let mut gate = dedicated(Some(100_000_001));
        assert_eq!(gate.check(55, 0), Adopted);
        assert_eq!(gate.check(55, 0), Same);
        assert_eq!(gate.current(), Some(55));
    }

    #[test]
    fn row_03_ssrc_zero_is_an_ssrc_like_any_other() {
        let mut gate = dedicated(Some(100_000_001));
        assert_eq!(gate.check(0, 0), Adopted);
        assert_eq!(gate.check(0, 0), Same);
    }

    #[test]
    fn row_07_a_change_in_mid_stream_is_accepted() {
        let mut gate = dedicated(Some(1));
        assert_eq!(gate.check(1, 0), Matched);
        assert_eq!(gate.check(2, 10), Changed);
        assert_eq!(gate.check(2, 20), Same);
        assert_eq!(gate.check(3, 30), Changed);
    }

    #[test]
    fn row_08_the_port_of_a_source_may_move_and_a_silent_one_be_replaced() {
        let mut gate = SourceGate::default();
        let first: SocketAddr = "192.0.2.1:9000".parse().unwrap();
        let moved: SocketAddr = "192.0.2.1:9002".parse().unwrap();
        let other: SocketAddr = "192.0.2.9:9000".parse().unwrap();
        assert_eq!(gate.check(first, 7, 0), SourceVerdict::Bound);
        assert_eq!(gate.check(first, 7, 1), SourceVerdict::Same);
        assert_eq!(gate.check(moved, 7, 2), SourceVerdict::Rebound);
        assert_eq!(gate.check(other, 7, 3), SourceVerdict::Foreign);
        assert_eq!(gate.check(other, 7, 5_000_002), SourceVerdict::Rebound);
    }

    #[test]
    fn row_09_a_shared_port_takes_the_expected_ssrc_only() {
        let mut gate = SsrcGate::new(Some(1), PortUse::Shared);
        assert_eq!(gate.check(2, 0), Foreign);
        assert_eq!(gate.check(1, 0), Matched);
        assert_eq!(gate.check(2, 0), Foreign);
        gate.expect(Some(2));
        assert_eq!(gate.check(1, 0), Foreign);
        assert_eq!(gate.check(2, 0), Matched);
    }

    #[test]
    fn row_10_of_two_alternating_ssrcs_the_expected_one_stays() {
        let mut gate = dedicated(Some(1));
        assert_eq!(gate.check(1, 0), Matched);
        assert_eq!(gate.check(2, 10), Changed);
        assert_eq!(gate.check(1, 20), Changed);
        for now in 3..100 {
            assert_eq!(gate.check(2, now * 10), Mixed);
            assert_eq!(gate.check(1, now * 10), Same);
        }
        assert_eq!(gate.check(2, 2_000_000), Changed);
    }
}
