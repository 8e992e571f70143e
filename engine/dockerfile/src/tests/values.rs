//! The kinds of values in flags and words.

use std::time::Duration;

use crate::fields::{duration, size, truth};
use crate::ports::{Ports, Protocol, parse};
use crate::signal::number;

#[test]
fn durations() {
    for (text, millis) in [
        ("0", Some(0)),
        ("30s", Some(30_000)),
        ("1m30s", Some(90_000)),
        ("1.5h", Some(5_400_000)),
        ("+250ms", Some(250)),
        (".5s", Some(500)),
        ("1s1m", Some(61_000)),
        ("", None),
        ("+", None),
        ("30", None),
        ("s", None),
        (".s", None),
        ("1.2.3s", None),
        ("1 s", None),
        ("-1s", None),
        ("1d", None),
        ("99999999h", None),
    ] {
        assert_eq!(duration(text), millis.map(Duration::from_millis), "{text}");
    }
    assert_eq!(duration("3us2ns"), Some(Duration::from_nanos(3002)));
}

#[test]
fn sizes() {
    for (text, bytes) in [
        ("0", Some(0)),
        ("64", Some(64)),
        ("1k", Some(1024)),
        ("1KB", Some(1024)),
        ("1KiB", Some(1024)),
        ("1.5g", Some(3 << 29)),
        ("2 m", Some(2 << 20)),
        ("", None),
        ("m", None),
        ("1x", None),
        ("-1", None),
        ("1..5m", None),
        ("99999999999p", None),
    ] {
        assert_eq!(size(text), bytes, "{text}");
    }
    assert_eq!((truth("T"), truth("0"), truth("yes")), (Some(true), Some(false), None));
}

#[test]
fn ports() {
    let some = |first, last, protocol| Ok(Ports { first, last, protocol });
    assert_eq!(parse("80"), some(80, 80, Protocol::Tcp));
    assert_eq!(parse("80/UDP"), some(80, 80, Protocol::Udp));
    assert_eq!(parse("127.0.0.1:8080-8082:80-82/sctp"), some(80, 82, Protocol::Sctp));
    assert_eq!(parse("8080-8090:80"), some(80, 80, Protocol::Tcp));
    assert_eq!(parse("+80-81"), some(80, 81, Protocol::Tcp));
    assert_eq!(parse("80/").map(|ports| ports.each().collect()), Ok(vec!["80/tcp".to_owned()]));
    let each: Vec<String> = parse("65534-65535/SCTP").unwrap().each().collect();
    assert_eq!(each, ["65534/sctp", "65535/sctp"]);
    assert_eq!(parse("[::1]:1:65535"), some(65535, 65535, Protocol::Tcp));
    for bad in [
        "",
        "/tcp",
        "65536",
        "1-",
        "-1",
        "2-1",
        "80/x",
        "80 ",
        "1-2-3",
        "++1",
        "x:80",
        "300.1.1.1:1:1",
        "1.1.1.1:x:80",
        "8080-8081:80-82",
        "80/tcp:80",
        "80/tcp/udp",
        "[::1:1:1",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn signals() {
    for (text, signal) in [
        ("TERM", Some(15)),
        ("sigquit", Some(3)),
        ("9", Some(9)),
        ("SIGRTMIN", Some(34)),
        ("RTMIN+3", Some(37)),
        ("SIGRTMAX-1", Some(63)),
        ("0", None),
        ("RTMIN+16", None),
        ("RTMAX-14", Some(50)),
        ("RTMAX-15", None),
        ("RTMAX+1", None),
        ("SIGSIGTERM", None),
        ("", None),
    ] {
        assert_eq!(number(text), signal, "{text}");
    }
}
