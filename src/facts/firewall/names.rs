//! The names of chains and the forms of rules that dockerd gives.

/// Whether dockerd creates a chain of this name: `DOCKER`, `DOCKER-USER`, `DOCKER-ISOLATION-STAGE-1`, ...
pub fn is_dockers_chain(chain: &str) -> bool {
    chain == "DOCKER" || chain.starts_with("DOCKER-")
}

/// Whether dockerd creates such a rule, given as `-A CHAIN ...`. In `DOCKER-USER`, which is the administrator's, it makes one
/// that returns; into chains of others it makes jumps, and rules that match nothing but its bridges, their addresses and
/// the state of a connection (moby `libnetwork/drivers/bridge/setup_ip_tables_linux.go`, `port_mapping_linux.go`).
pub fn is_dockers_rule(rule: &str) -> bool {
    let args: Vec<&str> = rule.split_whitespace().collect();
    let after = |flags: &[&str]| -> Vec<&str> {
        args.windows(2).filter(|pair| flags.contains(&pair[0])).map(|pair| pair[1]).collect()
    };
    let chain = args.get(1).copied().unwrap_or_default();
    if chain == "DOCKER-USER" {
        return args.get(2..) == Some(&["-j", "RETURN"]);
    }
    let targets = after(&["-j", "-g"]);
    if is_dockers_chain(chain) || targets.iter().any(|target| is_dockers_chain(target)) {
        return true;
    }
    let interfaces = after(&["-i", "-o"]);
    let only_bridges = !interfaces.is_empty() && interfaces.iter().all(|name| is_dockers_bridge(name));
    let masquerades = targets == ["MASQUERADE"] && chain == "POSTROUTING";
    let drops_by_address = chain == "PREROUTING" && targets == ["DROP"];
    let forwards = chain == "FORWARD" && targets == ["ACCEPT"] && after(&["-s", "-d", "-p"]).is_empty();
    (only_bridges && (masquerades || forwards || drops_by_address))
        || (masquerades && is_hairpin(&after(&["-s"]), &after(&["-d"])))
}

/// A container that reaches itself by its published port: source and destination are the same address.
fn is_hairpin(source: &[&str], destination: &[&str]) -> bool {
    !source.is_empty() && source == destination && source[0].ends_with("/32")
}

/// Whether it is `docker0`, or `br-` with twelve hexadecimal digits of a network's id.
fn is_dockers_bridge(name: &str) -> bool {
    let of_network = |id: &str| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    name == "docker0" || name.strip_prefix("br-").is_some_and(of_network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_dockerd_are_known_by_their_form() {
        for rule in [
            "-A DOCKER -i docker0 -j RETURN",
            "-A FORWARD -j DOCKER-USER",
            "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "-A FORWARD -i docker0 ! -o docker0 -j ACCEPT",
            "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
            "-A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP",
            "-A POSTROUTING -s 172.18.0.0/16 ! -o br-0123456789ab -j MASQUERADE",
            "-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE",
            "-A DOCKER-USER -j RETURN",
        ] {
            assert!(is_dockers_rule(rule), "{rule}");
        }
    }

    #[test]
    fn rules_of_others_are_not_dockerds_even_where_they_name_its_bridge() {
        for rule in [
            "-A DOCKER-USER -s 10.0.0.0/8 -j DROP",
            "-A FORWARD -i docker0 -o tun0 -j ACCEPT",
            "-A FORWARD -i docker0 -d 10.0.0.0/8 -j ACCEPT",
            "-A FORWARD -i docker0 -j DROP",
            "-A INPUT -i docker0 -j ACCEPT",
            "-A POSTROUTING -s 10.0.0.0/8 -o eth0 -j MASQUERADE",
            "-A FORWARD -i br-lan -j ACCEPT",
            "-A MINE -j ACCEPT",
        ] {
            assert!(!is_dockers_rule(rule), "{rule}");
        }
    }
}
