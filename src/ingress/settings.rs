//! What an ingress goes by, which may be replaced while it runs. Whoever works by the old ones goes on.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::config::{self, User};
use crate::identity::{Checks, Login};

pub(super) struct Settings {
    /// As the file has them.
    configured: Option<Vec<User>>,
    /// Who may use the port; `None`: no authentication.
    pub(super) users: Option<Arc<Login>>,
    pub(super) route_wait: Duration,
    /// Connections from there begin with a PROXY header.
    balancers: Vec<IpNet>,
}

impl Settings {
    pub(super) fn new(config: &config::Socks5, checks: &Arc<Checks>) -> Self {
        let users = config.users.as_deref();
        Self {
            configured: config.users.clone(),
            users: users.map(|users| Arc::new(login(users, checks.clone()))),
            route_wait: config.route_wait,
            balancers: config.balancers.clone(),
        }
    }

    /// Those of `config` in place of these. Users that stay the same are remembered.
    pub(super) fn replaced(&self, config: &config::Socks5, checks: &Arc<Checks>) -> Self {
        if self.configured != config.users {
            return Self::new(config, checks);
        }
        Self {
            configured: config.users.clone(),
            users: self.users.clone(),
            route_wait: config.route_wait,
            balancers: config.balancers.clone(),
        }
    }

    pub(super) fn is_balancer(&self, from: IpAddr) -> bool {
        let from = from.to_canonical();
        self.balancers.iter().any(|network| network.contains(&from))
    }
}

fn login(users: &[User], checks: Arc<Checks>) -> Login {
    let users = users
        .iter()
        .map(|user| (user.username.as_str(), user.password_hash.text.as_str()));
    Login::new("socks5", users, checks)
}
