//! `warren cert`: a small certificate authority for one mesh.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use ipnet::IpNet;

use super::cert_info;
use crate::clock::unix_now;
use crate::identity::{
    Authority, CA_CERTIFICATE, CA_KEY, DomainPattern, Grants, Group, NamePattern, Roles, Validity,
    parse_prefix, read_certificate,
};

/// Ten years: replacing a CA means touching every agent.
const CA_DAYS: u32 = 3_650;

/// Longest common name (X.520 upper bound).
const MAX_NAME: usize = 64;

/// Makes and shows certificates.
#[derive(Debug, Args)]
pub struct CertArgs {
    #[command(subcommand)]
    pub command: CertCommand,
}

#[derive(Debug, Subcommand)]
pub enum CertCommand {
    /// Creates a mesh CA: `ca.crt` and `ca.key`.
    Ca(CaArgs),
    /// Creates an agent's `NAME.crt` and `NAME.key` and prints its id alone on stdout.
    Agent(AgentArgs),
    /// Shows id, names, grants and validity of a certificate.
    Info(InfoArgs),
}

#[derive(Debug, Args)]
pub struct CaArgs {
    /// Name of the mesh, shown in certificates and logs.
    #[arg(short, long, value_parser = common_name)]
    pub name: String,
    /// Folder of the files; made if it is missing.
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
}

#[derive(Debug, Args)]
pub struct AgentArgs {
    /// Name of the agent and of its files.
    #[arg(short, long, value_parser = file_name)]
    pub name: String,
    /// Folder of `ca.crt` and `ca.key`.
    #[arg(long, value_name = "DIR")]
    pub ca: PathBuf,
    /// Folder of the files; made if it is missing.
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    /// A prefix that the agent may originate. Without --route and --domain it may originate nothing.
    #[arg(long = "route", value_name = "CIDR", value_parser = parse_prefix)]
    pub routes: Vec<IpNet>,
    /// A domain that the agent may originate, such as `api.example.com` or `*.corp.example`.
    #[arg(long = "domain", value_name = "NAME")]
    pub domains: Vec<DomainPattern>,
    /// Names that the agent may resolve for others: `*`, `*.corp.example` or one name. Whoever
    /// resolves a name says where its connections go.
    #[arg(long = "resolve", value_name = "PATTERN")]
    pub resolves: Vec<NamePattern>,
    /// A group that the agent belongs to, such as `ops`: for the rules of exits. It grants nothing by
    /// itself.
    #[arg(long = "group", value_name = "NAME")]
    pub groups: Vec<Group>,
    /// Lets the agent open connections. With one of --ingress, --transit and --exit it has no part
    /// in the mesh but those; without, every one.
    #[arg(long)]
    pub ingress: bool,
    /// Lets the agent be on the way between others.
    #[arg(long)]
    pub transit: bool,
    /// Lets the agent serve connections. --route, --domain and --resolve do so, too.
    #[arg(long)]
    pub exit: bool,
    /// Lets the agent originate and resolve anything.
    #[arg(long, conflicts_with_all = ["routes", "domains", "resolves", "ingress", "transit", "exit"])]
    pub unrestricted: bool,
    /// Days until the certificate expires.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: u32,
    /// Replaces `NAME.crt` by a new certificate for the key in `NAME.key`, so that the id stays.
    /// Without any grant here the old ones stay.
    #[arg(long)]
    pub renew: bool,
}

#[derive(Debug, Args)]
pub struct InfoArgs {
    /// A PEM certificate; of several in one file, the first.
    pub file: PathBuf,
    /// Prints one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Runs one of the `cert` commands; results go to `out`, warnings to `err`.
pub fn run(args: CertArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<()> {
    match args.command {
        CertCommand::Ca(args) => ca(&args),
        CertCommand::Agent(args) => agent(args, out, err),
        CertCommand::Info(args) => cert_info::run(&args.file, args.json, unix_now(), out),
    }
}

fn ca(args: &CaArgs) -> anyhow::Result<()> {
    make_dir(&args.out)?;
    let (_, issued) = Authority::create(&args.name, Validity::days(unix_now(), CA_DAYS))
        .context("cannot make the CA")?;
    issued.store(&args.out.join(CA_CERTIFICATE), &args.out.join(CA_KEY))?;
    Ok(())
}

fn agent(args: AgentArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<()> {
    let authority =
        Authority::load(&args.ca).with_context(|| format!("no CA in {}", args.ca.display()))?;
    if let Some(warning) = Authority::warning(&args.ca) {
        writeln!(err, "warning: {warning}")?;
    }
    make_dir(&args.out)?;
    let file = |extension: &str| args.out.join(format!("{}.{extension}", args.name));
    let (certificate, key) = (file("crt"), file("key"));
    let given = args.grants();
    let validity = Validity::days(unix_now(), args.days);
    let failed = || format!("cannot make a certificate for {}", args.name);
    let issued = if args.renew {
        // What it was allowed stays as it was; a certificate that was silent about it says it now.
        let old = read_certificate(&certificate).with_context(failed)?;
        let grants = given.or(old.grants).unwrap_or_else(Grants::unrestricted);
        let issued = authority
            .reissue(&key, &args.name, Some(&grants), validity)
            .with_context(failed)?;
        anyhow::ensure!(
            issued.id == old.id,
            "{} is not the certificate of {}; nothing was renewed",
            certificate.display(),
            key.display()
        );
        issued.replace(&certificate)?;
        issued
    } else {
        let issued = authority
            .issue(&args.name, Some(&given.unwrap_or_default()), validity)
            .with_context(failed)?;
        issued.store(&certificate, &key)?;
        issued
    };
    writeln!(out, "{}", issued.id)?;
    Ok(())
}

impl AgentArgs {
    /// What the arguments grant; `None`: they are silent about it.
    fn grants(&self) -> Option<Grants> {
        let named = self.ingress || self.transit || self.exit;
        let serves =
            !self.routes.is_empty() || !self.domains.is_empty() || !self.resolves.is_empty();
        let grants = Grants {
            prefixes: self.routes.clone(),
            domains: self.domains.clone(),
            resolves: self.resolves.clone(),
            roles: named.then_some(Roles {
                ingress: self.ingress,
                transit: self.transit,
                exit: self.exit || serves,
            }),
            groups: self.groups.iter().cloned().collect(),
            unrestricted: self.unrestricted,
        };
        (grants != Grants::default()).then_some(grants)
    }
}

fn make_dir(dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))
}

/// A name that a certificate can hold and a terminal can show.
fn common_name(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.chars().count() > MAX_NAME {
        return Err(format!("a name has 1 to {MAX_NAME} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("a name has no control characters".into());
    }
    Ok(text.to_owned())
}

/// A name that is a file name too, and stays in its folder.
fn file_name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !text.chars().all(allowed) || text.starts_with(['.', '-']) {
        return Err(
            "an agent's name has letters, digits, `.`, `-` and `_` only, because its files are \
             named after it"
                .into(),
        );
    }
    common_name(text)
}

#[cfg(test)]
mod tests;
