//! Answers where a destination leaves the mesh, as a client's request would find out.

use std::net::IpAddr;

use super::status::Status;
use crate::api::{CandidateView, ChosenView, Dest, ExplainError, ExplainView};
use crate::ingress::ConnectError;
use crate::routing::Explanation;

impl Status {
    pub(super) async fn explain(&self, dest: &Dest) -> Result<ExplainView, ExplainError> {
        let name = match dest {
            Dest::Ip(ip) => {
                let table = &self.mesh().table;
                return Ok(view(table.explain_ip(&ip.to_string(), *ip, self.balance())));
            }
            Dest::Name(name) => name,
        };
        let explained = self.explain_name(name);
        let ingress = self.ingress.as_ref();
        let Some(ingress) = ingress.filter(|_| explained.candidates.is_empty()) else {
            return Ok(explained);
        };
        match ingress.resolve(name).await {
            Ok(addresses) => Ok(self.explain_addresses(name, &addresses)),
            Err(ConnectError::NoRoute(_)) => Ok(self.explain_name(name)),
            Err(ConnectError::TimedOut(_)) => Err(ExplainError::TimedOut { name: name.clone() }),
            Err(error) => Err(ExplainError::Resolve {
                name: name.clone(),
                reason: error.to_string(),
            }),
        }
    }

    fn explain_name(&self, name: &str) -> ExplainView {
        view(self.mesh().table.explain(name, self.balance()))
    }

    /// The first of a name's addresses that has a route, as a client's request would take it.
    fn explain_addresses(&self, name: &str, addresses: &[IpAddr]) -> ExplainView {
        let mesh = self.mesh();
        let explain = |ip: &IpAddr| (*ip, mesh.table.explain_ip(name, *ip, self.balance()));
        let mut explained = addresses.iter().map(explain);
        let routed = explained.find(|(_, explanation)| explanation.chosen.is_some());
        match routed.or_else(|| addresses.first().map(explain)) {
            Some((ip, explanation)) => ExplainView {
                resolved: Some(ip),
                ..view(explanation)
            },
            None => self.explain_name(name),
        }
    }
}

fn view(explanation: Explanation) -> ExplainView {
    ExplainView {
        dest: explanation.dest,
        resolved: None,
        chosen: explanation.chosen.map(|chosen| ChosenView {
            exit: chosen.exit,
            path: chosen.path,
            metric: chosen.metric,
            rtt_ms: chosen.rtt_ms,
        }),
        candidates: explanation
            .candidates
            .into_iter()
            .map(|considered| CandidateView {
                exit: considered.exit,
                path: considered.path,
                metric: considered.metric,
                prefix: considered.prefix,
                rejected: considered.rejected,
            })
            .collect(),
    }
}
