//! From a boot string to a process at work: what is wrong is found before anything starts.

use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use penstock_config::{Boot, Error, Machine};
use penstock_proxy::{Needs, Proxy};
use penstock_server::{Arguments, Board, Server};

use crate::ground::Ground;
use crate::house::{House, Manners};
use crate::options::Options;
use crate::{proxy, report};

/// Reads the boot string, opens the devices, and starts every core.
///
/// # Errors
/// All that is wrong, a line for each.
pub(crate) fn start(options: &Options) -> Result<House, Vec<String>> {
    let begin = Instant::now();
    let boot = Boot::parse(&options.boot);
    let mut errors = boot.errors;
    let words = &boot.application.words;
    let wanted = match &*boot.application.name {
        _ if !options.configurations.is_empty() => Ok(Wanted::Proxy),
        "proxy" => Ok(Wanted::Proxy),
        "server" => Arguments::parse(words).map(Wanted::Server),
        _ => Err(vec![boot.application.unknown()]),
    };
    let wanted = wanted.map_err(|more| errors.extend(more));
    let (Ok(wanted), true) = (wanted, errors.is_empty()) else { return Err(lines(&errors)) };
    boot.notices.iter().for_each(report::say);
    let house = match wanted {
        Wanted::Server(arguments) => serve(arguments, &boot.machine, options)?,
        Wanted::Proxy => {
            let environment: Vec<(String, String)> =
                std::env::vars().chain(boot.environment).collect();
            let files = &options.configurations;
            let setup = proxy::setup(files, words, &environment, &boot.machine)?;
            let mut ground = Ground::open(&boot.machine, &options.taps)?;
            let cores = ground.cores();
            setup.check(cores).map_err(|lines| proxy::alerts(&lines))?;
            let cards = setup.cards(|name| ground.find_card(name));
            let cards = cards.map_err(|lines| proxy::alerts(&lines))?;
            let capacity = setup.suited(ground.capacity(), cores);
            ground.holds(capacity, &Needs::of(setup, cores))?;
            setup.summary().iter().for_each(report::say);
            let app = |core| Proxy::new(setup, cards, core, cores, &capacity);
            let manners = Manners::own(options.grace, options.stats);
            ground.settle(&boot.machine, app, manners, None)?
        }
    };
    report::say(format_args!("ready in {} ms", begin.elapsed().as_millis()));
    Ok(house)
}

/// What is to be run.
enum Wanted {
    Server(Arguments),
    Proxy,
}

/// Starts the demo server on every core.
fn serve(arguments: Arguments, machine: &Machine, options: &Options) -> Result<House, Vec<String>> {
    let ground = Ground::open(machine, &options.taps)?;
    arguments.check(ground.cores()).map_err(|errors| lines(&errors))?;
    let capacity = ground.capacity();
    let facts = vec![
        (
            "this is".into(),
            concat!("Penstock ", env!("CARGO_PKG_VERSION"), ", a Linux process").into(),
        ),
        ("cores".into(), format!("{}, a thread each", ground.cores())),
        ("devices".into(), options.taps.join(", ")),
        ("boot string".into(), options.boot.clone()),
    ];
    let board = Arc::new(Board::new(ground.cores(), facts));
    let app = |_| Server::new(arguments.clone(), &capacity).on_board(Arc::clone(&board));
    let log =
        arguments.log.as_deref().map(open_log).transpose().map_err(|error| lines(&[error]))?;
    ground.settle(machine, app, Manners::own(options.grace, options.stats), log)
}

fn open_log(path: &str) -> Result<File, Error> {
    let opened = File::options().create(true).append(true).open(path);
    opened.map_err(|error| Error::value("-o", path, &format!("a file to write to: {error}")))
}

/// The lines of errors.
pub(crate) fn lines(errors: &[Error]) -> Vec<String> {
    errors.iter().map(Error::to_string).collect()
}
