//! OpenSSH through a ProxyCommand, to an sshd of the test's own with keys of the test's own.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;

use crate::installed::program;
use crate::support::command::run;
use crate::support::pattern;
use crate::support::ports::free_port;
use crate::support::process::Process;
use crate::support::wait::eventually;
use crate::world::{NAME, SIZE, World};

/// sshd insists on being started by its whole path, and is in no ordinary user's path.
const SSHD: &str = "/usr/sbin/sshd";

/// Where sshd, as root, wants an empty folder. Its service makes it; without the service nobody
/// does.
const PRIVILEGE_SEPARATION: &str = "/run/sshd";

fn keygen(file: &Path) {
    let mut keygen = program("ssh-keygen", "openssh-client");
    run(
        keygen
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(file),
        "",
    )
    .success();
}

/// Serves this user, with the key `client` in `dir`, on loopback.
fn sshd(dir: &Path, port: u16) -> Process {
    program(SSHD, "openssh-server");
    keygen(&dir.join("host"));
    keygen(&dir.join("client"));
    if user() == "root" {
        fs::create_dir_all(PRIVILEGE_SEPARATION).expect("root can make a folder");
    }
    let config = dir.join("sshd_config");
    let text = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {dir}/host\nAuthorizedKeysFile {dir}/client.pub\n\
         PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n",
        dir = dir.display()
    );
    fs::write(&config, text).expect("a writable folder");
    let mut command = Command::new(SSHD);
    command.args(["-D", "-e", "-f"]).arg(&config);
    let sshd = Process::spawn("sshd", &mut command, &dir.join("sshd.log"));
    eventually("sshd listens", || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
    });
    sshd
}

fn user() -> String {
    run(Command::new("id").arg("-un"), "")
        .success()
        .trim()
        .to_owned()
}

#[test]
fn ssh_works_through_ncat() {
    let world = World::open();
    let dir = tempfile::tempdir().expect("a folder for temporary files");
    let port = free_port();
    let _sshd = sshd(dir.path(), port);
    program("ncat", "ncat");
    let proxy = format!(
        "ProxyCommand=ncat --proxy-type socks5 --proxy {} %h %p",
        world.socks()
    );

    let mut bytes = vec![0; SIZE];
    pattern::fill(&mut bytes, 0);
    let (sent, back) = (dir.path().join("sent"), dir.path().join("back"));
    fs::write(&sent, &bytes).expect("a writable folder");
    for host in ["127.0.0.1", NAME] {
        let mut ssh = program("ssh", "openssh-client");
        ssh.args(["-F", "none", "-T", "-p", &port.to_string(), "-i"]);
        ssh.arg(dir.path().join("client"));
        for option in [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "GlobalKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            &proxy,
        ] {
            ssh.args(["-o", option]);
        }
        ssh.arg(format!("{}@{host}", user())).arg("cat");
        // Both ways at once, with real files at the ends.
        let line = shell_line(&ssh, &sent, &back);
        run(Command::new("sh").args(["-c", &line]), "").success();
        world.check(&back);
    }
}

/// The command with its input and output in files.
fn shell_line(command: &Command, input: &Path, output: &Path) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted: Vec<String> = words
        .map(|word| format!("'{}'", word.to_str().expect("UTF-8")))
        .collect();
    format!(
        "{} < '{}' > '{}'",
        quoted.join(" "),
        input.display(),
        output.display()
    )
}
