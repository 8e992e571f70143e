//! What EXPOSE takes.

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

/// Reads an expanded word of EXPOSE: `[[ip:]hostport:]port[-port][/protocol]`. Addresses and host
/// ports are allowed and mean nothing in an image.
///
/// # Errors
/// What is wrong, as a help line.
pub fn parse(text: &str) -> Result<Ports, String> {
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "" | "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return Err("the protocol is tcp, udp or sctp".to_owned()),
    };
    let numbers = numbers.rsplit_once(':').map_or(numbers, |(_, port)| port);
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let port = if plain { digits.parse::<u16>().ok() } else { None };
        port.ok_or_else(|| "a port is a number up to 65535, a range is `8000-8010`".to_owned())
    };
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(format!("write the range as `{last}-{first}`"));
    }
    Ok(Ports { first, last, protocol })
}
