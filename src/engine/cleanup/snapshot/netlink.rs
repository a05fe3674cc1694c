//! Removes a network interface by an rtnetlink message (`rtnetlink(7)`), so that no program is needed for it.

use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use std::os::fd::AsRawFd;

use crate::host::{HostError, HostResult};

/// `linux/rtnetlink.h`
const RTM_DELLINK: u16 = 17;
/// `linux/if_link.h`
const IFLA_IFNAME: u16 = 3;
/// `linux/netlink.h`: a request that wants an acknowledgement.
const NLM_F_REQUEST_ACK: u16 = 1 | 4;
/// `linux/netlink.h`
const NLMSG_ERROR: u16 = 2;

/// Removes the interface of this name.
pub(super) fn delete_link(name: &str) -> HostResult<()> {
    send(&message(name)).map_err(|errno| HostError::new("remove the interface", PathBuf::from(name), errno))
}

/// Sends a message and reads its acknowledgement.
fn send(message: &[u8]) -> Result<(), Errno> {
    let socket =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
    sendto(socket.as_raw_fd(), message, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut answer = [0; 4096];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    acknowledgement(&answer[..length])
}

/// The message: header (length, type, flags, sequence, port), `ifinfomsg`, one attribute with the name. Numbers are in
/// native byte order.
fn message(name: &str) -> Vec<u8> {
    let attribute = u16::try_from(4 + name.len() + 1).unwrap_or(u16::MAX);
    let mut body = vec![0; 16];
    body.extend(attribute.to_ne_bytes());
    body.extend(IFLA_IFNAME.to_ne_bytes());
    body.extend(name.as_bytes());
    body.push(0);
    body.resize(body.len().next_multiple_of(4), 0);
    let length = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(RTM_DELLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    message.extend(1_u32.to_ne_bytes());
    message.extend(0_u32.to_ne_bytes());
    message.extend(body);
    message
}

/// The result in an acknowledgement: an error message, with number 0 for success. A missing interface is a success.
fn acknowledgement(answer: &[u8]) -> Result<(), Errno> {
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let number = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, number) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(number)) if number == -(Errno::ENODEV as i32) => Ok(()),
        (Some(NLMSG_ERROR), Some(number)) => Err(Errno::from_raw(-number)),
        _ => Err(Errno::EPROTO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_length_and_the_attribute_of_rtnetlink() {
        let message = message("docker0");
        assert_eq!(message.len(), 44);
        assert_eq!(u32::from_ne_bytes(message[..4].try_into().unwrap()), 44);
        assert_eq!(&message[36..44], b"docker0\0");
        assert_eq!(u16::from_ne_bytes(message[32..34].try_into().unwrap()), 12);
    }

    #[test]
    fn an_acknowledgement_is_read() {
        let answer = |kind: u16, number: i32| {
            let mut bytes = vec![0; 20];
            bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
            bytes[16..20].copy_from_slice(&number.to_ne_bytes());
            acknowledgement(&bytes)
        };
        assert_eq!(answer(NLMSG_ERROR, 0), Ok(()));
        assert_eq!(answer(NLMSG_ERROR, -(Errno::ENODEV as i32)), Ok(()), "a missing interface");
        assert_eq!(answer(NLMSG_ERROR, -(Errno::EPERM as i32)), Err(Errno::EPERM));
        assert_eq!(acknowledgement(&[0; 3]), Err(Errno::EPROTO));
    }
}
