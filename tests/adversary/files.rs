//! Files under `agent.watch` that become what nobody means them to be: the agent goes on as it was, says
//! so, and takes the next good file.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::traffic::{Echo, fetch};
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target};

/// Bytes of a huge file, which takes no room.
const HUGE: u64 = 1 << 36;

fn mesh() -> Mesh {
    let mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("ingress").socks5().peer("exit"),
    ]);
    mesh.await_ready("ingress");
    let file = mesh.dir().join("ingress.yaml");
    let text = fs::read_to_string(&file).expect("the agent's file");
    let watched = text.replace("  id: auto", "  watch: true\n  id: auto");
    fs::write(&file, watched).expect("a writable folder");
    let reload = crate::support::command::warren(&["reload", "--api", &mesh.api_url("ingress")]);
    reload.success();
    mesh
}

/// What takes the place of a file, made at a path where nothing is.
type Change = (&'static str, fn(&Path));

const CHANGES: &[Change] = &[
    ("nothing", |_| {}),
    ("empty", |at| fs::write(at, b"").expect("writable")),
    ("garbage", |at| {
        fs::write(at, (0..=255).collect::<Vec<u8>>()).expect("writable")
    }),
    ("huge", |at| {
        let file = fs::File::create(at).expect("writable");
        file.set_len(HUGE).expect("a file without blocks");
    }),
    ("folder", |at| fs::create_dir(at).expect("writable")),
    ("loop", |at| symlink(at, at).expect("a link")),
    ("dangling", |at| {
        symlink("/nowhere/at/all", at).expect("a link")
    }),
    ("endless", |at| symlink("/dev/zero", at).expect("a link")),
    ("fifo", |at| {
        mknodat(CWD, at, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    }),
];

fn remove(path: &Path) {
    let is_folder = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
    let _ = match is_folder {
        true => fs::remove_dir(path),
        false => fs::remove_file(path),
    };
}

#[test]
fn whatever_takes_the_place_of_a_watched_file_the_agent_goes_on_and_says_so() {
    let mut mesh = mesh();
    let target = Target::start();
    let mut echo = Echo::open(mesh.socks("ingress"), target.address());
    let memory = |mesh: &Mesh| mesh.metric("ingress", "process_resident_memory_bytes") / 1e6;
    let threads = |mesh: &mut Mesh| {
        let tasks = format!("/proc/{}/task", mesh.process("ingress").id());
        fs::read_dir(tasks).expect("a living process").count()
    };
    let (before, threads_before) = (memory(&mesh), threads(&mut mesh));
    // All of them for one; what one reads is read as the others are.
    let some = ["garbage", "huge", "endless", "fifo"];
    for name in ["ingress.yaml", "ca.crt", "ingress.crt", "ingress.key"] {
        let path = mesh.dir().join(name);
        let aside = mesh.dir().join(format!("{name}.aside"));
        let scratch = mesh.dir().join(format!("{name}.scratch"));
        let is_tried = |what: &str| name == "ingress.yaml" || some.contains(&what);
        for (what, make) in CHANGES.iter().filter(|(what, _)| is_tried(what)) {
            let told = refusals(&mut mesh);
            fs::rename(&path, &aside).expect("a writable folder");
            make(&scratch);
            if *what == "loop" {
                make(&path);
                remove(&scratch);
            } else if fs::symlink_metadata(&scratch).is_ok() {
                fs::rename(&scratch, &path).expect("a writable folder");
            }
            let start = Instant::now();
            eventually(&format!("{name}: {what} is told"), || {
                (refusals(&mut mesh) > told).then_some(())
            });
            let took = start.elapsed();
            println!(
                "{name}: {what}: told after {took:?}, {:.0} MB",
                memory(&mesh)
            );
            echo.round(100);
            fetch(mesh.socks("ingress"), target.address());
            assert_eq!(mesh.get("ingress", "/ready").status, 200, "{name}, {what}");
            remove(&path);
            fs::rename(&aside, &path).expect("a writable folder");
            // The good one counts again.
            let applied = applied(&mut mesh);
            eventually(&format!("{name}: after {what} it is read again"), || {
                (self::applied(&mut mesh) > applied).then_some(())
            });
        }
    }
    let grown = memory(&mesh) - before;
    assert!(grown < 48.0, "{grown} MB more");
    let more = threads(&mut mesh).saturating_sub(threads_before);
    println!("{grown:.0} MB and {more} threads more");
    // Each look that hangs would keep one.
    assert!(more <= 4, "{more} threads more");
}

fn refusals(mesh: &mut Mesh) -> usize {
    mesh.process("ingress")
        .log()
        .matches("not reloaded")
        .count()
}

fn applied(mesh: &mut Mesh) -> usize {
    mesh.process("ingress").log().matches(" reloaded").count() - refusals(mesh)
}

/// Thousands of changes a second, good and bad in turn.
#[test]
fn a_watched_file_that_never_rests_costs_nobody_anything() {
    let mut scene = crate::scene::Scene::with(Spec::new("exit"));
    let file = scene.mesh.dir().join("exit.yaml");
    let good = fs::read_to_string(&file).expect("the agent's file");
    let good = good.replace("  id: auto", "  watch: true\n  id: auto");
    fs::write(&file, &good).expect("a writable folder");
    let api = scene.mesh.api_url("exit");
    crate::support::command::warren(&["reload", "--api", &api]).success();
    let seen = scene.under("exit", "a file that never rests", || {
        for number in 0..100 {
            let text = if number % 2 == 0 {
                "exit: { enabled: "
            } else {
                &good
            };
            fs::write(&file, text).expect("a writable folder");
        }
        100
    });
    assert!(seen.sent > 1_000, "{}", seen.sent);
    fs::write(&file, good.replace("heartbeat: 100ms", "heartbeat: 101ms")).expect("writable");
    std::thread::sleep(Duration::from_secs(2));
    let log = scene.mesh.process("exit").log();
    let lines = log.lines().filter(|line| line.contains("reload")).count();
    println!("{lines} lines for {} changes", seen.sent);
    assert!(lines < 40, "{lines} lines");
}
