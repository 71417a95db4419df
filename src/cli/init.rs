//! `warren init`: creates the identity and prints its id.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::identity::Identity;

/// Creates the identity of an agent and prints its id alone on stdout.
///
/// Running it again prints the same id: an existing key is never replaced.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The agent's `data_dir`.
    #[arg(short, long, value_name = "DIR", default_value = "./data")]
    pub dir: PathBuf,
}

/// Prints the id on `out`; warnings go to stderr.
pub fn run(args: InitArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let loaded = Identity::load_or_create(&args.dir)
        .with_context(|| format!("no identity in {}", args.dir.display()))?;
    if let Some(warning) = loaded.warning {
        // A warning that nobody can read is no reason to fail.
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
    writeln!(out, "{}", loaded.value.id())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::AgentId;

    #[test]
    fn init_prints_the_id_alone_and_the_same_every_time() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("new").join("data");
        let init = || {
            let mut out = Vec::new();
            run(InitArgs { dir: data.clone() }, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let first = init();
        first
            .strip_suffix('\n')
            .unwrap()
            .parse::<AgentId>()
            .unwrap();
        assert_eq!(init(), first);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let args = InitArgs {
            dir: file.join("data"),
        };
        let error = run(args, &mut Vec::new()).unwrap_err();
        assert!(format!("{error:#}").contains("file/data"), "{error:#}");
    }
}
