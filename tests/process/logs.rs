//! An agent whose log nobody takes: a pipe that nobody reads, a closed one, a full disk. Traffic goes
//! on, what was lost is counted and told, and the end comes as promptly as ever.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::traffic::fetch;
use crate::support::wait::{eventually, within};
use crate::support::{LOOPBACK, Mesh, Spec, Target, WARREN};

/// What an agent may take to end, whatever its log does.
const PROMPTLY: Duration = Duration::from_secs(2);

/// So few that a pipe and the queue are full after some thousand lines.
const SHORT_QUEUE: &str = "limits: { log_lines: 16 }";

/// An exit of the mesh, and an ingress that is started by the test, with much to tell.
fn mesh() -> (Mesh, Target, PathBuf) {
    let mut mesh = Mesh::start_all([Spec::new("exit").listen().exit(LOOPBACK)]);
    mesh.add(
        Spec::new("ingress")
            .socks5()
            .peer("exit")
            .extra(SHORT_QUEUE),
    );
    let config = mesh.write_config("ingress");
    let yaml = fs::read_to_string(&config).expect("the file was written");
    let level = |line: &str| line.trim_start().starts_with("log_level");
    let chatty = yaml.lines().map(|line| match level(line) {
        true => "  log_level: trace",
        false => line,
    });
    let yaml: Vec<&str> = chatty.collect();
    fs::write(&config, yaml.join("\n")).expect("the test's folder is writable");
    (mesh, Target::start(), config)
}

/// A child that does not outlive the test.
struct Agent(Child);

impl Agent {
    fn run(config: &PathBuf, stderr: impl Into<Stdio>) -> Self {
        let mut command = Command::new(WARREN);
        command.args(["run", "-c"]).arg(config);
        Self::start(command.stderr(stderr))
    }

    fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.spawn().expect("warren runs"))
    }

    fn stops(mut self) {
        let kill = format!("kill -s TERM {}", self.0.id());
        let status = Command::new("sh").args(["-c", &kill]).status();
        assert!(status.expect("sh runs").success());
        let status = within(PROMPTLY, "the agent's end", || {
            self.0.try_wait().expect("a child can be waited for")
        });
        assert_eq!(status.code(), Some(0));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Traffic until so many lines were lost, and some after that.
fn carries_while_losing(mesh: &Mesh, target: &Target, least: f64) {
    mesh.await_ready("ingress");
    eventually("lines are lost", || {
        fetch(mesh.socks("ingress"), target.address());
        let lost = mesh.metric("ingress", "warren_log_lines_lost_total");
        (lost >= least).then_some(())
    });
    for _ in 0..5 {
        fetch(mesh.socks("ingress"), target.address());
    }
    assert_eq!(mesh.get("ingress", "/ready").status, 200);
}

#[test]
fn a_pipe_that_nobody_reads_stops_neither_traffic_nor_the_end() {
    let (mesh, target, config) = mesh();
    let (reader, writer) = io::pipe().expect("a pipe");
    let agent = Agent::run(&config, writer);
    carries_while_losing(&mesh, &target, 1.0);
    agent.stops();
    drop(reader);
}

#[test]
fn lost_lines_are_told_once_somebody_reads_again() {
    let (mesh, target, config) = mesh();
    let (reader, writer) = io::pipe().expect("a pipe");
    let agent = Agent::run(&config, writer);
    carries_while_losing(&mesh, &target, 1.0);
    let mut lines = BufReader::new(reader).lines();
    let told = lines.find_map(|line| {
        let line = line.expect("text");
        line.contains("log lines lost").then_some(line)
    });
    let told = told.expect("it is told while the agent runs");
    let (_, count) = told.split_once("lines=").expect("a number");
    assert!(count.parse::<u64>().is_ok_and(|count| count > 0), "{told}");
    let rest = std::thread::spawn(move || lines.map_while(Result::ok).last());
    agent.stops();
    let last = rest.join().expect("no panic").expect("a last line");
    assert!(last.contains("agent stopped"), "{last}");
}

#[test]
fn a_pipe_whose_reader_has_gone_costs_lines_alone() {
    let (mesh, target, config) = mesh();
    let (reader, writer) = io::pipe().expect("a pipe");
    let agent = Agent::run(&config, writer);
    mesh.await_ready("ingress");
    drop(reader);
    carries_while_losing(&mesh, &target, 100.0);
    agent.stops();
}

#[test]
fn a_full_disk_costs_lines_alone() {
    let (mesh, target, config) = mesh();
    let full = File::options().write(true).open("/dev/full");
    let agent = Agent::run(&config, full.expect("Linux has /dev/full"));
    carries_while_losing(&mesh, &target, 100.0);
    agent.stops();
}

#[test]
fn a_descriptor_that_cannot_be_written_costs_lines_alone() {
    let (mesh, target, config) = mesh();
    let agent = Agent::run(&config, File::open("/dev/null").expect("it can be read"));
    carries_while_losing(&mesh, &target, 100.0);
    agent.stops();
}

#[test]
fn an_agent_without_standard_streams_runs() {
    let (mesh, target, config) = mesh();
    let mut command = Command::new("sh");
    let script = "exec \"$0\" run -c \"$1\" <&- >&- 2>&-";
    command.args(["-c", script, WARREN]).arg(&config);
    let agent = Agent::start(&mut command);
    carries_while_losing(&mesh, &target, 0.0);
    agent.stops();
}

#[test]
fn an_agent_that_cannot_start_ends_although_nobody_reads_why() {
    let (reader, mut writer) = io::pipe().expect("a pipe");
    fill(&mut writer);
    let mut command = Command::new(WARREN);
    command.args(["run", "-c", "/nonexistent/agent.yaml"]);
    let mut agent = Agent::start(command.stderr(writer));
    let status = within(PROMPTLY, "the end", || {
        agent.0.try_wait().expect("a child can be waited for")
    });
    assert_eq!(status.code(), Some(2));
    drop(reader);
}

/// Writes until the pipe takes no more: it holds 64 KiB (pipe(7)), and a writer of its own process
/// waits for the rest.
fn fill(writer: &mut io::PipeWriter) {
    const PIPE: usize = 64 * 1024;
    io::Write::write_all(writer, &[b'x'; PIPE]).expect("an empty pipe takes as much");
}
