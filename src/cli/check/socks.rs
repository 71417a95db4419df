//! Whether the SOCKS5 port is open to more than its user may think.

use super::CheckLine;
use crate::config::Config;

/// Warns of a port that other hosts reach and that asks nobody who it is.
pub(super) fn check(config: &Config) -> Option<CheckLine> {
    let socks5 = config.socks5.as_ref()?;
    let is_open = socks5.users.is_none() && !socks5.address.ip().is_loopback();
    is_open.then(|| {
        let text = format!(
            "{} asks for no password and is open to other hosts: whoever reaches it uses the mesh; \
             listen on 127.0.0.1, set socks5.auth, or let a firewall decide",
            socks5.address
        );
        CheckLine::warn("socks5", text)
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::config::User;

    #[test]
    fn an_open_port_is_warned_of() {
        for (address, users, warned) in [
            ("127.0.0.1:1080", false, false),
            ("[::1]:1080", false, false),
            ("0.0.0.0:1080", false, true),
            ("[::]:1080", false, true),
            ("192.0.2.1:1080", false, true),
            ("0.0.0.0:1080", true, false),
        ] {
            let mut config = fixture::ingress();
            let socks5 = config.socks5.as_mut().unwrap();
            socks5.address = address.parse().unwrap();
            socks5.users = users.then(Vec::<User>::new);
            assert_eq!(check(&config).is_some(), warned, "{address} {users}");
        }
        assert!(check(&fixture::exit()).is_none());
    }
}
