//! How is an interface made without the `ip` program, which the outer image may not have?
//!
//! Four messages of rtnetlink(7), written byte by byte: less than a crate for it would bring along.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::host::HostError;

// include/uapi/linux/rtnetlink.h, netlink.h, if_link.h, veth.h
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const NLMSG_ERROR: u16 = 2;
const REQUEST_AND_ACK: u16 = 0x1 | 0x4;
const CREATE_AND_EXCLUSIVE: u16 = 0x400 | 0x200;
const IFLA_IFNAME: u16 = 3;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const HEADER: usize = 16;

/// The kernel answers at once; this only bounds a kernel that does not.
const ANSWER_SECONDS: i64 = 5;

/// A socket to the kernel's network configuration, of the namespace in which it was opened.
pub(super) struct Route(OwnedFd);

impl Route {
    /// Opens it.
    pub(super) fn open() -> Result<Self, HostError> {
        let socket = open(SockProtocol::NetlinkRoute).map_err(failed("open the netlink socket", "route"))?;
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(ANSWER_SECONDS))
            .map_err(failed("bound the waiting on netlink", "route"))?;
        Ok(Self(socket))
    }

    /// Makes a bridge.
    pub(super) fn add_bridge(&self, name: &str) -> Result<(), HostError> {
        let body = [link(0), name_of(name), attribute(IFLA_LINKINFO, &kind("bridge"))].concat();
        self.ask(RTM_NEWLINK, CREATE_AND_EXCLUSIVE, &body).map_err(failed("make the bridge", name))
    }

    /// Makes a pair of veth interfaces.
    pub(super) fn add_veth(&self, name: &str, peer: &str) -> Result<(), HostError> {
        let peer = attribute(VETH_INFO_PEER, &[link(0), name_of(peer)].concat());
        let info = [kind("veth"), attribute(IFLA_INFO_DATA, &peer)].concat();
        let body = [link(0), name_of(name), attribute(IFLA_LINKINFO, &info)].concat();
        self.ask(RTM_NEWLINK, CREATE_AND_EXCLUSIVE, &body).map_err(failed("make the veth pair", name))
    }

    /// Makes an interface a port of a bridge.
    pub(super) fn enslave(&self, name: &str, bridge: &str) -> Result<(), HostError> {
        let index = nix::net::if_::if_nametoindex(bridge).map_err(failed("find the bridge", bridge))?;
        let body = [link(0), name_of(name), attribute(IFLA_MASTER, &index.to_ne_bytes())].concat();
        self.ask(RTM_NEWLINK, 0, &body).map_err(failed("attach to the bridge the interface", name))
    }

    /// Asks to delete an interface that is not there: the kernel looks at permissions first, so anything but
    /// ENODEV tells that this process may not configure this network namespace.
    pub(super) fn may_configure(&self) -> Result<(), HostError> {
        match self.ask(RTM_DELLINK, 0, &link(i32::MAX)) {
            Ok(()) | Err(Errno::ENODEV) => Ok(()),
            Err(errno) => Err(failed("configure interfaces by", "netlink")(errno)),
        }
    }

    /// Sends one request and reads its acknowledgement.
    fn ask(&self, kind: u16, flags: u16, body: &[u8]) -> Result<(), Errno> {
        send(self.0.as_raw_fd(), &message(kind, REQUEST_AND_ACK | flags, body), MsgFlags::empty())?;
        let mut answer = [0; 1024];
        let length = recv(self.0.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        acknowledged(answer.get(..length).unwrap_or_default())
    }
}

/// Whether the kernel offers a socket of that protocol (dockerd wants netfilter's to forget connections).
pub(super) fn offers(protocol: SockProtocol, name: &str) -> Result<(), HostError> {
    open(protocol).map(drop).map_err(failed("open the netlink socket", name))
}

fn open(protocol: SockProtocol) -> Result<OwnedFd, Errno> {
    socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
}

fn failed<'a>(op: &'a str, on: &'a str) -> impl FnOnce(Errno) -> HostError + 'a {
    move |errno| HostError::new(op, PathBuf::from(on), errno)
}

/// `struct nlmsghdr` and the body.
fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(0);
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(1_u32.to_ne_bytes()); // sequence: one request at a time
    bytes.extend(0_u32.to_ne_bytes()); // port: the kernel gives one
    bytes.extend(body);
    bytes
}

/// `struct ifinfomsg` of an interface by index; 0: by name.
fn link(index: i32) -> Vec<u8> {
    let mut bytes = vec![0; 16];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes
}

/// `struct rtattr`, padded to four bytes.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(0);
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn name_of(name: &str) -> Vec<u8> {
    attribute(IFLA_IFNAME, &[name.as_bytes(), &[0]].concat())
}

fn kind(kind: &str) -> Vec<u8> {
    attribute(IFLA_INFO_KIND, kind.as_bytes())
}

/// The negated errno in an answer of type `NLMSG_ERROR`; 0 says that it was done.
fn acknowledged(answer: &[u8]) -> Result<(), Errno> {
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let error =
        answer.get(HEADER..HEADER + 4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, error) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(error)) => Err(Errno::from_raw(-error)),
        _ => Err(Errno::EPROTO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_but_their_length_is_not() {
        let bytes = attribute(IFLA_INFO_KIND, b"bridge");
        assert_eq!(bytes.len(), 12);
        assert_eq!(bytes[..2], 10_u16.to_ne_bytes());
    }

    #[test]
    fn reads_acknowledgements() {
        let answer = |error: i32| message(NLMSG_ERROR, 0, &error.to_ne_bytes());
        assert_eq!(acknowledged(&answer(0)), Ok(()));
        assert_eq!(acknowledged(&answer(-95)), Err(Errno::EOPNOTSUPP));
        assert_eq!(acknowledged(&[]), Err(Errno::EPROTO));
        assert_eq!(acknowledged(&message(RTM_NEWLINK, 0, &[0; 4])), Err(Errno::EPROTO));
    }
}
