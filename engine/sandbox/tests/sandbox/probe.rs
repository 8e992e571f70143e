//! What this program does inside a sandbox, to try what no tool of the small root can.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::fs::XattrFlags;

/// First argument of a probe.
pub const PROBE: &str = "--probe";

/// `cap_net_raw+ep`, in the format of linux/capability.h, version 2.
pub const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

const NAME: &str = "security.capability";

pub fn main(args: &[String]) {
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["rights"] => {
            let status = fs::read_to_string("/proc/self/status").unwrap();
            let effective = status.lines().find(|line| line.starts_with("CapEff:")).unwrap();
            let (real, user) = (rustix::process::getuid(), rustix::process::geteuid());
            println!("{} {} {}", real.as_raw(), user.as_raw(), &effective[8..]);
        }
        ["setcap", file] => {
            match rustix::fs::setxattr(*file, NAME, &CAPABILITY, XattrFlags::empty()) {
                Ok(()) => getcap(file),
                Err(error) => println!("{error}"),
            }
        }
        ["getcap", file] => getcap(file),
        ["talk", socket, word] => match UnixStream::connect(socket) {
            Ok(mut stream) => {
                stream.write_all(word.as_bytes()).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                println!("{answer}");
            }
            Err(error) => println!("{}", error.kind()),
        },
        ["hold", socket] => {
            let _stream = UnixStream::connect(socket).unwrap();
            std::thread::sleep(Duration::from_secs(60));
        }
        ["flood", socket, count] => {
            let streams = (0..count.parse().unwrap()).map(|_| UnixStream::connect(socket).unwrap());
            let streams: Vec<_> = streams.collect();
            std::thread::sleep(Duration::from_millis(500));
            let is_open = |mut stream: &UnixStream| {
                stream.set_nonblocking(true).unwrap();
                // What is closed has an end to read, or was reset.
                stream.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
            };
            println!("{} open", streams.iter().filter(|stream| is_open(stream)).count());
        }
        other => panic!("{other:?}"),
    }
}

fn getcap(file: &str) {
    let mut value = [0; 64];
    match rustix::fs::getxattr(file, NAME, &mut value) {
        Ok(count) => println!("{:?}", value[..count] == CAPABILITY),
        Err(error) => println!("{error}"),
    }
}
