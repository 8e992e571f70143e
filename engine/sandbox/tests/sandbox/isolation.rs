//! What a program can see and do.

use mabuild_sandbox::{Exit, Network};

use crate::Test;
use crate::world::{Outcome, World};

pub const TESTS: &[Test] = &[
    ("processes_are_its_own", processes_are_its_own),
    ("proc_is_masked", proc_is_masked),
    ("devices_are_few", devices_are_few),
    ("capabilities_are_few", capabilities_are_few),
    ("namespaces_and_mounts_are_refused", namespaces_and_mounts_are_refused),
    ("the_host_name_is_its_own", the_host_name_is_its_own),
    ("network_none_is_loopback", network_none_is_loopback),
    ("network_host_is_the_hosts", network_host_is_the_hosts),
    ("users_are_what_they_say", users_are_what_they_say),
];

fn processes_are_its_own(world: &World) -> Outcome {
    let ran = world.sh("ps -o pid; echo $$; kill -9 1; kill -0 1 && echo lives")?;
    let lines: Vec<_> = ran.output.lines().map(str::trim).collect();
    assert_eq!(lines, ["PID", "1", "2", "3", "2", "lives"]);
    Ok(())
}

fn proc_is_masked(world: &World) -> Outcome {
    let mut spec = world.script(
        "cat /proc/kcore /proc/keys /proc/timer_list /proc/interrupts 2>/dev/null | wc -c; \
         ls /proc/acpi /proc/scsi 2>/dev/null | wc -l; \
         test -e /proc/sysrq-trigger && touch /proc/sysrq-trigger; echo 1 > /proc/sys/kernel/panic; \
         touch /sys/x; ls /sys | wc -l; ls /sys/firmware | wc -l",
    );
    spec.network = Network::None;
    let ran = world.run(vec![spec])?;
    let lines: Vec<_> = ran.output.lines().collect();
    assert_eq!(lines[0], "0", "{}", ran.output);
    if std::path::Path::new("/proc/sysrq-trigger").exists() {
        assert!(ran.output.contains("sysrq-trigger: Read-only file system"), "{}", ran.output);
    }
    assert!(ran.output.contains("panic: Read-only file system"), "{}", ran.output);
    assert!(ran.output.contains("/sys/x: Read-only file system"), "{}", ran.output);
    let firmware = lines.last().unwrap();
    let sys = lines[lines.len() - 2];
    assert!(*firmware == "0" && sys.parse::<u32>().unwrap() > 3, "{}", ran.output);
    Ok(())
}

fn devices_are_few(world: &World) -> Outcome {
    let ran = world
        .sh("ls /dev; echo x > /dev/null; wc -c < /dev/null; test -c /dev/zero && echo zero; \
         echo err > /dev/stderr; touch /dev/shm/f && echo shm; ls -l /dev/pts/ptmx | wc -l")?;
    let expected = "fd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\n\
                    urandom\nzero\n0\nzero\nerr\nshm\n1\n";
    assert_eq!(ran.output, expected);
    Ok(())
}

fn capabilities_are_few(world: &World) -> Outcome {
    let show = "while read a b; do case $a in Cap*|NoNew*|Seccomp:) echo $a $b;; esac; done < /proc/self/status";
    let docker = "CapInh: 0000000000000000\nCapPrm: 00000000a80425fb\nCapEff: 00000000a80425fb\n\
                  CapBnd: 00000000a80425fb\nCapAmb: 0000000000000000\nNoNewPrivs: 0\nSeccomp: 2\n";
    assert_eq!(world.sh(show)?.output, docker);
    let mut spec = world.script(show);
    (spec.uid, spec.gid) = (1000, 1000);
    // What a setuid program may win stays.
    let none = docker.replace("00000000a80425fb", "0000000000000000");
    let none = none.replace("CapBnd: 0000000000000000", "CapBnd: 00000000a80425fb");
    assert_eq!(world.run(vec![spec])?.output, none);
    Ok(())
}

fn namespaces_and_mounts_are_refused(world: &World) -> Outcome {
    let ran = world.sh(
        "unshare -U true; unshare -m true; mount -t tmpfs x /tmp; mount -o remount,rw /proc/sys; echo end",
    )?;
    assert_eq!(ran.output.matches("Operation not permitted").count(), 2, "{}", ran.output);
    assert_eq!(ran.output.matches("permission denied").count(), 2, "{}", ran.output);
    Ok(())
}

fn the_host_name_is_its_own(world: &World) -> Outcome {
    let mut spec = world.script("hostname");
    spec.hostname = "step".into();
    assert_eq!(world.run(vec![spec])?.output, "step\n");
    Ok(())
}

fn network_none_is_loopback(world: &World) -> Outcome {
    let mut spec = world.script(
        "cat /proc/net/dev | wc -l; echo hello | nc -l -p 4711 & sleep 0.3; nc 127.0.0.1 4711; \
         nc -w 1 192.0.2.1 80",
    );
    spec.network = Network::None;
    let ran = world.run(vec![spec])?;
    let lines: Vec<_> = ran.output.lines().collect();
    assert_eq!(lines[..2], ["3", "hello"], "{}", ran.output);
    assert!(lines[2].contains("Network is unreachable"), "{}", ran.output);
    Ok(())
}

fn network_host_is_the_hosts(world: &World) -> Outcome {
    let host = std::fs::read_to_string("/proc/net/dev").unwrap().lines().count();
    assert_eq!(world.sh("cat /proc/net/dev | wc -l")?.output, format!("{host}\n"));
    Ok(())
}

fn users_are_what_they_say(world: &World) -> Outcome {
    let mut spec = world.script("id -u; id -g; id -G; echo x > /tmp/x; echo y > /dev/stdout; true");
    (spec.uid, spec.gid, spec.groups) = (1000, 1001, vec![1001, 1002]);
    let mut open = world.script("chmod 1777 /tmp");
    open.cwd = "/tmp".into();
    let ran = world.run(vec![open, spec])?;
    assert_eq!(ran.output, "1000\n1001\n1001 1002\ny\n");
    assert_eq!(ran.exit(), Exit::Code(0));
    let owner = if world.is_single() {
        ran.attribute("tmp/x", mabuild_sandbox::OWNER_XATTR)
    } else {
        use std::os::unix::fs::MetadataExt;
        let meta = std::fs::metadata(ran.upper.join("tmp/x")).unwrap();
        let outside = if world.kind == "ranges" { (100_000, 200_000) } else { (0, 0) };
        Some(format!("{}:{}", meta.uid() - outside.0, meta.gid() - outside.1))
    };
    assert_eq!(owner.as_deref(), Some("1000:1001"));
    Ok(())
}
