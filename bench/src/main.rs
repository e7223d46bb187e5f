//! `penstock-bench`: measures, prints one table, and fails when a "must" fails.
use penstock_bench::scenario::*;
use penstock_bench::world::Meter;
fn main() {
    let name = std::env::args().nth(1).expect("name");
    println!("{:?}", Scenario::named(&name).expect("known").run(Meter::Instructions, 4096));
}
