//! Any bytes as a story of a whole proxy: `story/mod.rs` says what has to hold. Here they are drawn from
//! seeds; the fuzzing target `sessions` plays those that lead to something new.
//!
//! `SEED=42 cargo test -p penstock-proxy --test stories` is one story again, `WORLDS=1000` many.

mod story;
mod world;

use penstock_fault::Rng;

#[test]
fn any_story_ends_well() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("WORLDS").unwrap_or(300),
    };
    let mut fell = Vec::new();
    let mut sessions = 0;
    for seed in seeds {
        let mut rng = Rng::new(seed, "story");
        let mut bytes = vec![0; rng.below(400) as usize];
        rng.fill(&mut bytes);
        match std::panic::catch_unwind(|| story::play(&bytes)) {
            Ok(whole) => sessions += whole,
            Err(_) => {
                eprintln!("replay: SEED={seed} cargo test -p penstock-proxy --test stories");
                fell.push(seed);
            }
        }
    }
    assert!(fell.is_empty(), "stories fell: {fell:?}");
    println!("{sessions} sessions went well");
}

/// A story in which nothing goes wrong: a client says something and closes, and its server repeats it.
#[test]
fn in_every_configuration_a_session_may_go_well() {
    // All of them, and some twice.
    for site in 0..12 {
        let comes = [0, 1];
        // A header where one is wanted; else it is said as everything is.
        let says = [100, 0, 3, 40, 0, 200];
        let shuts = [255, 4, 15, 110, 0, 255, 4, 15];
        let bytes = [&[site, 0, 0, 0][..], &comes, &says, &shuts].concat();
        assert!(story::play(&bytes) > 0, "configuration {site}");
    }
}
