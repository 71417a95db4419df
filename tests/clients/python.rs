//! Python's socks module (PySocks).

use std::process::Command;

use crate::support::command::run;
use crate::world::{NAME, PASSWORD, SIZE, USER, World};

/// The interpreter that Debian's packages belong to, whatever else is first in the path.
const PYTHON: &str = "/usr/bin/python3";

/// Arguments: proxy port, user or `-`, password, host, port, size, file.
const SCRIPT: &str = "
import socks, sys
proxy, user, password, host, port, size, file = sys.argv[1:]
login = {} if user == '-' else {'username': user, 'password': password}
s = socks.socksocket()
s.settimeout(50)
s.set_proxy(socks.SOCKS5, '127.0.0.1', int(proxy), rdns=True, **login)
s.connect((host, int(port)))
s.sendall(b'bulk ' + size.encode() + b'\\n')
with open(file, 'wb') as out:
    while True:
        part = s.recv(65536)
        if not part:
            break
        out.write(part)
";

fn python() -> Command {
    let missing = "python3-socks is not installed: apt-get install python3-socks";
    let found = Command::new(PYTHON).args(["-c", "import socks"]).status();
    assert!(found.expect(missing).success(), "{missing}");
    let mut python = Command::new(PYTHON);
    python.args(["-c", SCRIPT]);
    python
}

fn download(world: &World, user: &str, host: &str) {
    let file = world.mesh.dir().join("download");
    let port = world.target.address().port().to_string();
    let proxy = world.socks().port().to_string();
    let size = SIZE.to_string();
    let arguments = [&proxy, user, PASSWORD, host, &port, &size];
    run(python().args(arguments).arg(&file), "").success();
    world.check(&file);
}

#[test]
fn python_fetches_by_address_and_by_name() {
    let world = World::open();
    download(&world, "-", "127.0.0.1");
    download(&world, "-", NAME);
}

#[test]
fn python_logs_in() {
    let world = World::guarded();
    download(&world, USER, NAME);
}
