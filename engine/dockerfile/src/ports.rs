//! What EXPOSE takes.

use crate::problem::{Problem, Span};

/// Ports of one protocol, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ports {
    /// The first port.
    pub first: u16,
    /// The last port.
    pub last: u16,
    /// The protocol.
    pub protocol: Protocol,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// `tcp`, which is meant when none is named.
    Tcp,
    /// `udp`
    Udp,
    /// `sctp`
    Sctp,
}

impl Protocol {
    /// Gives the name, lower-case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

impl Ports {
    /// Gives each port as `ExposedPorts` of an image's config names it: `8080/tcp`.
    pub fn each(self) -> impl Iterator<Item = String> {
        let protocol = self.protocol.name();
        (self.first..=self.last).map(move |port| format!("{port}/{protocol}"))
    }
}

/// The parts of a word of EXPOSE: `[[address:]host-port:]port[/protocol]`.
struct Parts<'t> {
    address: &'t str,
    host: &'t str,
    port: &'t str,
    protocol: &'t str,
}

impl<'t> Parts<'t> {
    fn new(text: &'t str) -> Self {
        let (before, own) = text.rsplit_once(':').unwrap_or(("", text));
        let (address, host) = before.rsplit_once(':').unwrap_or(("", before));
        let (port, protocol) = own.split_once('/').unwrap_or((own, ""));
        Self { address, host, port, protocol }
    }
}

/// Reads an expanded word of EXPOSE: `[[ip:]hostport:]port[-port][/protocol]`. Addresses and host
/// ports are allowed and mean nothing in an image.
///
/// # Errors
/// What is wrong, as a help line.
pub fn parse(text: &str) -> Result<Ports, String> {
    let parts = Parts::new(text);
    let protocol = match parts.protocol.to_ascii_lowercase().as_str() {
        "" | "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return Err("the protocol is tcp, udp or sctp".to_owned()),
    };
    if !is_address(parts.address) {
        return Err("write the port alone: an address means nothing in an image".to_owned());
    }
    let (first, last) = range(parts.port)?;
    if !parts.host.is_empty() {
        let (first_host, last_host) = range(parts.host)?;
        if first != last && last - first != last_host - first_host {
            return Err(
                "write the port alone: one of the host means nothing in an image".to_owned()
            );
        }
    }
    Ok(Ports { first, last, protocol })
}

fn is_address(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    text.is_empty() || inner.parse::<core::net::IpAddr>().is_ok()
}

fn range(text: &str) -> Result<(u16, u16), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |digits: &str| {
        let plain = digits.strip_prefix('+').unwrap_or(digits);
        let is_number = !plain.is_empty() && plain.bytes().all(|b| b.is_ascii_digit());
        let port = if is_number { plain.parse::<u16>().ok() } else { None };
        port.ok_or_else(|| "a port is a number up to 65535, a range is `8000-8010`".to_owned())
    };
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(format!("write the range as `{last}-{first}`"));
    }
    Ok((first, last))
}

/// Checks how an expanded port is written.
pub(crate) fn problems(port: &str, span: Span) -> Vec<Problem> {
    let parts = Parts::new(port);
    let mut found = Vec::new();
    if parts.protocol.chars().any(char::is_uppercase) {
        let message = format!("the protocol in `{port}` is not in lower case");
        found.push(
            Problem::warning(code!("expose-proto-casing"), span, message)
                .label("in capitals")
                .help(format!("write `{}`", port.to_lowercase())),
        );
    }
    if !parts.address.is_empty() || !parts.host.is_empty() {
        let message = format!("`{port}` has an address or a port of the host");
        found.push(
            Problem::warning(code!("expose-invalid-format"), span, message)
                .label("means nothing in an image")
                .help("write the port alone; where it is published is said when it is run"),
        );
    }
    found
}
