//! Whose packets a stream takes: the SSRC and source address rules of the pure crate put together.
//!
//! * The first source address seen is bound (behind NAT it is not the one of the SDP); a sender
//!   with the expected SSRC takes the place of a stranger that came first.
//! * Then the SSRC decides. On a port of its own a stream adopts whatever comes, because many
//!   devices send another value than agreed, or always 0.

use std::net::{IpAddr, SocketAddr};

use gbmedia::ingest::PortUse;
use gbmedia::ssrc::{SourceGate, SourceVerdict, SsrcGate, SsrcVerdict};

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It belongs to the stream.
    Accept,
    /// It belongs to the stream and is the first one of its SSRC.
    AcceptNew { matched: bool },
    /// Wrong address: dropped and counted.
    WrongSource,
    /// Wrong SSRC: dropped and counted.
    WrongSsrc,
}

/// The rules of one stream. Addresses and time come in, a verdict goes out.
#[derive(Debug)]
pub struct SourceGuard {
    /// Only this host may send (an option; NAT makes it wrong for many devices).
    host: Option<IpAddr>,
    source: SourceGate,
    ssrc: SsrcGate,
}

impl SourceGuard {
    pub fn new(expected: Option<u32>, host: Option<IpAddr>, port_use: PortUse) -> Self {
        Self {
            host,
            source: SourceGate::default(),
            ssrc: SsrcGate::new(expected, port_use),
        }
    }

    /// The SSRC was agreed anew (the answer carries another `y=`). True: it is the one in use.
    pub fn expect(&mut self, expected: Option<u32>) -> bool {
        self.ssrc.expect(expected);
        expected.is_some() && self.ssrc.current() == expected
    }

    pub fn host(&self) -> Option<IpAddr> {
        self.host
    }

    pub fn expected(&self) -> Option<u32> {
        self.ssrc.expected()
    }

    /// May a connection that brings this SSRC take the place of the one in use?
    pub fn takes(&self, ssrc: u32) -> bool {
        self.ssrc.expected() == Some(ssrc)
            || self.ssrc.current().is_none_or(|current| current == ssrc)
    }

    pub fn source(&self) -> Option<SocketAddr> {
        self.source.source()
    }

    /// A new TCP connection: the address of the old one means nothing any more.
    pub fn unbind(&mut self) {
        self.source = SourceGate::default();
    }

    #[inline]
    pub fn judge(&mut self, ssrc: u32, from: SocketAddr, now: u64) -> Verdict {
        if self.host.is_some_and(|host| host != from.ip()) {
            return Verdict::WrongSource;
        }
        if self.source.check(from, ssrc, now) == SourceVerdict::Foreign {
            let expected = self.ssrc.expected();
            if expected != Some(ssrc) || self.ssrc.current() == expected {
                return Verdict::WrongSource;
            }
            self.unbind();
            self.source.check(from, ssrc, now);
        }
        match self.ssrc.check(ssrc, now) {
            SsrcVerdict::Same => Verdict::Accept,
            SsrcVerdict::Matched => Verdict::AcceptNew { matched: true },
            SsrcVerdict::Adopted | SsrcVerdict::Changed => Verdict::AcceptNew {
                matched: self.ssrc.expected() == Some(ssrc),
            },
            SsrcVerdict::Mixed | SsrcVerdict::Foreign => Verdict::WrongSsrc,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    const SECOND: u64 = 1_000_000;

    #[test]
    fn adopts_a_foreign_ssrc_on_its_own_port() {
        let mut guard = SourceGuard::new(Some(100), None, PortUse::Dedicated);
        let camera = address("192.0.2.1:5000");
        assert_eq!(
            guard.judge(0, camera, 0),
            Verdict::AcceptNew { matched: false }
        );
        assert_eq!(guard.judge(0, camera, 1), Verdict::Accept);
        assert!(guard.expect(Some(0)), "the answer names what came already");
    }

    #[test]
    fn a_shared_port_takes_the_expected_ssrc_only() {
        let mut guard = SourceGuard::new(Some(100), None, PortUse::Shared);
        let camera = address("192.0.2.1:5000");
        assert_eq!(guard.judge(7, camera, 0), Verdict::WrongSsrc);
        assert_eq!(
            guard.judge(100, camera, 0),
            Verdict::AcceptNew { matched: true }
        );
    }

    #[test]
    fn another_connection_must_bring_the_ssrc_in_use_or_the_agreed_one() {
        let mut guard = SourceGuard::new(Some(100), None, PortUse::Shared);
        assert!(guard.takes(7), "nothing is in use yet");
        guard.judge(100, address("192.0.2.1:5000"), 0);
        assert!(guard.takes(100) && !guard.takes(7));
        guard.expect(Some(7));
        assert!(guard.takes(7));
    }

    #[test]
    fn the_expected_ssrc_replaces_an_adopted_one() {
        let mut guard = SourceGuard::new(Some(100), None, PortUse::Dedicated);
        assert_eq!(
            guard.judge(7, address("192.0.2.9:1"), 0),
            Verdict::AcceptNew { matched: false }
        );
        assert_eq!(
            guard.judge(100, address("192.0.2.1:5000"), 1),
            Verdict::AcceptNew { matched: true }
        );
    }

    #[test]
    fn strangers_are_dropped_until_the_source_is_silent() {
        let mut guard = SourceGuard::new(Some(100), None, PortUse::Dedicated);
        guard.judge(100, address("192.0.2.1:5000"), 0);
        let stranger = address("192.0.2.2:5000");
        assert_eq!(guard.judge(100, stranger, SECOND), Verdict::WrongSource);
        assert_eq!(guard.judge(5, stranger, SECOND), Verdict::WrongSource);
        assert_eq!(guard.judge(100, stranger, 6 * SECOND), Verdict::Accept);
    }

    #[test]
    fn a_nat_port_may_change_at_once() {
        let mut guard = SourceGuard::new(Some(100), None, PortUse::Dedicated);
        guard.judge(100, address("192.0.2.1:5000"), 0);
        assert_eq!(
            guard.judge(100, address("192.0.2.1:6000"), 1),
            Verdict::Accept
        );
    }

    #[test]
    fn a_fixed_host_keeps_all_others_out() {
        let host = address("192.0.2.1:0").ip();
        let mut guard = SourceGuard::new(Some(100), Some(host), PortUse::Dedicated);
        assert_eq!(
            guard.judge(100, address("192.0.2.3:1"), 0),
            Verdict::WrongSource
        );
        assert_eq!(
            guard.judge(100, address("192.0.2.1:1"), 0),
            Verdict::AcceptNew { matched: true }
        );
    }

    #[test]
    fn two_interleaved_senders_are_not_restarts() {
        let mut guard = SourceGuard::new(None, None, PortUse::Dedicated);
        let camera = address("192.0.2.1:5000");
        let verdicts: Vec<Verdict> = (0..40)
            .map(|i| guard.judge(i % 2, camera, u64::from(i)))
            .collect();
        assert!(verdicts.contains(&Verdict::WrongSsrc));
        assert!(
            verdicts[30..]
                .iter()
                .filter(|v| **v == Verdict::Accept)
                .count()
                >= 4
        );
    }
}
