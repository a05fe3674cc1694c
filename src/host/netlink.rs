//! Makes and removes network interfaces by rtnetlink(7), without the `ip` program, which the outer image may not have.
//!
//! The messages are written byte by byte: a client crate would bring more code than the four messages that are used.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

use super::{HostError, HostResult};

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

/// The kernel answers at once; the limit keeps a broken one from blocking the caller.
const DEADLINE: TimeVal = TimeVal::new(5, 0);

/// A socket to the network configuration of the namespace in which it is opened.
pub(crate) struct Route(OwnedFd);

impl Route {
    /// Opens the socket. An answer that does not come in time is `ETIMEDOUT`.
    pub(crate) fn open() -> HostResult<Self> {
        Self::within(DEADLINE)
    }

    fn within(deadline: TimeVal) -> HostResult<Self> {
        let socket = open(SockProtocol::NetlinkRoute).map_err(failed("open the netlink socket", "route"))?;
        setsockopt(&socket, sockopt::ReceiveTimeout, &deadline)
            .map_err(failed("set the timeout of the netlink socket", "route"))?;
        Ok(Self(socket))
    }

    /// Makes a bridge.
    pub(crate) fn add_bridge(&self, name: &str) -> HostResult<()> {
        let body = [link(0), name_of(name), attribute(IFLA_LINKINFO, &driver("bridge"))].concat();
        self.ask(RTM_NEWLINK, CREATE_AND_EXCLUSIVE, &body).map_err(failed("make the bridge", name))
    }

    /// Makes a pair of veth interfaces.
    pub(crate) fn add_veth(&self, name: &str, peer: &str) -> HostResult<()> {
        let peer = attribute(VETH_INFO_PEER, &[link(0), name_of(peer)].concat());
        let info = [driver("veth"), attribute(IFLA_INFO_DATA, &peer)].concat();
        let body = [link(0), name_of(name), attribute(IFLA_LINKINFO, &info)].concat();
        self.ask(RTM_NEWLINK, CREATE_AND_EXCLUSIVE, &body).map_err(failed("make the veth pair", name))
    }

    /// Makes an interface a port of a bridge.
    pub(crate) fn enslave(&self, name: &str, bridge: &str) -> HostResult<()> {
        let index = nix::net::if_::if_nametoindex(bridge).map_err(failed("find the bridge", bridge))?;
        let body = [link(0), name_of(name), attribute(IFLA_MASTER, &index.to_ne_bytes())].concat();
        self.ask(RTM_NEWLINK, 0, &body).map_err(failed("attach to the bridge the interface", name))
    }

    /// Removes the interface of this name where it has this index, and by that index: the kernel gives it to no other
    /// interface of the namespace while that one exists. `ENODEV` where the name or the index is gone, and `ESTALE` where
    /// the name belongs to another interface.
    pub(crate) fn delete_link(&self, name: &str, index: u32) -> HostResult<()> {
        self.delete(name, index).map_err(failed("remove the interface", name))
    }

    fn delete(&self, name: &str, index: u32) -> Result<(), Errno> {
        if nix::net::if_::if_nametoindex(name)? != index {
            return Err(Errno::ESTALE);
        }
        let index = i32::try_from(index).map_err(|_| Errno::ENODEV)?;
        self.ask(RTM_DELLINK, 0, &link(index))
    }

    /// Asks to remove an interface index that does not exist: the kernel checks permissions first, so any error but
    /// ENODEV means that this process may not configure this network namespace.
    pub(crate) fn may_configure(&self) -> HostResult<()> {
        match self.ask(RTM_DELLINK, 0, &link(i32::MAX)) {
            Ok(()) | Err(Errno::ENODEV) => Ok(()),
            Err(errno) => Err(failed("configure interfaces by", "netlink")(errno)),
        }
    }

    /// Sends one request and reads its acknowledgement.
    fn ask(&self, message_type: u16, flags: u16, body: &[u8]) -> Result<(), Errno> {
        send(self.0.as_raw_fd(), &message(message_type, REQUEST_AND_ACK | flags, body), MsgFlags::empty())?;
        self.receive()
    }

    /// Reads the acknowledgement.
    fn receive(&self) -> Result<(), Errno> {
        let mut answer = [0; 1024];
        match recv(self.0.as_raw_fd(), &mut answer, MsgFlags::empty()) {
            Ok(length) => acknowledged(answer.get(..length).unwrap_or_default()),
            // SO_RCVTIMEO of socket(7).
            Err(Errno::EAGAIN) => Err(Errno::ETIMEDOUT),
            Err(errno) => Err(errno),
        }
    }
}

/// Opens a netlink socket of a protocol and closes it again: whether the kernel has that protocol. dockerd opens one of
/// netfilter to drop entries of conntrack.
pub(crate) fn supports(protocol: SockProtocol, name: &str) -> HostResult<()> {
    open(protocol).map(drop).map_err(failed("open the netlink socket", name))
}

fn open(protocol: SockProtocol) -> nix::Result<OwnedFd> {
    socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
}

fn failed<'a>(op: &'a str, on: &'a str) -> impl FnOnce(Errno) -> HostError + 'a {
    move |errno| HostError::new(op, PathBuf::from(on), errno)
}

/// `struct nlmsghdr` and the body.
fn message(message_type: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(0);
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend(length.to_ne_bytes());
    bytes.extend(message_type.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(1_u32.to_ne_bytes()); // sequence: one request at a time
    bytes.extend(0_u32.to_ne_bytes()); // port: the kernel gives one
    bytes.extend(body);
    bytes
}

/// `struct ifinfomsg` of the interface with this index; 0 where an `IFLA_IFNAME` attribute names it.
fn link(index: i32) -> Vec<u8> {
    let mut bytes = vec![0; 16];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes
}

/// `struct rtattr`, padded to four bytes.
fn attribute(attribute_type: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(0);
    let mut bytes = [length.to_ne_bytes(), attribute_type.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn name_of(name: &str) -> Vec<u8> {
    attribute(IFLA_IFNAME, &[name.as_bytes(), &[0]].concat())
}

fn driver(name: &str) -> Vec<u8> {
    attribute(IFLA_INFO_KIND, name.as_bytes())
}

/// Reads an answer of type `NLMSG_ERROR`: it holds a negated errno, which is 0 for an acknowledgement.
fn acknowledged(answer: &[u8]) -> Result<(), Errno> {
    let message_type = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let error =
        answer.get(HEADER..HEADER + 4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (message_type, error) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(error)) => Err(Errno::from_raw(-error)),
        _ => Err(Errno::EPROTO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attribute_padding_is_not_part_of_its_length() {
        let bytes = attribute(IFLA_INFO_KIND, b"bridge");
        assert_eq!(bytes.len(), 12);
        assert_eq!(bytes[..2], 10_u16.to_ne_bytes());
    }

    #[test]
    fn link_name_attribute_is_nul_terminated_and_padded() {
        let bytes = message(RTM_NEWLINK, REQUEST_AND_ACK, &[link(0), name_of("docker0")].concat());
        assert_eq!(bytes.len(), 44);
        assert_eq!(bytes[..4], 44_u32.to_ne_bytes());
        assert_eq!(bytes[32..34], 12_u16.to_ne_bytes());
        assert_eq!(&bytes[36..44], b"docker0\0");
    }

    #[test]
    fn acknowledgement_is_success_and_error_is_its_errno() {
        let answer = |error: i32| message(NLMSG_ERROR, 0, &error.to_ne_bytes());
        assert_eq!(acknowledged(&answer(0)), Ok(()));
        assert_eq!(acknowledged(&answer(-95)), Err(Errno::EOPNOTSUPP));
        assert_eq!(acknowledged(&[]), Err(Errno::EPROTO));
        assert_eq!(acknowledged(&message(RTM_NEWLINK, 0, &[0; 4])), Err(Errno::EPROTO));
    }

    #[test]
    fn answer_that_does_not_come_ends_the_wait() {
        let route = Route::within(TimeVal::new(0, 50_000)).unwrap();
        assert_eq!(route.receive(), Err(Errno::ETIMEDOUT));
    }

    #[test]
    #[ignore = "needs root"]
    fn interface_is_deleted_by_its_name_and_index_together() {
        use crate::host::SystemWriter;
        use crate::host::live::Live;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
                let (route, index) = (Route::open().unwrap(), nix::net::if_::if_nametoindex);
                route.add_bridge("ours").unwrap();
                route.add_bridge("theirs").unwrap();
                let ours = index("ours").unwrap();
                let errno = |name, index| Live::default().delete_link(name, index).unwrap_err().errno();
                assert_eq!((errno("theirs", ours), errno("gone", ours)), (Errno::ESTALE, Errno::ENODEV));
                assert_eq!(Live::default().delete_link("ours", ours), Ok(()));
                assert_eq!((index("ours"), index("theirs").is_ok()), (Err(Errno::ENODEV), true));
            });
        });
    }
}
