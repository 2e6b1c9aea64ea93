//! The places where the safe crates do not reach: batched receive, a socket's drop counter, a
//! borrowed descriptor.
//!
//! nix's `recvmmsg` does not restore `msg_controllen` between calls, so that the GRO segment size
//! is lost from the second call on; and rebuilding its buffers for each call costs three
//! allocations per batch. Everything `unsafe` of the workspace is in this file.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// Messages taken by one system call.
pub const BATCH: usize = 32;
/// A message is at most one UDP datagram, or a run of equal ones joined by the kernel (GRO).
const MESSAGE_BYTES: usize = 65_536;
/// Slots do not lie 64 KiB apart exactly: all packets would fall into the same cache sets.
const SLOT_BYTES: usize = MESSAGE_BYTES + 4096 + 192;
/// Space for UDP_GRO: a 4-byte value behind a 16-byte header.
const CONTROL_BYTES: usize = 32;

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_BYTES]);

/// What came in one message.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Where its bytes begin in [`RecvBatch::bytes`].
    pub offset: usize,
    pub len: usize,
    /// Length of each datagram in it but the last, which may be shorter.
    pub segment: usize,
    pub from: SocketAddr,
}

/// Buffers of one thread, used again for every call.
pub struct RecvBatch {
    bytes: Vec<u8>,
    names: Vec<libc::sockaddr_storage>,
    controls: Vec<Control>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl Default for RecvBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl RecvBatch {
    pub fn new() -> Self {
        // SAFETY: all-zero bytes are a valid value of these plain C structures.
        let (name, vector, header) = unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
        Self {
            bytes: vec![0; BATCH * SLOT_BYTES],
            names: vec![name; BATCH],
            controls: vec![Control([0; CONTROL_BYTES]); BATCH],
            vectors: vec![vector; BATCH],
            headers: vec![header; BATCH],
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Take up to [`BATCH`] waiting messages without blocking; `out` is cleared first.
    pub fn receive(&mut self, socket: &impl AsRawFd, out: &mut Vec<Message>) -> io::Result<()> {
        out.clear();
        let bytes = self.bytes.as_mut_ptr();
        for i in 0..BATCH {
            self.vectors[i] = libc::iovec {
                // SAFETY: i < BATCH, so the slot lies inside `bytes`.
                iov_base: unsafe { bytes.add(i * SLOT_BYTES) }.cast(),
                iov_len: MESSAGE_BYTES,
            };
            let header = &mut self.headers[i].msg_hdr;
            header.msg_name = (&raw mut self.names[i]).cast();
            header.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as u32;
            header.msg_iov = &raw mut self.vectors[i];
            header.msg_iovlen = 1;
            header.msg_control = (&raw mut self.controls[i]).cast();
            header.msg_controllen = CONTROL_BYTES;
            header.msg_flags = 0;
        }
        // SAFETY: every header points into buffers owned by self, which outlive the call, with
        // their true sizes; the kernel writes to nothing else.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        if count < 0 {
            return Err(io::Error::last_os_error());
        }
        for i in 0..count as usize {
            let len = self.headers[i].msg_len as usize;
            let segment = self.segment(i);
            let Some(from) = address(&self.names[i]) else {
                continue;
            };
            out.push(Message {
                offset: i * SLOT_BYTES,
                len,
                segment: segment.unwrap_or(len).max(1),
                from,
            });
        }
        Ok(())
    }

    /// Length of the datagrams that were joined into message `i`, if it is more than one.
    fn segment(&self, i: usize) -> Option<usize> {
        let header = &raw const self.headers[i].msg_hdr;
        // SAFETY: the kernel has filled msg_control and set msg_controllen to what it filled; the
        // CMSG functions stay inside that, and the value read is 4 bytes (checked by cmsg_len).
        unsafe {
            let mut item = libc::CMSG_FIRSTHDR(header);
            while !item.is_null() {
                let holds_i32 = (*item).cmsg_len >= libc::CMSG_LEN(4) as usize;
                if ((*item).cmsg_level, (*item).cmsg_type) == (libc::SOL_UDP, libc::UDP_GRO)
                    && holds_i32
                {
                    let value: i32 = std::ptr::read_unaligned(libc::CMSG_DATA(item).cast());
                    return usize::try_from(value).ok().filter(|value| *value > 0);
                }
                item = libc::CMSG_NXTHDR(header, item);
            }
        }
        None
    }
}

// SAFETY: the raw pointers inside point into the structure's own heap buffers and are set anew by
// every call of `receive`, which needs `&mut self`.
unsafe impl Send for RecvBatch {}

fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says which of the C structures the storage holds.
            let name = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(name.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let name = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            let port = u16::from_be(name.sin6_port);
            Some(SocketAddrV6::new(ip, port, 0, name.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// Values of SO_MEMINFO (linux/sock_diag.h), and the place of the drop counter among them.
const MEMINFO_VALUES: usize = 9;
const MEMINFO_DROPS: usize = 8;

/// Datagrams the kernel has dropped on this socket, most often because its buffer was full.
pub fn kernel_drops(socket: &impl AsRawFd) -> u32 {
    let mut values = [0u32; MEMINFO_VALUES];
    let mut len = mem::size_of_val(&values) as libc::socklen_t;
    // SAFETY: the buffer is `len` bytes long and the kernel writes no more than that.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result == 0 {
        values[MEMINFO_DROPS]
    } else {
        0
    }
}

/// An own duplicate of a descriptor that belongs to somebody else (a Python transport).
pub fn duplicate(descriptor: RawFd) -> io::Result<OwnedFd> {
    if descriptor < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the borrow lasts for this call only; a closed descriptor gives EBADF, no harm.
    unsafe { BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn takes_a_batch_with_sources_again_and_again() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut batch = RecvBatch::new();
        let mut messages = Vec::new();
        for round in 0..3u8 {
            for i in 0..4u8 {
                sender
                    .send_to(&[round, i, 0], receiver.local_addr().unwrap())
                    .unwrap();
            }
            batch.receive(&receiver, &mut messages).unwrap();
            assert_eq!(messages.len(), 4);
            for (i, message) in messages.iter().enumerate() {
                let bytes = &batch.bytes()[message.offset..message.offset + message.len];
                assert_eq!(bytes, [round, i as u8, 0]);
                assert_eq!(message.segment, 3);
                assert_eq!(message.from, sender.local_addr().unwrap());
            }
        }
        receiver.set_nonblocking(true).unwrap();
        assert!(batch.receive(&receiver, &mut messages).is_err());
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket2::SockRef::from(&receiver)
            .set_recv_buffer_size(4096)
            .unwrap();
        assert_eq!(kernel_drops(&receiver), 0);
        for _ in 0..100 {
            sender
                .send_to(&[0; 1400], receiver.local_addr().unwrap())
                .unwrap();
        }
        assert!(kernel_drops(&receiver) > 50);
    }

    #[test]
    fn a_bad_descriptor_is_an_error() {
        assert!(duplicate(-1).is_err());
    }
}
