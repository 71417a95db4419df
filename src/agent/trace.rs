//! Measures the ways to a destination, hop by hop.
//!
//! Every agent on a path answers echoes, so each hop is asked along the path's part that ends in
//! it. The echoes are as large as the packets of sessions, or as what the path takes whole if that
//! is less: a hop that loses large ones shows.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

use super::status::{Status, millis};
use crate::api::{Dest, ExplainError, HopView, RttView, SessionView, TraceView};
use crate::identity::{AgentId, ShortId};
use crate::routing::{Mesh, Path};
use crate::tunnel::SessionInfo;
use crate::wire::packet::header_len;

/// Echoes to each hop: enough to tell loss from a mishap, few beside what an agent answers.
const ECHOES: u32 = 5;

/// Between two echoes to a hop, so that one burst of other traffic does not delay them all.
const SPACING: Duration = Duration::from_millis(50);

/// Measured hops by path.
type Measured = BTreeMap<Vec<AgentId>, Vec<HopView>>;

impl Status {
    pub(super) async fn trace(&self, dest: &Dest) -> Result<TraceView, ExplainError> {
        let explained = self.explain(dest).await?;
        let mesh = self.mesh();
        let (exit, path) = match explained.chosen {
            Some(chosen) => (Some(chosen.exit), chosen.path),
            None => (None, Vec::new()),
        };
        let alternate = exit.and_then(|exit| mesh.table.alternate(exit));
        let alternate = alternate.map(|path| path.hops);
        let session = exit.and_then(|exit| self.session_with(exit));
        let used = session.as_ref().map(|session| session.path.hops.clone());
        let paths = [Some(&path), alternate.as_ref(), used.as_ref()];
        let measured = self.measure(&mesh, paths.into_iter().flatten()).await;
        let hops = |path: &Vec<AgentId>| measured.get(path).cloned().unwrap_or_default();
        Ok(TraceView {
            dest: explained.dest,
            exit,
            path: hops(&path),
            alternate: alternate.as_ref().map(hops),
            session: session.map(|session| SessionView {
                path: hops(&session.path.hops),
                rtt_ms: session.rtt.map(millis),
                suspect: session.suspect,
                mirroring: session.mirroring,
                probes_lost: session.probes_lost,
            }),
        })
    }

    fn session_with(&self, exit: AgentId) -> Option<SessionInfo> {
        let sessions = self.shared.tunnel.sessions.as_ref()?.snapshot();
        sessions.into_iter().find(|session| session.exit == exit)
    }

    /// Measures each of `paths` once, all at the same time.
    async fn measure(&self, mesh: &Mesh, paths: impl Iterator<Item = &Vec<AgentId>>) -> Measured {
        let mut distinct: Vec<&Vec<AgentId>> = paths.collect();
        distinct.sort();
        distinct.dedup();
        let measured = distinct.into_iter().map(|path| async move {
            let hops = (0..path.len()).map(|at| self.measure_hop(mesh, &path[..=at]));
            (path.clone(), join_all(hops).await)
        });
        join_all(measured).await.into_iter().collect()
    }

    /// Measures the last of `hops`.
    async fn measure_hop(&self, mesh: &Mesh, hops: &[AgentId]) -> HopView {
        let route: Vec<ShortId> = hops.iter().map(|hop| hop.short()).collect();
        let sizes = self.shared.tunnel.sizes;
        let size = usize::from(sizes.session(mesh, hops.last().copied()).packet);
        let table = mesh.table.path_table();
        let known = table.assess(&Path::along(hops.to_vec()));
        let known = known.map(|(path, _)| path);
        let size = known.as_ref().map_or(size, |path| size.min(room(path)));
        let expected = known.as_ref().map_or(Duration::ZERO, Path::rtt);
        let (route, echoer) = (&route, &self.shared.tunnel.echoer);
        let echoes = (0..ECHOES).map(|nth| async move {
            sleep(SPACING * nth).await;
            echoer.round_trip(route, size, expected).await
        });
        let answers: Vec<f64> = join_all(echoes)
            .await
            .into_iter()
            .flatten()
            .map(millis)
            .collect();
        let id = *hops.last().expect("a part of a path has a last hop");
        let before = match hops {
            [.., before, _] => *before,
            _ => self.id,
        };
        let graph = mesh.table.path_table().graph();
        let agent = graph.agent(id);
        HopView {
            id,
            display_name: agent.map(|agent| agent.display_name.clone()),
            rtt_ms: summary(&answers),
            sent: ECHOES,
            lost: ECHOES - answers.len() as u32,
            suspect: mesh.table.path_table().avoid().covers(before, id),
            draining: agent.is_some_and(|agent| agent.flags.draining),
        }
    }
}

/// Bytes of an echo that cross the path whole: sessions' packets cross narrow ones in halves.
fn room(path: &Path) -> usize {
    match path.mtu {
        0 => usize::MAX,
        mtu => usize::from(mtu).saturating_sub(header_len(path.hops.len())),
    }
}

/// `None`: no answers.
fn summary(answers: &[f64]) -> Option<RttView> {
    let first = *answers.first()?;
    Some(RttView {
        min: answers.iter().copied().fold(first, f64::min),
        avg: answers.iter().sum::<f64>() / answers.len() as f64,
        max: answers.iter().copied().fold(first, f64::max),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_summed_up() {
        assert_eq!(summary(&[]), None);
        let (min, avg, max) = (1.0, 2.0, 4.0);
        assert_eq!(summary(&[4.0, 1.0, 1.0]), Some(RttView { min, avg, max }));
    }
}
