//! `penstock-sim`: see `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    penstock_sim::cli::main()
}
