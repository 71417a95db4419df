//! Who is at the other end of a session: what an exit judges by.

use std::collections::BTreeSet;

use super::{AgentId, Certificate, Credential, Grants, Group, Roles, Trust};

/// A member of the mesh as a handshake has proven it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub id: AgentId,
    /// Those that a mesh CA put it into. A certificate that the agent signed itself puts it into none,
    /// though its id is pinned: it could write any.
    groups: BTreeSet<Group>,
    /// The last second at which that counts, Unix time.
    groups_until: u64,
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
        let groups = groups.filter(|groups| !groups.is_empty());
        // Asked only where it matters: it checks a signature.
        let vouched = groups.and_then(|groups| {
            let until = trust.vouches_until(certificate, unix_time)?;
            Some((groups, until))
        });
        let (groups, groups_until) = vouched.unwrap_or_default();
        Self {
            id: certificate.id,
            groups,
            groups_until,
            roles: certificate.roles(),
            grants,
            credential: certificate.credential(),
        }
    }

    /// What it belongs to at `unix_time` (seconds). A pin may keep its session for longer than the CA's
    /// word counts, and an agent's own exit keeps it for as long as the process runs.
    pub fn groups(&self, unix_time: u64) -> &BTreeSet<Group> {
        static NONE: BTreeSet<Group> = BTreeSet::new();
        if unix_time <= self.groups_until {
            &self.groups
        } else {
            &NONE
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
            groups_until: 0,
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
    use rcgen::SanType;
    use time::OffsetDateTime;

    use super::*;
    use crate::clock::unix_now;
    use crate::identity::testing::{DAY, NOW, days, shaped, trust};
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
        let trusting = |ca: &[&std::path::Path], pinned: &BTreeSet<AgentId>| {
            let files = ca.iter().map(|dir| dir.join(CA_CERTIFICATE));
            Trust::new(files, pinned.clone()).unwrap()
        };
        for (trust, groups) in [
            (trusting(&[dir.path()], &BTreeSet::new()), 2),
            (trusting(&[dir.path()], &pinned), 2),
            // A pin takes any certificate, and then the groups are the agent's own word.
            (trusting(&[], &pinned), 0),
            (trusting(&[other.path()], &pinned), 0),
        ] {
            let member = Member::new(&certificate, &trust, unix_now());
            assert_eq!(member.groups(unix_now()).len(), groups, "{trust:?}");
            assert_eq!(member.id, certificate.id);
            assert_eq!(member.grants, Some(grants()));
            assert_eq!(member.roles, Roles::ALL);
        }
        let trust = trusting(&[dir.path()], &pinned);
        let late = unix_now() + 3 * DAY;
        assert!(
            Member::new(&certificate, &trust, late)
                .groups(late)
                .is_empty()
        );
    }

    /// Nothing ends the session of a pinned agent with the CA, nor an agent's own exit.
    #[test]
    fn groups_end_with_the_certificate_and_with_the_ca_that_gave_them() {
        const SLACK: u64 = 120;
        for (leaf, ca) in [(2, 2), (2, 1), (1, 2)] {
            let (_, authority) = Authority::create("mesh", days(ca)).unwrap();
            let certificate = shaped(&authority, |params| {
                let end = i64::try_from(days(leaf).not_after).unwrap();
                params.not_after = OffsetDateTime::from_unix_timestamp(end).unwrap();
                let uris = GROUPS.map(|uri| SanType::URI(uri.try_into().unwrap()));
                params.subject_alt_names.extend(uris);
            });
            let certificate = Certificate::parse(&certificate.der).unwrap();
            let end = NOW + u64::from(leaf.min(ca)) * DAY + SLACK;
            for pinned in [&[][..], &[certificate.id]] {
                let member = Member::new(&certificate, &trust(&[&authority], pinned), NOW);
                for (at, groups) in [(NOW, 2), (end, 2), (end + 1, 0), (u64::MAX, 0)] {
                    assert_eq!(member.groups(at).len(), groups, "{leaf} {ca} {at}");
                }
            }
        }
    }
}
