//! What a mesh lacks until it has formed, by what its agents say of it: pure.

use std::collections::BTreeSet;

use serde_json::Value;

/// What every agent must know of the mesh.
#[derive(Clone, Copy, Debug, Default)]
pub struct Whole {
    pub links: usize,
    /// Each link counts only once it was measured to carry UDP payloads so large, in bytes.
    pub mtu: Option<u32>,
    /// Exits that an ingress has a way to.
    pub exits: usize,
    /// Each exit counts only with a second way to it.
    pub doubled: bool,
}

impl Whole {
    /// What `/api/topology` lacks.
    pub(super) fn lacks_links(&self, topology: &Value) -> Option<String> {
        let edges = topology["edges"].as_array().map_or(&[][..], Vec::as_slice);
        let counts = |edge: &&Value| self.mtu.is_none_or(|mtu| edge["mtu"] == mtu);
        let good = edges.iter().filter(counts).count();
        (good < self.links).then(|| {
            let (links, known) = (self.links, edges.len());
            format!("of {links} links it knows {known}, {good} of them measured")
        })
    }

    /// What `/api/routes` of an ingress lacks.
    pub(super) fn lacks_exits(&self, routes: &Value) -> Option<String> {
        let routes = routes.as_array().map_or(&[][..], Vec::as_slice);
        let counts = |route: &&Value| !self.doubled || route["alternate"].is_array();
        let exits = |routes: &mut dyn Iterator<Item = &Value>| {
            let exits = routes.filter_map(|route| route["exit"].as_str().map(str::to_owned));
            exits.collect::<BTreeSet<String>>().len()
        };
        let known = exits(&mut routes.iter());
        let good = exits(&mut routes.iter().filter(counts));
        (good < self.exits).then(|| {
            let ways = if self.doubled { "two ways" } else { "a way" };
            format!("of {} exits it knows {known}, {good} by {ways}", self.exits)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const WHOLE: Whole = Whole {
        links: 2,
        mtu: Some(1_472),
        exits: 2,
        doubled: true,
    };

    #[test]
    fn a_whole_mesh_knows_every_link_with_its_mtu() {
        let edge = |mtu: Value| json!({ "mtu": mtu });
        let topology = json!({ "edges": [edge(json!(1_472)), edge(json!(1_472))] });
        assert_eq!(WHOLE.lacks_links(&topology), None);
        let unmeasured = json!({ "edges": [edge(json!(1_472)), edge(Value::Null)] });
        let lack = WHOLE.lacks_links(&unmeasured).unwrap();
        assert_eq!(lack, "of 2 links it knows 2, 1 of them measured");
        let any = Whole { mtu: None, ..WHOLE };
        assert_eq!(any.lacks_links(&unmeasured), None);
        assert!(any.lacks_links(&json!({})).is_some());
    }

    #[test]
    fn a_whole_mesh_has_two_ways_to_both_exits() {
        let route = |exit: &str, alternate: Value| json!({ "exit": exit, "alternate": alternate });
        let doubled = json!([route("a", json!(["t", "a"])), route("b", json!(["t", "b"]))]);
        assert_eq!(WHOLE.lacks_exits(&doubled), None);
        let single = json!([route("a", json!(["t", "a"])), route("b", Value::Null)]);
        assert_eq!(
            WHOLE.lacks_exits(&single).as_deref(),
            Some("of 2 exits it knows 2, 1 by two ways")
        );
        let any = Whole {
            doubled: false,
            ..WHOLE
        };
        assert_eq!(any.lacks_exits(&single), None);
        let twice = json!([route("a", Value::Null), route("a", Value::Null)]);
        assert!(any.lacks_exits(&twice).is_some(), "two routes, one exit");
    }
}
