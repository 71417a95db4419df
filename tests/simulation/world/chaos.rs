//! What goes wrong, and what people do.

use ipnet::IpNet;
use warren::routing::{Core, LinkMetrics, LinkUp, OwnRoutes, Settings};

use super::{Event, World};
use crate::authority::Fake;

/// One thing that happens to the world.
#[derive(Clone, Debug)]
pub(crate) enum Chaos {
    Break {
        link: usize,
    },
    Repair {
        link: usize,
    },
    Crash {
        agent: usize,
    },
    Leave {
        agent: usize,
    },
    Boot {
        agent: usize,
        epoch: u64,
    },
    Advertise {
        agent: usize,
        prefix: IpNet,
        metric: u32,
    },
    Withdraw {
        agent: usize,
        prefix: IpNet,
    },
    Measure {
        link: usize,
        rtt_us: u64,
    },
    /// The agent asks others to prefer any other way, or no longer does. Tells the mesh at once.
    Drain {
        agent: usize,
        draining: bool,
    },
    /// The agent claims a link of cost 1 with one that it has no link with.
    Claim {
        agent: usize,
        neighbor: usize,
    },
    /// Somebody sets the agent's clock.
    SetClock {
        agent: usize,
        ahead_ms: i64,
    },
    Lossless,
}

impl World {
    pub(super) fn go_wrong(&mut self, chaos: Chaos) {
        match chaos {
            Chaos::Break { link } => {
                self.links[link].works = false;
                self.notice_loss(link);
            }
            Chaos::Repair { link } => {
                self.links[link].works = true;
                self.establish_soon(link);
            }
            Chaos::Crash { agent } => self.stop(agent),
            Chaos::Leave { agent } => {
                self.tell(agent, |core, now| core.handle_shutdown(now));
                // The goodbye still leaves the host.
                self.push(50_000, Event::Chaos(Chaos::Crash { agent }));
            }
            Chaos::Boot { agent, epoch } => self.boot(agent, epoch),
            Chaos::Advertise {
                agent,
                prefix,
                metric,
            } => {
                self.agents[agent].routes.insert(prefix, metric);
                self.advertise(agent);
            }
            Chaos::Withdraw { agent, prefix } => {
                self.agents[agent].routes.remove(&prefix);
                self.advertise(agent);
            }
            Chaos::Measure { link, rtt_us } => {
                let ends = self.links[link].ends;
                let other = self.agents[ends[1]].id;
                self.tell(ends[0], |core, now| {
                    core.handle_link_metrics(now, other, rtt_us, 1_400);
                });
            }
            Chaos::Drain { agent, draining } => {
                self.tell(agent, |core, now| core.handle_draining(now, draining));
            }
            Chaos::Claim { agent, neighbor } => {
                let link_up = LinkUp {
                    neighbor: self.agents[neighbor].id,
                    metrics: LinkMetrics {
                        cost: 1,
                        rtt_us: 1,
                        mtu: 1_400,
                    },
                    peer_epoch: self.agents[neighbor].epoch,
                };
                self.tell(agent, |core, now| core.handle_link_up(now, link_up));
            }
            Chaos::SetClock { agent, ahead_ms } => {
                self.agents[agent].clock_ms = ahead_ms;
            }
            Chaos::Lossless => self.loss = 0,
        }
    }

    fn boot(&mut self, agent: usize, epoch: u64) {
        if self.is_alive(agent) {
            return;
        }
        let id = self.agents[agent].id;
        let settings = Settings {
            id,
            epoch,
            display_name: format!("agent {agent}"),
            ..self.settings.clone()
        };
        let authority = Fake::new(id, self.certificate_bytes, &self.notary);
        let core = Core::new(self.now(agent), settings, authority);
        self.agents[agent].epoch = epoch;
        self.agents[agent].core = Some(core);
        self.advertise(agent);
        for link in self.of_agent[agent].clone() {
            self.establish_soon(link);
        }
    }

    fn stop(&mut self, agent: usize) {
        self.agents[agent].core = None;
        for link in self.of_agent[agent].clone() {
            let end = usize::from(self.links[link].ends[1] == agent);
            self.links[link].up[end] = false;
            self.notice_loss(link);
        }
    }

    fn advertise(&mut self, agent: usize) {
        let prefixes = self.agents[agent].routes.iter();
        let routes = OwnRoutes {
            prefixes: prefixes
                .map(|(prefix, metric)| (*prefix, *metric))
                .collect(),
            ..OwnRoutes::default()
        };
        self.tell(agent, |core, now| core.handle_routes(now, routes));
    }
}
