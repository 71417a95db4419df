//! A password that is typed does not show.

use crate::installed::program;
use crate::support::WARREN;
use crate::support::command::run;

/// Types a password when asked, at a terminal of its own, and prints what the terminal showed.
const TYPIST: &str = r#"
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "hash"])
shown = b""
while b"Password: " not in shown:
    shown += os.read(terminal, 1024)
os.write(terminal, b"hunter2\n")
while True:
    try:
        more = os.read(terminal, 1024)
    except OSError:
        break
    if not more:
        break
    shown += more
os.waitpid(pid, 0)
sys.stdout.write(shown.decode())
"#;

#[test]
fn a_typed_password_does_not_show() {
    let mut python = program("python3", "python3");
    let typed = run(python.args(["-c", TYPIST, WARREN]), "");
    let shown = typed.success();
    assert!(shown.contains("$argon2id$"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}
