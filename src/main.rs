#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let mut out = std::io::stdout();
    match args.get(1).map(String::as_str) {
        Some("run") => warren::agent::run(std::path::Path::new(&args[3]))?,
        Some("demo") => { let _ = tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).with_writer(std::io::stderr).try_init();
            if args.get(2).is_some() { let ok = warren::demo::drill(&mut out)?; std::process::exit(if ok {0} else {1}); } else { warren::demo::serve(&mut out)? } }
        _ => {}
    }
    Ok(())
}
