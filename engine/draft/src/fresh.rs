//! The file that `mabuild init` begins with.

use crate::Draft;
use crate::names;
use crate::quote::quoted;

/// Drafts a small file that builds as it is: one base out of a Debian package and one image on
/// it, named after a project.
pub fn fresh(name: &str) -> Draft {
    let cleaned = names::clean(name);
    // The base has a name of its own.
    let image = if cleaned == "busybox" { "busybox-image".to_owned() } else { cleaned };
    let mut notes = Vec::new();
    if image != name {
        notes.push(format!("the image is named `{image}`: a name is `[a-z0-9][a-z0-9._-]*`"));
    }
    Draft { kdl: TEMPLATE.replace("\"@NAME@\"", &quoted(&image)), notes }
}

const TEMPLATE: &str = r#"// What this folder builds. Check it with `mabuild check`, build it with `mabuild graph rebuild`.
mabuild 1

// Processors that every base and image is made for.
platforms "linux/amd64" "linux/arm64"

// A value to change in one place: `mabuild graph rebuild --set suite=trixie`.
let suite "bookworm"

// The base: one package unpacked and nothing else, a static program without a system around it.
base "busybox" {
    debian "{{suite}}" {
        variant "extract"
        include "busybox-static"
    }
    tags "{{suite}}" "latest"
}

// An image on it. When the base changes, it is built again.
image "@NAME@" {
    from "busybox"
    steps {
        // The names under which the program does its work: sh, ls, httpd.
        run "/bin/busybox" "--install" "-s" "/bin"
        mkdir "/tmp" mode="1777"
        file "/etc/passwd" "root:x:0:0:root:/:/bin/sh\napp:x:1000:1000:app:/srv:/bin/false\n"
        file "/etc/group" "root:x:0:\napp:x:1000:\n"
        file "/srv/index.html" "built for {{platform}}\n"
        // Your own files go here: copy "site/" "/srv/" mode="0644"
    }
    workdir "/srv"
    user "app:app"
    expose "8080/tcp"
    entrypoint "httpd" "-f" "-p" "8080" "-h" "/srv"
    tags "1.0" "latest"
}
"#;
