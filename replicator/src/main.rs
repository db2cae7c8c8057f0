//! The program: reads the command line, sets up logs, runs, and turns errors into words and exit codes.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

#[cfg(feature = "sqlite")]
use replicator::cli::DemoArgs;
use replicator::cli::{
    AdoptArgs, Bars, CheckArgs, Cli, Command, DropArgs, FollowedArgs, Notify, RecordArgs, Refused,
    ResyncArgs, RunArgs, Signals, TailArgs,
};
use replicator::show::ColorChoice;
use replicator::{Config, CopyHandle, Error, Metrics, Result, ShutdownHandle, log};

fn main() -> ExitCode {
    let mut called = match Cli::read(std::env::args_os(), std::env::vars_os()) {
        Ok(called) => called,
        Err(refused) => return refuse(&refused),
    };
    let default = match called.cli.command {
        // The demo tells its own story.
        #[cfg(feature = "sqlite")]
        Command::Demo(_) => "error",
        // What it shows is what matters, and may be beside the log on a terminal.
        Command::Tail(_) | Command::Check(_) | Command::Status(_) => "warn",
        _ => "info",
    };
    let bars = Bars::new();
    let out = bars.log();
    let general = called.cli.general.clone();
    log::begin(
        general.log_format.into(),
        general.log.as_deref().unwrap_or(default),
        std::io::stderr().is_terminal(),
        move || Box::new(out.clone()),
    );
    if let Err(error) = called.say() {
        return report(&error);
    }
    if let Command::Config(args) = called.cli.command {
        return match args.run(&general, std::io::stdout().lock()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(refused) => refuse(&refused),
        };
    }
    // What there is to do between a socket and the next fits one thread, and handing it from thread to thread costs more:
    // 9 µs of CPU for a small transaction into PostgreSQL instead of 4. What computes for long has threads of its own.
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return report(&Error::retry("cannot start the runtime").caused_by(error)),
    };
    let done = runtime.block_on(async {
        let done = match called.cli.command {
            Command::Check(args) => return check(args).await,
            // What it tells is not always good, and no error.
            Command::Status(args) => return args.run().await.map(ExitCode::from),
            Command::Run(args) => run(args, &bars).await,
            Command::Drop(args) => drop(args).await,
            Command::Resync(args) => resync(args).await,
            Command::Adopt(args) => adopt(args).await,
            #[cfg(feature = "postgres")]
            Command::CutOver(args) => args.run(std::io::stdout().lock()).await,
            Command::Tail(args) => tail(args).await,
            Command::Record(args) => record(args).await,
            Command::Decode(args) => args.run(std::io::stdout().lock()),
            Command::Completions(args) => args.run(std::io::stdout().lock()),
            Command::Man(args) => args.run(std::io::stdout().lock()),
            // Needs no runtime.
            Command::Config(_) => Ok(()),
            #[cfg(feature = "sqlite")]
            Command::Demo(args) => demo(args).await,
        };
        done.map(|()| ExitCode::SUCCESS)
    });
    match done {
        Ok(code) => {
            log::end();
            code
        }
        Err(error) => report(&error),
    }
}

/// Prints what was found; the exit code is part of it.
async fn check(args: CheckArgs) -> Result<ExitCode> {
    let (json, destination) = (args.run.json, args.destination);
    let report = replicator::check::check(args.config(), destination).await;
    let text = if json {
        report.json()
    } else {
        report.text(ColorChoice::Auto.on_stdout())
    };
    // Nobody may listen to the end.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(ExitCode::from(report.exit_code()))
}

async fn run(args: RunArgs, bars: &Bars) -> Result<()> {
    let (handle, shutdown) = ShutdownHandle::new();
    let copy = CopyHandle::new();
    let notify = Notify::new(copy.clone(), shutdown.clone());
    let within = Duration::from_secs(args.shutdown_timeout);
    Signals::new(handle)
        .pause(copy.clone())
        .within(within)
        .listen()?;
    let json = args.json;
    let watch = args.watch.clone();
    let mut config = Config::from(args).copy_handle(&copy).pulse(notify.pulse());
    let metrics = Metrics::new();
    // Before anything is looked at or made: whoever asks is told that it starts.
    let server = watch.listen(&metrics).await?;
    if server.is_some() {
        config = config.metrics(&metrics);
    }
    notify.follow();
    let summary = replicator::run(bars.show(config, json), shutdown).await;
    bars.clear();
    let summary = summary?;
    if summary.position.is_zero() {
        tracing::info!("stopped before the stream began; the next run goes on");
        return Ok(());
    }
    tracing::info!(
        transactions = summary.transactions,
        changes = summary.changes,
        left_out = summary.left_out,
        position = %summary.position,
        "done: everything up to this position is durable at the destination"
    );
    Ok(())
}

async fn tail(args: TailArgs) -> Result<()> {
    let (handle, shutdown) = ShutdownHandle::new();
    Signals::new(handle).listen()?;
    replicator::tail(args.into(), std::io::stdout(), shutdown).await?;
    Ok(())
}

async fn record(args: RecordArgs) -> Result<()> {
    let (handle, shutdown) = ShutdownHandle::new();
    Signals::new(handle).listen()?;
    let recorded = replicator::record(args.into(), shutdown).await?;
    tracing::info!(
        frames = recorded.frames,
        files = recorded.files,
        position = %recorded.position,
        "done: everything up to this position is on disk"
    );
    Ok(())
}

async fn drop(args: DropArgs) -> Result<()> {
    let DropArgs {
        source,
        destination,
    } = args;
    let removed = replicator::remove(
        &source.source,
        destination.as_deref(),
        &source.slot,
        &source.publication,
    )
    .await?;
    let say = |what: &str, was: bool| {
        println!("{what}: {}", if was { "removed" } else { "was not there" })
    };
    say(&format!("replication slot {:?}", source.slot), removed.slot);
    for name in &removed.publications {
        println!("publication {name:?}: removed");
    }
    if !removed.kept_for.is_empty() {
        println!(
            "publication \"replicator\": kept, as it may be read by {}; to drop it: --publication replicator",
            removed.kept_for.join(", ")
        );
    }
    match destination {
        Some(_) => say("position at the destination", removed.position),
        None => println!("position at the destination: kept, as no --destination was given"),
    }
    Ok(())
}

async fn resync(args: ResyncArgs) -> Result<()> {
    let tables = args.tables();
    let FollowedArgs { source, slot } = args.followed;
    replicator::resync(&source, &args.destination, &slot, &tables).await?;
    for table in tables {
        println!(
            "table {table}: to be copied anew by the run that follows the slot, or the next one"
        );
    }
    Ok(())
}

async fn adopt(args: AdoptArgs) -> Result<()> {
    let AdoptArgs {
        source,
        destination,
    } = args;
    let adopted = replicator::adopt(
        &source.source,
        &destination,
        &source.slot,
        &source.publication,
    )
    .await?;
    let made = if adopted.slot_made {
        "made"
    } else {
        "was there"
    };
    println!("replication slot {:?}: {made}", source.slot);
    println!(
        "position at the destination: {} of the new source, was {} of the old one",
        adopted.position, adopted.was
    );
    println!(
        "tables: {} followed, {} stopped",
        adopted.tables, adopted.stopped
    );
    println!("taken on trust: the destination holds what the new source held at that position");
    Ok(())
}

#[cfg(feature = "sqlite")]
async fn demo(args: DemoArgs) -> Result<()> {
    replicator::demo::demo(args).await
}

/// Help goes where it was asked for, and what cannot be carried out is an error.
fn refuse(refused: &Refused) -> ExitCode {
    match refused {
        Refused::Parser { text, failed, code } => {
            if *failed {
                eprint!("{text}");
            } else {
                print!("{text}");
            }
            ExitCode::from(*code)
        }
        Refused::Other(error) => report(error),
    }
}

fn report(error: &Error) -> ExitCode {
    log::report(error);
    ExitCode::from(error.exit_code())
}
