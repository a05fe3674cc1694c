//! The interfaces and addresses between an inner container and the outside.

use std::cmp::Reverse;
use std::net::IpAddr;

use crate::facts::routes::{Route, Routes};
use crate::host::SystemReader;
use crate::probe::Document;

/// Where packets of inner containers pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The bridge that has the containers' gateway.
    pub bridge: String,
    /// The bridge of the network on which containers find each other.
    pub neighbours: String,
    /// The gateway of the containers, an address of the bridge.
    pub gateway: Option<IpAddr>,
    /// The routes of the main table.
    pub routes: Routes,
    /// The containers' subnet, as routes have it.
    pub subnet: Option<String>,
    /// The addresses of the containers.
    pub containers: Vec<IpAddr>,
    /// The addresses of this network namespace.
    pub local: Vec<IpAddr>,
}

impl Place {
    /// Where the packets of this container passed; `None` where its gateway is not in this network namespace, so that the
    /// rules here are not those that it meets.
    pub(super) fn find(host: &dyn SystemReader, document: &Document, neighbours: String) -> Option<Self> {
        let gateway: IpAddr = document.network.gateway.as_ref()?.parse().ok()?;
        let interfaces = interfaces();
        let bridge = interfaces.iter().find(|(_, address)| *address == gateway)?.0.clone();
        let routes = Routes::read(host).ok()?;
        let on_bridge = |route: &&Route| route.device == bridge && route.gateway.is_none();
        let subnet = routes.0.iter().find(on_bridge).map(|route| route.to.to_string());
        Some(Self {
            gateway: Some(gateway),
            routes,
            subnet,
            containers: Vec::new(),
            local: interfaces.iter().map(|(_, address)| *address).collect(),
            bridge,
            neighbours,
        })
    }

    /// The interface by which packets to an address leave; `None` where the main table does not say it.
    pub(super) fn interface_to(&self, address: IpAddr) -> Option<&str> {
        let IpAddr::V4(address) = address else { return None };
        let holding = self.routes.0.iter().filter(|route| route.to.contains(address));
        holding
            .max_by_key(|route| (route.to.bits(), Reverse(route.metric)))
            .map(|route| route.device.as_str())
    }
}

/// The interfaces of this network namespace with their addresses; none where they cannot be read.
fn interfaces() -> Vec<(String, IpAddr)> {
    let all = nix::ifaddrs::getifaddrs().into_iter().flatten();
    all.filter_map(|entry| {
        let address = entry.address?;
        let four = address.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
        let six = || address.as_sockaddr_in6().map(|address| IpAddr::from(address.ip()));
        Some((entry.interface_name, four.or_else(six)?))
    })
    .collect()
}

/// The addresses of a container but those of its loopback.
pub(super) fn addresses(document: &Document) -> Vec<IpAddr> {
    let outward = document.network.interfaces.iter().filter(|one| one.name != "lo");
    outward.flat_map(|one| &one.addresses).filter_map(|address| address.parse().ok()).collect()
}
