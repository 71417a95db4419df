//! Routes that an exit was given while it runs, beside those of its file. Those that are to outlive the
//! process are kept in `agent.data_dir`, a line each.

use std::io;
use std::path::Path;

use tracing::warn;

use crate::api::{RouteChange, RouteVerb};
use crate::config::{self, Config, Route};
use crate::identity::{Grants, read_small_file, replace_file};

/// The file in `agent.data_dir`.
const FILE: &str = "routes";

/// The longest name of a route a million times over.
const FILE_BYTES: u64 = 256 << 20;

const HEADER: &str =
    "# Routes of this exit beside those of its file; `warren route` changes them.\n";

/// Each list has a route once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Added {
    /// What counts now.
    pub(super) active: Vec<Route>,
    /// What will count after the next start.
    pub(super) saved: Vec<Route>,
}

/// What limits an exit's routes.
pub(super) struct Bounds<'a> {
    /// Its section of the file.
    pub(super) file: &'a config::Exit,
    /// What its certificate grants; `None`: it limits nothing.
    pub(super) grants: Option<&'a Grants>,
    /// `limits.routes_per_origin`.
    pub(super) most: usize,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RouteError {
    #[error("this agent is no exit: its file does not enable one")]
    NoExit,
    #[error(
        "the certificate does not grant {0}: issue one with `warren cert agent --renew` that does, and reload"
    )]
    NotGranted(Route),
    #[error("{count} routes; limits.routes_per_origin allows {most}")]
    TooMany { count: usize, most: usize },
    #[error("{0} stands in the agent's file: take it out there, and reload")]
    InFile(Route),
    #[error("{0} is no route of this exit")]
    Unknown(Route),
    #[error("cannot keep them in {path}: {cause}; try again without saving, or mend that")]
    Save { path: String, cause: io::Error },
    #[error("this agent keeps nothing: it was not started from a file")]
    Homeless,
    #[error("the agent has ended")]
    Ended,
}

impl Added {
    /// What an earlier process kept. What cannot be read is told and left out.
    pub(super) fn load(data_dir: &Path) -> Self {
        let path = data_dir.join(FILE);
        if !path.exists() {
            return Self::default();
        }
        let file = path.display();
        let text = match read_small_file(&path, FILE_BYTES) {
            Ok(text) => text,
            Err(error) => {
                warn!(%file, error, "routes that were saved are not advertised");
                return Self::default();
            }
        };
        let mut routes: Vec<Route> = Vec::new();
        let lines = text.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.parse() {
                Ok(route) if routes.contains(&route) => {}
                Ok(route) => routes.push(route),
                Err(error) => warn!(%file, error, "a route that was saved is not advertised"),
            }
        }
        Self {
            active: routes.clone(),
            saved: routes,
        }
    }

    /// The state after `change`, all of it or nothing.
    pub(super) fn changed(
        &self,
        change: &RouteChange,
        bounds: &Bounds<'_>,
    ) -> Result<Self, RouteError> {
        let mut new = self.clone();
        for route in &change.routes {
            match change.what {
                RouteVerb::Add => new.add(route, change.save, bounds)?,
                RouteVerb::Remove => new.remove(route, change.save, bounds)?,
            }
        }
        let (count, most) = (routes(&new, bounds.file).len(), bounds.most);
        match count > most && change.what == RouteVerb::Add {
            true => Err(RouteError::TooMany { count, most }),
            false => Ok(new),
        }
    }

    fn add(&mut self, route: &Route, save: bool, bounds: &Bounds<'_>) -> Result<(), RouteError> {
        if has(bounds.file, route) {
            return Ok(());
        }
        let granted = bounds.grants.is_none_or(|grants| match route {
            Route::Prefix(prefix) => grants.allows_prefix(prefix),
            Route::Domain(domain) => grants.allows_domain(domain),
        });
        if !granted {
            return Err(RouteError::NotGranted(route.clone()));
        }
        insert(&mut self.active, route);
        if save {
            insert(&mut self.saved, route);
        }
        Ok(())
    }

    fn remove(&mut self, route: &Route, save: bool, bounds: &Bounds<'_>) -> Result<(), RouteError> {
        let before = (self.active.len(), self.saved.len());
        self.active.retain(|known| known != route);
        if save {
            self.saved.retain(|known| known != route);
        }
        if before != (self.active.len(), self.saved.len()) {
            return Ok(());
        }
        Err(match has(bounds.file, route) {
            true => RouteError::InFile(route.clone()),
            false => RouteError::Unknown(route.clone()),
        })
    }

    /// `config` with the routes that were added.
    pub(super) fn in_force(&self, config: &Config) -> Config {
        let mut config = config.clone();
        if let Some(exit) = &mut config.exit {
            for route in &self.active {
                match route {
                    _ if has(exit, route) => {}
                    Route::Prefix(prefix) => exit.routes.push(*prefix),
                    Route::Domain(domain) => exit.domain_routes.push(domain.clone()),
                }
            }
        }
        config
    }

    /// Keeps what is saved for the next start. Waits for the disk.
    pub(super) fn save(&self, data_dir: &Path) -> Result<(), RouteError> {
        let path = data_dir.join(FILE);
        let lines = self.saved.iter().map(|route| format!("{route}\n"));
        let text = format!("{HEADER}{}", lines.collect::<String>());
        replace_file(&path, text.as_bytes()).map_err(|cause| RouteError::Save {
            path: path.display().to_string(),
            cause,
        })
    }
}

/// All routes of an exit, those of its file first.
pub(super) fn routes(added: &Added, file: &config::Exit) -> Vec<Route> {
    let prefixes = file.routes.iter().copied().map(Route::Prefix);
    let domains = file.domain_routes.iter().cloned().map(Route::Domain);
    let mut routes: Vec<Route> = prefixes.chain(domains).collect();
    let others = added.active.iter().filter(|route| !has(file, route));
    routes.extend(others.cloned());
    routes
}

fn has(exit: &config::Exit, route: &Route) -> bool {
    match route {
        Route::Prefix(prefix) => exit.routes.contains(prefix),
        Route::Domain(domain) => exit.domain_routes.contains(domain),
    }
}

fn insert(routes: &mut Vec<Route>, route: &Route) {
    if !routes.contains(route) {
        routes.push(route.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::fixture;

    fn route(text: &str) -> Route {
        text.parse().unwrap()
    }

    fn change(what: RouteVerb, routes: &[&str], save: bool) -> RouteChange {
        let routes = routes.iter().map(|text| route(text)).collect();
        RouteChange { what, routes, save }
    }

    fn file() -> config::Exit {
        fixture::exit().exit.unwrap()
    }

    fn apply(added: &Added, change: &RouteChange, most: usize) -> Result<Added, String> {
        let file = file();
        let grants = Grants {
            prefixes: vec!["10.0.0.0/7".parse().unwrap()],
            domains: vec!["*.example".parse().unwrap()],
            ..Grants::default()
        };
        let bounds = Bounds {
            file: &file,
            grants: Some(&grants),
            most,
        };
        added.changed(change, &bounds).map_err(|e| e.to_string())
    }

    #[test]
    fn routes_are_added_once_and_within_the_grants_all_or_none() {
        let none = Added::default();
        let twice = change(
            RouteVerb::Add,
            &["11.1.0.0/16", "11.1.0.0/16", "10.0.0.0/8", "a.example"],
            false,
        );
        let added = apply(&none, &twice, 10).unwrap();
        assert_eq!(added.active, [route("11.1.0.0/16"), route("a.example")]);
        assert_eq!(added.saved, []);
        let all = routes(&added, &file());
        assert_eq!(all[0], route("10.0.0.0/8"));
        assert_eq!(all.len(), 4, "{all:?}");
        let foreign = change(RouteVerb::Add, &["11.2.0.0/16", "192.0.2.0/24"], false);
        let error = apply(&added, &foreign, 10).unwrap_err();
        assert!(error.starts_with("the certificate does not grant 192.0.2.0/24"));
        let error = apply(&none, &twice, 3).unwrap_err();
        assert_eq!(error, "4 routes; limits.routes_per_origin allows 3");
    }

    #[test]
    fn what_is_removed_comes_back_at_the_next_start_unless_that_is_saved() {
        let none = Added::default();
        let saved = apply(&none, &change(RouteVerb::Add, &["11.1.0.0/16"], true), 9).unwrap();
        assert_eq!(saved.active, saved.saved);
        let gone = apply(
            &saved,
            &change(RouteVerb::Remove, &["11.1.0.0/16"], false),
            9,
        );
        let gone = gone.unwrap();
        assert_eq!((gone.active.len(), gone.saved.len()), (0, 1));
        let for_good = change(RouteVerb::Remove, &["11.1.0.0/16"], true);
        assert_eq!(apply(&gone, &for_good, 9).unwrap(), none);
        let error = apply(&none, &for_good, 9).unwrap_err();
        assert_eq!(error, "11.1.0.0/16 is no route of this exit");
        let of_file = change(RouteVerb::Remove, &["10.0.0.0/8"], true);
        let error = apply(&saved, &of_file, 9).unwrap_err();
        assert!(
            error.starts_with("10.0.0.0/8 stands in the agent's file"),
            "{error}"
        );
    }

    #[test]
    fn what_was_saved_is_read_back_and_damage_costs_its_line_alone() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Added::load(dir.path()), Added::default());
        let added = change(RouteVerb::Add, &["11.1.0.0/16", "a.example"], true);
        let added = apply(&Added::default(), &added, 9).unwrap();
        added.save(dir.path()).unwrap();
        assert_eq!(Added::load(dir.path()), added);
        let path = dir.path().join(FILE);
        std::fs::write(&path, "nonsense/9\n\n11.1.0.0/16\n11.1.0.0/16\n").unwrap();
        assert_eq!(Added::load(dir.path()).active, [route("11.1.0.0/16")]);
        std::fs::write(&path, b"\xff").unwrap();
        assert_eq!(Added::load(dir.path()), Added::default());
        let nowhere = added.save(Path::new("/nonexistent")).unwrap_err();
        assert!(
            nowhere
                .to_string()
                .starts_with("cannot keep them in /nonexistent/routes")
        );
    }
}
