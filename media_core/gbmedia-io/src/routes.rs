//! Which stream of a shared port takes which SSRC, and the SSRCs that nobody expects.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::event::EventKind;

/// Microseconds between two reports of SSRCs that nobody expects: a device that goes on after its
/// BYE, or a scanner, must not fill the log.
const UNKNOWN_REPORT_INTERVAL: u64 = 10_000_000;

/// A shared port: its place in the worker's tables, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedId {
    pub id: u32,
    pub port: u16,
}

/// The table of one shared port.
#[derive(Debug)]
pub struct Routes {
    pub shared: SharedId,
    host: IpAddr,
    by_ssrc: HashMap<u32, u32>,
    unknown: u64,
    reported_at: Option<u64>,
}

impl Routes {
    pub fn new(id: u32, local: SocketAddr) -> Self {
        Self {
            shared: SharedId {
                id,
                port: local.port(),
            },
            host: local.ip(),
            by_ssrc: HashMap::new(),
            unknown: 0,
            reported_at: None,
        }
    }

    /// Is this the table of that address? Port 0 is always a new one.
    pub fn is_at(&self, host: IpAddr, port: u16) -> bool {
        port != 0 && (self.host, self.shared.port) == (host, port)
    }

    /// Streams on one port must expect different SSRCs.
    pub fn add(&mut self, ssrc: u32, stream: u32) -> Result<()> {
        match self.by_ssrc.get(&ssrc) {
            Some(other) if *other != stream => Err(Error::Exists(format!(
                "SSRC {ssrc:010} on port {}",
                self.shared.port
            ))),
            _ => {
                self.by_ssrc.insert(ssrc, stream);
                Ok(())
            }
        }
    }

    pub fn remove(&mut self, stream: u32) {
        self.by_ssrc.retain(|_, owner| *owner != stream);
    }

    pub fn is_empty(&self) -> bool {
        self.by_ssrc.is_empty()
    }

    pub fn owner(&self, ssrc: u32) -> Option<u32> {
        self.by_ssrc.get(&ssrc).copied()
    }

    /// An unknown SSRC from the one host that a stream still waits for is that stream's. `waiting`:
    /// the host that a stream waits for.
    pub fn adopt(
        &mut self,
        ssrc: u32,
        from: IpAddr,
        waiting: impl Fn(u32) -> Option<IpAddr>,
    ) -> Option<u32> {
        let mut streams = self
            .by_ssrc
            .values()
            .copied()
            .filter(|stream| waiting(*stream) == Some(from));
        let stream = streams.next()?;
        if streams.any(|other| other != stream) {
            return None;
        }
        self.by_ssrc.insert(ssrc, stream);
        Some(stream)
    }

    /// Packets of an SSRC that nobody expects: counted, and told now and then.
    pub fn stranger(&mut self, ssrc: u32, from: SocketAddr, packets: u64, cx: &Context, now: u64) {
        self.unknown += packets;
        cx.shared.unknown_ssrc.fetch_add(packets, Ordering::Relaxed);
        let due = self
            .reported_at
            .is_none_or(|at| now.saturating_sub(at) >= UNKNOWN_REPORT_INTERVAL);
        if due {
            self.reported_at = Some(now);
            let detail = format!("{ssrc:010} from {from}, {} packets so far", self.unknown);
            cx.tell(&"".into(), EventKind::UnknownSsrc, now, detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn an_ssrc_has_one_owner() {
        let mut routes = Routes::new(1, SocketAddr::new(CAMERA, 5000));
        routes.add(7, 1).unwrap();
        routes.add(7, 1).unwrap();
        routes.add(8, 1).unwrap();
        assert!(matches!(routes.add(7, 2), Err(Error::Exists(_))));
        assert_eq!((routes.owner(8), routes.owner(9)), (Some(1), None));
        assert!(routes.is_at(CAMERA, 5000) && !routes.is_at(CAMERA, 5002));
        routes.remove(1);
        assert!(routes.is_empty());
        routes.add(7, 2).unwrap();
    }

    #[test]
    fn a_host_that_one_stream_waits_for_may_bring_another_ssrc() {
        let mut routes = Routes::new(1, SocketAddr::new(CAMERA, 5000));
        routes.add(7, 1).unwrap();
        routes.add(8, 2).unwrap();
        assert_eq!(routes.adopt(9, CAMERA, |_| None), None);
        assert_eq!(routes.adopt(9, CAMERA, |_| Some(CAMERA)), None, "which?");
        let waiting = |stream| (stream == 2).then_some(CAMERA);
        assert_eq!(routes.adopt(9, CAMERA, waiting), Some(2));
        assert_eq!(routes.owner(9), Some(2));
        assert_eq!(routes.adopt(10, CAMERA, waiting), Some(2), "one stream");
    }
}
