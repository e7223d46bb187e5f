//! From a boot string to a process at work: what is wrong is found before anything starts.

use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use penstock_config::{Boot, Error, nearest};
use penstock_server::{Arguments, Board, Server};

use crate::ground::Ground;
use crate::house::House;
use crate::options::Options;
use crate::report;

/// Reads the boot string, opens the devices, and starts every core.
///
/// # Errors
/// All that is wrong, a line for each.
pub(crate) fn start(options: &Options) -> Result<House, Vec<String>> {
    let begin = Instant::now();
    let boot = Boot::parse(&options.boot);
    let mut errors = boot.errors;
    let arguments = match &*boot.application.name {
        "server" => Arguments::parse(&boot.application.words),
        name => Err(vec![no_such_application(name)]),
    };
    let arguments = arguments.map_err(|more| errors.extend(more));
    let (Ok(arguments), true) = (arguments, errors.is_empty()) else { return Err(lines(&errors)) };
    boot.notices.iter().for_each(report::say);
    let ground = Ground::open(&boot.machine, &options.taps)?;
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
    let app = || Server::new(arguments.clone(), &capacity).on_board(Arc::clone(&board));
    let log =
        arguments.log.as_deref().map(open_log).transpose().map_err(|error| lines(&[error]))?;
    let house = ground.settle(&boot.machine, app, options, log)?;
    report::say(format_args!("ready in {} ms", begin.elapsed().as_millis()));
    Ok(house)
}

fn no_such_application(name: &str) -> Error {
    let nearest = nearest(name, APPLICATIONS).map(str::to_owned);
    Error { nearest, ..Error::value("--", name, "an application: server") }
}

fn open_log(path: &str) -> Result<File, Error> {
    let opened = File::options().create(true).append(true).open(path);
    opened.map_err(|error| Error::value("-o", path, &format!("a file to write to: {error}")))
}

/// The lines of errors.
pub(crate) fn lines(errors: &[Error]) -> Vec<String> {
    errors.iter().map(Error::to_string).collect()
}

/// What can stand behind `--`.
const APPLICATIONS: [&str; 1] = ["server"];
