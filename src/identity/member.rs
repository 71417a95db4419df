//! Who is at the other end of a session: what an exit judges by.

use std::collections::BTreeSet;

use super::{AgentId, Certificate, Credential, Grants, Group, Roles, Trust};

/// A member of the mesh as a handshake has proven it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub id: AgentId,
    /// Those that a mesh CA put it into. A certificate that the agent signed itself puts it into none,
    /// though its id is pinned: it could write any.
    pub groups: BTreeSet<Group>,
    /// The parts in the mesh that its certificate allows.
    pub roles: Roles,
    /// What it may originate; `None`: anything, because its certificate says nothing.
    pub grants: Option<Grants>,
    /// What decides whether its session may go on.
    pub credential: Credential,
}

impl Member {
    /// Whose `certificate` a handshake has verified under `trust` at `unix_time` (seconds).
    pub fn new(certificate: &Certificate, trust: &Trust, unix_time: u64) -> Self {
        let grants = certificate.grants.clone();
        let groups = grants.as_ref().map(|grants| grants.groups.clone());
        let groups = groups.unwrap_or_default();
        let are_proven = !groups.is_empty() && trust.vouches(certificate, unix_time);
        Self {
            id: certificate.id,
            groups: if are_proven { groups } else { BTreeSet::new() },
            roles: certificate.roles(),
            grants,
            credential: certificate.credential(),
        }
    }
}

#[cfg(test)]
impl Member {
    /// Of whom nothing is known but the id.
    pub(crate) fn with_id(id: AgentId) -> Self {
        Self {
            id,
            groups: BTreeSet::new(),
            roles: Roles::ALL,
            grants: None,
            credential: Credential {
                id,
                serial: super::Serial::from_octets(&[]),
                not_after: u64::MAX,
                leaf: super::Leaf::default(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::unix_now;
    use crate::identity::{Authority, CA_CERTIFICATE, CA_KEY, Identity, Validity};

    const GROUPS: [&str; 2] = ["warren:group:ops", "warren:group:db"];

    fn grants() -> Grants {
        Grants::from_uris(GROUPS).unwrap().unwrap()
    }

    /// A CA, and an agent whose certificate it signed.
    fn issued(dir: &std::path::Path) -> Certificate {
        let validity = Validity::days(unix_now(), 1);
        let (authority, files) = Authority::create("mesh", validity).unwrap();
        let (certificate, key) = (dir.join(CA_CERTIFICATE), dir.join(CA_KEY));
        files.store(&certificate, &key).unwrap();
        let issued = authority.issue("agent", Some(&grants()), validity).unwrap();
        Identity::from_issued(issued).unwrap().parsed()
    }

    #[test]
    fn a_ca_puts_agents_into_groups_and_nobody_itself() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (certificate, _) = (issued(dir.path()), issued(other.path()));
        let pinned = BTreeSet::from([certificate.id]);
        let trust = |ca: &[&std::path::Path], pinned: &BTreeSet<AgentId>| {
            let files = ca.iter().map(|dir| dir.join(CA_CERTIFICATE));
            Trust::new(files, pinned.clone()).unwrap()
        };
        for (trust, groups) in [
            (trust(&[dir.path()], &BTreeSet::new()), 2),
            (trust(&[dir.path()], &pinned), 2),
            // A pin takes any certificate, and then the groups are the agent's own word.
            (trust(&[], &pinned), 0),
            (trust(&[other.path()], &pinned), 0),
        ] {
            let member = Member::new(&certificate, &trust, unix_now());
            assert_eq!(member.groups.len(), groups, "{trust:?}");
            assert_eq!(member.id, certificate.id);
            assert_eq!(member.grants, Some(grants()));
            assert_eq!(member.roles, Roles::ALL);
        }
        let trust = trust(&[dir.path()], &pinned);
        let late = unix_now() + 3 * 86_400;
        assert!(Member::new(&certificate, &trust, late).groups.is_empty());
    }
}
