//! The figures to reach, each from the rows or from a measurement of its own.

use crate::callgrind::{self, Detail};
use crate::card::ChecksumBy;
use crate::flood::{Pressure, Syns};
use crate::overload::{Overload, PEAK};
use crate::peer::Smoltcp;
use crate::penstock::Penstock;
use crate::report::{Better, Figure, Kept, Report, Row};
use crate::scenario::{Scenario, Stack};
use crate::{churn, flood, hosted, image, locked, memory, wall};

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What fits into a minute.
    Quick,
    /// Everything.
    Full,
}

/// Adds every figure; what could not be measured becomes a failure of the report.
pub fn all(report: &mut Report, extent: Extent) {
    from_rows(report);
    memory(report);
    let churned = if extent == Extent::Quick { 50_000 } else { 1_000_000 };
    let results = [
        overload(report, extent),
        rings(report),
        churn(report, churned),
        locked(report),
        largest_turns(report, extent),
    ];
    report.failures.extend(results.into_iter().filter_map(Result::err));
    if extent == Extent::Full {
        let not_booted = booted(report).err();
        report.failures.extend(not_booted);
        // The machine is busy with nothing else now. A quick run has no clock: on a machine that
        // others use too, wall time says more about them.
        let failure = wall(report).err();
        report.failures.extend(failure);
    }
}

/// Adds the figures that follow from the rows.
fn from_rows(report: &mut Report) {
    let ours = |row: &&Row| row.scenario.stack == Stack::Penstock;
    let worst = |checksums| {
        let rows = report.rows.iter().filter(ours);
        rows.filter(|row| row.scenario.checksums == checksums && is_plain(&row.scenario))
            .map(Row::instructions)
            .fold(f64::NAN, f64::max)
    };
    let mut figures = vec![
        Figure {
            name: "instructions, checksums offloaded (worst concurrency)",
            value: worst(ChecksumBy::Card),
            better: Better::Less,
            bounds: [6000.0, 3000.0, 1500.0],
            kept: Kept::Exact(0),
        },
        Figure {
            name: "instructions, software checksums (worst concurrency)",
            value: worst(ChecksumBy::Software),
            better: Better::Less,
            bounds: [7000.0, 3800.0, 2000.0],
            kept: Kept::Exact(0),
        },
    ];
    let base = report.rows.iter().find(|row| row.scenario == Scenario::BASE);
    let crowded = report.rows.iter().filter(ours).max_by_key(|row| row.scenario.idle);
    if let (Some(base), Some(crowded)) = (base, crowded) {
        figures.push(Figure {
            name: "growth of instructions with the most idle connections",
            value: crowded.instructions() / base.instructions(),
            better: Better::Less,
            bounds: [1.2, 1.05, 1.02],
            kept: Kept::Exact(3),
        });
        if crowded.scenario.idle >= 1_000_000 {
            figures.push(Figure {
                name: "simulated last-level misses at 1 M idle",
                value: crowded.per_connection(crowded.cost.last_misses),
                better: Better::Less,
                bounds: [12.0, 6.0, 4.0],
                kept: Kept::Exact(1),
            });
        }
    }
    let allocations =
        report.rows.iter().filter(ours).map(|row| row.counts.allocations).sum::<u64>();
    figures.push(Figure {
        name: "allocations while running, all rows of ours",
        value: allocations as f64,
        better: Better::Less,
        bounds: [0.0; 3],
        kept: Kept::Exact(0),
    });
    report.figures.extend(figures);
}

/// Whether only concurrency and checksums differ from the base row.
fn is_plain(scenario: &Scenario) -> bool {
    let Scenario { concurrency, checksums, stack, .. } = *scenario;
    *scenario == Scenario { concurrency, checksums, stack, ..Scenario::BASE }
}

/// Adds what the image takes.
fn booted(report: &mut Report) -> Result<(), String> {
    let image::Taken { bytes, memory_mb, boot_ms } = image::taken()?;
    const MB: f64 = (1 << 20) as f64;
    let figures = [
        ("image: bytes", bytes, [2.0 * MB, MB, MB / 2.0], 0),
        ("image: MB of memory in which it serves, one core", memory_mb, [16.0, 6.0, 4.0], 0),
        ("image: ms to listening at 1 instruction/ns, card apart", boot_ms, [20.0, 3.0, 1.0], 1),
    ];
    report.figures.extend(figures.map(|(name, value, bounds, decimals)| Figure {
        name,
        value,
        better: Better::Less,
        bounds,
        kept: Kept::Exact(decimals),
    }));
    Ok(())
}

/// Adds bytes per idle connection.
fn memory(report: &mut Report) {
    report.figures.push(Figure {
        name: "bytes per idle connection (table, record, timer)",
        value: memory::penstock_idle(),
        better: Better::Less,
        bounds: [512.0, 160.0, 96.0],
        kept: Kept::Exact(0),
    });
    let smoltcp = memory::smoltcp_idle();
    report.notes.push(format!("smoltcp: {smoltcp:.0} bytes per idle connection, with its buffers"));
}

/// Adds goodput under overload.
fn overload(report: &mut Report, extent: Extent) -> Result<(), String> {
    let loads: &[u32] = match extent {
        Extent::Quick => &[100, 400],
        Extent::Full => &[50, 100, 150, 200, 400],
    };
    // SYNs come again in waves of seconds: less time than this measures the wave.
    let measure_s = 8;
    let shed_cost = shed_cost(report)?;
    let setup = Scenario::BASE.setup();
    let mut peak = 0.0_f64;
    let mut goodput = 0.0;
    for &percent in loads {
        let load = Overload { offered: PEAK / 100 * percent, settle_s: 34, measure_s, shed_cost };
        let outcome = load.run(Penstock::new(&setup));
        goodput = outcome.goodput;
        peak = peak.max(goodput);
        let [served, shed, refused, reset] =
            [goodput, outcome.shed, outcome.refused, outcome.reset]
                .map(|rate| 100.0 * rate / PEAK as f64);
        report.notes.push(format!(
            "overload, {percent}% offered: {served:.0}% served; {shed:.0}% SYNs shed, \
             {refused:.0}% frames lost on the ring, {reset:.0}% connections reset"
        ));
    }
    report.figures.push(Figure {
        name: "goodput at 4x offered load, against peak",
        value: goodput / peak,
        better: Better::More,
        bounds: [0.5, 0.9, 0.98],
        kept: Kept::Exact(3),
    });
    Ok(())
}

/// What shedding a SYN costs, in thousandths of a frame that is served, by instructions.
fn shed_cost(report: &mut Report) -> Result<i64, String> {
    let flood = |pressure| {
        let run = callgrind::run(&["--inside-flood", pressure], Detail::Caches)?;
        let syns = run.number("taken").zip(run.number("shed"));
        let (taken, shed) = syns.ok_or("the flood printed no numbers")?;
        let cost = run.costs.first().ok_or("callgrind wrote no totals")?;
        Ok::<_, String>((cost.instructions as f64, taken as f64, shed as f64))
    };
    let (calm, answered, _) = flood("calm")?;
    let (full, taken, shed) = flood("full")?;
    if shed == 0.0 {
        report.notes.push("no SYN was shed, though the ring was full of them".into());
        return Ok(1000);
    }
    // What is not shed is answered, and costs what answering costs in the calm.
    let instructions = (full - (taken - shed) * calm / answered) / shed;
    let base = report.rows.iter().find(|row| row.scenario == Scenario::BASE);
    let base = base.ok_or("overload needs the base row")?;
    // A connection of the base row is three frames received.
    let served = base.instructions() / 3.0;
    report.notes.push(format!(
        "shedding a SYN: {instructions:.0} instructions; serving a frame: {served:.0}"
    ));
    Ok((1000.0 * instructions / served) as i64)
}

/// Adds what churn leaves behind, and what it costs at the end against the beginning.
///
/// # Errors
/// Why it could not be measured.
pub fn churn(report: &mut Report, connections: u64) -> Result<(), String> {
    let count = connections.to_string();
    let run = callgrind::run(&["--inside-churn", &count], Detail::Checkpoints)?;
    let [first, last, ..] = run.costs[..] else {
        return Err("callgrind wrote no checkpoints".into());
    };
    let left =
        run.number("bytes").zip(run.number("records")).ok_or("churn printed no remainder")?;
    let exact = |name, value, bound, decimals| Figure {
        name,
        value,
        better: Better::Less,
        bounds: [bound; 3],
        kept: Kept::Exact(decimals),
    };
    report.figures.extend([
        exact(
            "churn: last hundredth against the first, instructions",
            last.instructions as f64 / first.instructions as f64,
            1.01,
            3,
        ),
        exact("churn: bytes left behind", left.0 as f64, 0.0, 0),
        exact("churn: records left behind", left.1 as f64, 0.0, 0),
    ]);
    report.notes.push(format!("churn: {connections} connections, 64000 in TIME-WAIT throughout"));
    Ok(())
}

/// What runs inside callgrind for the churn.
///
/// # Errors
/// What went wrong with a connection.
pub fn inside_churn(connections: u64) -> Result<(), String> {
    let churn::Remainder { bytes, population } =
        churn::run(Penstock::new(&churn::ROW.setup()), connections)?;
    let records =
        population.connections + population.half_open + population.time_wait + population.buffers;
    println!("bytes={} records={records}", bytes.unsigned_abs());
    Ok(())
}

/// Adds what the rings of the 82599 driver cost by themselves.
fn rings(report: &mut Report) -> Result<(), String> {
    let pair = |burst: usize| {
        let run = callgrind::run(&["--inside-rings", &burst.to_string()], Detail::Caches)?;
        let frames = run.number("frames").ok_or("the rings printed no number")?;
        let cost = run.costs.first().ok_or("callgrind wrote no totals")?;
        Ok::<_, String>(cost.instructions as f64 / frames as f64)
    };
    let (full, small, single) = (pair(32)?, pair(8)?, pair(1)?);
    report.figures.push(Figure {
        name: "82599 rings alone, instructions per connection of 6 frames",
        // Three frames in and three out; a short connection's come in bursts.
        value: 3.0 * small,
        better: Better::Less,
        bounds: [900.0, 650.0, 450.0],
        kept: Kept::Exact(0),
    });
    report.notes.push(format!(
        "82599 rings, per frame received and sent: {full:.0} instructions in bursts of 32, \
         {small:.0} of 8, {single:.0} one by one (ixy.rs, published: 209)"
    ));
    Ok(())
}

/// What runs inside callgrind to price the rings.
pub fn inside_rings(burst: usize) {
    let frames = crate::rings::forward(1024, burst);
    println!("frames={frames}");
}

/// What runs inside callgrind to price a SYN.
pub fn inside_flood(pressure: Pressure) {
    let Syns { taken, shed } = flood::run(Penstock::new(&Scenario::BASE.setup()), pressure);
    println!("taken={taken} shed={shed}");
}

/// Adds the atomic read-modify-writes executed, in the base row.
fn locked(report: &mut Report) -> Result<(), String> {
    let name = Scenario::BASE.to_string();
    let run = callgrind::run(&["--inside", &name], Detail::Addresses)?;
    let program = std::env::current_exe().map_err(|error| format!("own path: {error}"))?;
    report.figures.push(Figure {
        name: "atomic read-modify-writes while running",
        value: locked::executed(&program, &run.text()?)? as f64,
        better: Better::Less,
        bounds: [0.0; 3],
        kept: Kept::Exact(0),
    });
    Ok(())
}

/// Adds the largest turns.
fn largest_turns(report: &mut Report, extent: Extent) -> Result<(), String> {
    if extent == Extent::Quick {
        return Ok(());
    }
    let crowded = Scenario { concurrency: 256, ..Scenario::BASE };
    let past = Scenario { time_wait: 64_000, ..Scenario::BASE };
    for name in [crowded.to_string(), past.to_string()] {
        let run = callgrind::run(&["--inside", &name, "--connections", "1024"], Detail::Turns)?;
        let largest = run.costs.iter().map(|cost| cost.instructions).max().unwrap_or(0);
        report.notes.push(format!("largest turn, {name}: {largest} instructions"));
    }
    Ok(())
}

/// Adds the ratios of wall time.
///
/// # Errors
/// What went wrong with a connection.
pub fn wall(report: &mut Report) -> Result<(), String> {
    let ratio = |name, value, bounds| Figure {
        name,
        value,
        better: Better::Less,
        bounds,
        kept: Kept::Level,
    };
    let peer_bounds = [0.6, 0.3, 0.15];
    for (name, concurrency) in [
        ("ns per connection against smoltcp, 1 at once", 1),
        ("ns per connection against smoltcp, 16 at once", 16),
        ("ns per connection against smoltcp, 256 at once", 256),
    ] {
        let ours = Scenario { concurrency, ..Scenario::BASE };
        let peer = Scenario { stack: Stack::Smoltcp, ..ours };
        let first = (&ours, Penstock::new(&ours.setup()));
        let second = (&peer, Smoltcp::new(&peer.setup()));
        let pair = wall::compare(first, second, 10_000)?;
        report.figures.push(ratio(name, pair.ratio(), peer_bounds));
        report.remarks.push(format!("{name}: {:.0} to {:.0}", pair.first_ns, pair.second_ns));
    }
    let base = Scenario::BASE;
    let crowded = Scenario { idle: 1_000_000, ..base };
    let first = (&crowded, Penstock::new(&crowded.setup()));
    let second = (&base, Penstock::new(&base.setup()));
    let pair = wall::compare(first, second, 20_000)?;
    let name = "ns per connection at 1 M idle against 0 idle";
    report.figures.push(ratio(name, pair.ratio(), [2.0, 1.3, 1.1]));
    report.remarks.push(format!("{name}: {:.0} to {:.0}", pair.first_ns, pair.second_ns));
    let (value, remark) = hosted::against_nginx()?;
    let name = "CPU per connection, hosted on a TAP against nginx";
    report.figures.push(ratio(name, value, [1.0, 0.7, 0.5]));
    report.remarks.push(remark);
    let (value, remark) = hosted::against_haproxy()?;
    let name = "CPU per proxied connection, hosted on a TAP against haproxy";
    report.figures.push(ratio(name, value, [1.0, 0.7, 0.5]));
    report.remarks.push(remark);
    Ok(())
}
