//! The output of iptables-save, line by line.

/// A line that says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'t> {
    /// `*filter`: what follows is of this table.
    Table(&'t str),
    /// `:FORWARD DROP [5:300]`
    Chain {
        /// Its name.
        name: &'t str,
        /// Its policy, or `-` for one that is not built in.
        policy: &'t str,
        /// The packets that met the policy.
        packets: Option<u64>,
    },
    /// `[5:300] -A FORWARD -j DROP`; the counters are there with `--counters`.
    Rule {
        /// The rule from `-A` on.
        text: &'t str,
        /// The packets that matched it.
        packets: Option<u64>,
    },
}

/// The lines. Comments and `COMMIT` are left out.
pub fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().filter_map(line)
}

fn line(line: &str) -> Option<Line<'_>> {
    if let Some(table) = line.strip_prefix('*') {
        return Some(Line::Table(table));
    }
    if let Some(chain) = line.strip_prefix(':') {
        let mut fields = chain.split_whitespace();
        let (name, policy) = (fields.next()?, fields.next()?);
        return Some(Line::Chain { name, policy, packets: fields.next().and_then(packets) });
    }
    let (counters, text) = match line.split_once(' ') {
        Some((counters, rule)) if counters.starts_with('[') => (Some(counters), rule),
        _ => (None, line),
    };
    text.starts_with("-A ").then(|| Line::Rule { text, packets: counters.and_then(packets) })
}

/// The packets of `[packets:bytes]`.
fn packets(counters: &str) -> Option<u64> {
    counters.strip_prefix('[')?.split(':').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_where_they_are_given() {
        let text = "# x\n*filter\n:FORWARD DROP [5:300]\n:MINE - [0:0]\n[7:9] -A FORWARD -j MINE\n-A MINE -j DROP\nCOMMIT\n";
        let seen: Vec<_> = lines(text).collect();
        assert_eq!(
            seen,
            [
                Line::Table("filter"),
                Line::Chain { name: "FORWARD", policy: "DROP", packets: Some(5) },
                Line::Chain { name: "MINE", policy: "-", packets: Some(0) },
                Line::Rule { text: "-A FORWARD -j MINE", packets: Some(7) },
                Line::Rule { text: "-A MINE -j DROP", packets: None },
            ]
        );
    }
}
