//! The kernel's settings, as files below `/proc/sys`.

use std::fs;
use std::path::PathBuf;

/// Where they lie. Other systems have no such folder: there every setting is unknown.
pub(super) struct Sysctl {
    root: PathBuf,
}

impl Default for Sysctl {
    fn default() -> Self {
        Self {
            root: "/proc/sys".into(),
        }
    }
}

impl Sysctl {
    /// The value of a setting such as `net.core.rmem_max`; `None` if there is no such setting here.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let path = self.root.join(name.replace('.', "/"));
        let text = fs::read_to_string(path).ok()?;
        Some(text.trim().to_owned())
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// Settings of a test's own.
    pub(in super::super) struct Given {
        pub(in super::super) sysctl: Sysctl,
        _dir: tempfile::TempDir,
    }

    /// These settings and no others.
    pub(in super::super) fn given(settings: &[(&str, &str)]) -> Given {
        let dir = tempfile::tempdir().unwrap();
        for (name, value) in settings {
            let path = dir.path().join(name.replace('.', "/"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{value}\n")).unwrap();
        }
        Given {
            sysctl: Sysctl {
                root: dir.path().to_owned(),
            },
            _dir: dir,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::given;

    #[test]
    fn settings_are_files() {
        let given = given(&[("net.core.rmem_max", "212992"), ("net.x", "no number")]);
        assert_eq!(given.sysctl.number("net.core.rmem_max"), Some(212_992));
        assert_eq!(given.sysctl.text("net.x").as_deref(), Some("no number"));
        assert_eq!(given.sysctl.number("net.x"), None);
        assert_eq!(given.sysctl.number("net.core"), None);
        assert_eq!(given.sysctl.number("net.core.wmem_max"), None);
    }
}
