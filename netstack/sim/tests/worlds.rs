//! Worlds with one thing in them each, so that a failure says what broke.

use penstock_sim::{
    Burst, Faults, HostKind, Outcome, Plan, Rng, Style, Topology, Trace, What, World, run_seed,
};
use penstock_stack::{CongestionControl, Duration, KeepAlive, SynCookies};

fn run(plan: Plan) -> Outcome {
    let outcome = World::new(plan, Trace::story()).run();
    outcome.expect_good();
    outcome
}

/// Two hosts that talk in a style, with nothing in their way.
fn clean_pair(name: &str, cores: [u16; 2], style: Style, count: usize) -> Plan {
    let mut plan = Plan::pair(11, name, cores).talking(style, count, 100_000).timed(0, 120_000_000);
    plan.is_clean = true;
    plan
}

fn faulty_pair(name: &str, faults: Faults) -> Plan {
    Plan::pair(12, name, [2, 2])
        .talking(Style::Orderly, 20, 1_000_000)
        .with_faults(faults)
        .timed(20_000_000, 1_400_000_000)
}

#[test]
fn short_connections_on_one_core_complete_without_a_drop() {
    let outcome = run(clean_pair("short", [1, 1], Style::Short, 50));
    assert_eq!(outcome.completed, (50, 50));
}

#[test]
fn bulk_both_ways_completes_without_a_drop() {
    let outcome = run(clean_pair("bulk", [1, 1], Style::Bulk, 3));
    assert_eq!(outcome.completed, (3, 3));
}

#[test]
fn every_count_of_cores_works() {
    for cores in [1, 2, 3, 5, 6, 8] {
        let outcome = run(clean_pair("cores", [cores, 9 - cores], Style::Orderly, 12));
        assert_eq!(outcome.completed, (12, 12), "{cores} cores");
    }
}

#[test]
fn every_topology_works() {
    for topology in
        [Topology::Pair, Topology::Trio, Topology::Routed, Topology::Chain, Topology::Middle]
    {
        for seed in 0..4 {
            let mut plan = Plan::connected(seed, topology, &mut Rng::new(seed, "test"));
            plan.name = format!("{topology:?}");
            let outcome = run(plan.talking(Style::Orderly, 10, 100_000).timed(0, 300_000_000));
            assert_eq!(outcome.completed, (10, 10), "{topology:?}, seed {seed}");
        }
    }
}

#[test]
fn loss_is_repaired() {
    let outcome = run(faulty_pair("loss", Faults::NONE.delay(1_000).loss(30_000)));
    assert!(outcome.counter("lost") > 0 && outcome.counter("TcpRetransSegs") > 0);
}

#[test]
fn bursts_of_loss_are_repaired() {
    let burst = Burst { enter_ppm: 20_000, leave_ppm: 200_000, loss_ppm: 800_000 };
    let outcome = run(faulty_pair("bursts", Faults::NONE.delay(1_000).bursts(burst)));
    assert!(outcome.counter("lost") > 0);
}

#[test]
fn reordering_is_put_right() {
    let outcome = run(faulty_pair("reorder", Faults::NONE.delay(500).reorder(200_000, 3_000)));
    assert!(outcome.counter("reordered") > 0);
}

#[test]
fn duplicates_do_no_harm() {
    let outcome = run(faulty_pair("duplicates", Faults::NONE.delay(500).duplicate(300_000)));
    assert!(outcome.counter("duplicated") > 0);
}

#[test]
fn damage_is_noticed_by_checksums_and_repaired() {
    let outcome = run(faulty_pair("damage", Faults::NONE.delay(500).corrupt(50_000)));
    assert!(outcome.counter("corrupted") > 0 && outcome.counter("TcpInCsumErrors") > 0);
}

#[test]
fn a_narrow_link_with_a_short_queue_is_shared() {
    let outcome = run(faulty_pair("rate", Faults::NONE.delay(2_000).rate(200, 8_000)));
    assert!(outcome.counter("queue_full") > 0);
}

#[test]
fn a_rebooted_host_leaves_nothing_behind() {
    let alive =
        KeepAlive { idle: Duration::from_secs(5), interval: Duration::from_secs(1), probes: 3 };
    for host in [0, 1] {
        let mut plan = Plan::pair(13, "reboot", [2, 3])
            .configured(|config| config.tcp.options.keepalive = Some(alive))
            .talking(Style::Orderly, 20, 2_000_000)
            .with_faults(Faults::NONE.delay(20_000))
            .incident(1_000_000, What::Reboot { host, down_us: 500_000 })
            .timed(5_000_000, 1_400_000_000);
        plan.must_complete = false;
        run(plan);
    }
}

#[test]
fn a_partition_that_ends_is_survived() {
    let plan = Plan::pair(14, "partition", [2, 2])
        .talking(Style::Orderly, 20, 2_000_000)
        .with_faults(Faults::NONE.delay(10_000))
        .incident(500_000, What::Partition { host: 1, for_us: 6_000_000 })
        .timed(10_000_000, 1_400_000_000);
    run(plan);
}

#[test]
fn a_stalled_core_and_a_choked_card_are_survived() {
    let plan = Plan::pair(15, "stall", [3, 2])
        .talking(Style::Orderly, 30, 2_000_000)
        .incident(300_000, What::Stall { host: 0, core: 1, for_us: 3_000_000 })
        .incident(900_000, What::Choke { host: 1, for_us: 2_000_000 })
        .timed(10_000_000, 1_400_000_000);
    run(plan);
}

#[test]
fn small_pools_bend_and_do_not_break() {
    for seed in 0..12 {
        let mut plan = Plan::pair(seed, "scarce", [2, 2])
            .configured(|config| {
                let capacity = &mut config.capacity;
                match seed % 6 {
                    0 => capacity.connections = 4,
                    1 => capacity.flights = 3,
                    2 => capacity.half_open = 2,
                    3 => capacity.chunks = 16,
                    4 => capacity.time_wait = 2,
                    _ => config.ephemeral_ports = (40_960, 40_991),
                }
                if seed >= 6 {
                    config.tcp.syncookies = SynCookies::Never;
                }
            })
            .talking(Style::Any, 40, 100_000)
            .with_faults(Faults::NONE.delay(5_000).loss(10_000))
            .timed(10_000_000, 1_400_000_000);
        plan.must_complete = false;
        run(plan);
    }
}

#[test]
fn whoever_finds_no_memory_hears_when_there_is_some() {
    for (seed, chunks, flights) in [(0, 12, 512), (1, 24, 512), (2, 1024, 8), (3, 40, 12)] {
        let plan = Plan::pair(seed, "hungry", [1, 1])
            .configured(|config| {
                config.capacity.chunks = chunks;
                config.capacity.flights = flights;
            })
            .carded(|card| card.write_back_us = (100, 20_000))
            .talking(Style::Bulk, 8, 1_000)
            .with_faults(Faults::NONE.delay(2_000))
            .timed(0, 1_400_000_000);
        let outcome = run(plan);
        assert_eq!(outcome.completed, (8, 8), "{chunks} chunks, {flights} flights");
    }
}

#[test]
fn small_rings_and_late_write_back_are_survived() {
    let plan = Plan::pair(16, "rings", [2, 2])
        .carded(|card| {
            card.receive_ring = 16;
            card.lent_max = 3;
            card.transmit_ring = 13;
            card.write_back_us = (10_000, 400_000);
        })
        .talking(Style::Bulk, 3, 100_000)
        .timed(1_000_000, 1_400_000_000);
    run(plan);
}

#[test]
fn cards_without_offloads_and_without_gather_work() {
    for (checksums, gather) in [(false, 0), (false, 3), (true, 0), (true, 1)] {
        let mut plan = clean_pair("cards", [2, 1], Style::Orderly, 10).carded(|card| {
            card.receive_checksums = checksums;
            card.transmit_checksums = checksums;
            card.segmentation = false;
            card.lent_max = gather;
        });
        plan.seed = 17;
        run(plan);
    }
}

#[test]
fn jumbo_frames_come_in_parts() {
    let mut plan = clean_pair("jumbo", [1, 2], Style::Bulk, 2).carded(|card| card.mtu = 9000);
    for host in &mut plan.hosts {
        host.config.interfaces[0].mtu = 9000;
    }
    run(plan);
}

/// A card hashes a client to a core where nobody listens, so every frame of its connection crosses,
/// the longest ones too.
#[test]
fn jumbo_frames_cross_between_cores() {
    let mut plan = Plan::pair(20, "jumbo crosses", [2, 4])
        .carded(|card| card.mtu = 9000)
        .configured(|config| config.interfaces[0].mtu = 9000)
        .talking(Style::Bulk, 6, 100_000)
        .timed(0, 300_000_000);
    for host in &mut plan.hosts {
        host.listening = 1;
    }
    let outcome = run(plan);
    assert_eq!(outcome.completed, (6, 6));
    assert!(outcome.counter("RfdMisdirected") > 0);
    assert_eq!(outcome.counter("RfdMailTooLong"), 0);
}

#[test]
fn each_congestion_control_and_option_set_survives_loss() {
    for options in 0..16u32 {
        let plan =
            faulty_pair("options", Faults::NONE.delay(5_000).loss(20_000)).configured(|config| {
                config.tcp.timestamps = options & 1 != 0;
                config.tcp.sack = options & 2 != 0;
                config.tcp.window_scaling = options & 4 != 0;
                config.tcp.congestion_control = if options & 8 != 0 {
                    CongestionControl::NewReno
                } else {
                    CongestionControl::Cubic
                };
            });
        run(plan);
    }
}

#[test]
fn cookies_alone_carry_every_connection() {
    let mut plan = clean_pair("cookies", [2, 2], Style::Orderly, 20)
        .configured(|config| config.tcp.syncookies = SynCookies::Always);
    plan.seed = 18;
    let outcome = run(plan);
    assert!(outcome.counter("TcpExtSyncookiesRecv") >= 20);
}

#[test]
fn a_foreign_stack_is_understood() {
    for seed in 0..6 {
        let mut plan = Plan::pair(seed, "foreign", [2, 1]);
        plan.hosts[1].kind = HostKind::Smoltcp;
        let plan = plan
            .talking(Style::Orderly, 15, 500_000)
            .with_faults(Faults::NONE.delay(1_000).loss(if seed % 2 == 0 { 0 } else { 20_000 }))
            .timed(10_000_000, 1_400_000_000);
        run(plan);
    }
}

#[test]
fn a_heckler_harms_nobody() {
    let mut plan = Plan::pair(19, "heckled", [2, 2])
        .talking(Style::Orderly, 20, 2_000_000)
        .timed(3_000_000, 1_400_000_000);
    plan.heckler = Some((0, 500));
    run(plan);
}

/// Text and FINs for which there is no room are cut off at the window's edge, and come again.
#[test]
fn windows_that_say_too_much_are_survived() {
    let (mut beyond, mut fins) = (0, 0);
    for seed in 0..8 {
        let loss_ppm = if seed % 2 == 0 { 0 } else { 20_000 };
        let faults = Faults::NONE.delay(2_000).loss(loss_ppm);
        let mut plan = Plan::pair(seed, "raised", [1, 2])
            .configured(|config| config.capacity.receive_window_bytes = 4096)
            .talking(Style::Bulk, 6, 100_000)
            .with_faults(faults)
            .timed(20_000_000, 1_400_000_000);
        // One way: two ends that have both said more than there is room for take no acknowledgement
        // from each other any more.
        plan.hosts[0].faults[0] = faults.raise(500_000);
        let outcome = run(plan);
        assert_eq!(outcome.completed, (6, 6), "seed {seed}");
        assert!(outcome.counter("raised") > 0);
        beyond += outcome.counter("beyond_window");
        fins += outcome.counter("fins_beyond_window");
    }
    assert!(beyond > 0 && fins > 0, "{beyond}, {fins}");
}

/// Strangers' SYNs take every record, and give way to whoever completes a handshake with a cookie; what
/// their SYN-ACKs had is given back, and who is pushed out while his own ACK is lost begins again.
#[test]
fn half_open_connections_that_gave_way_leave_nothing_behind() {
    let mut gave_way = 0;
    for seed in 0..8 {
        let mut plan = Plan::pair(seed, "gives way", [1, 1 + (seed % 2) as u16])
            .configured(|config| config.capacity.connections = 6)
            .talking(Style::Any, 60, 2_000_000)
            .with_faults(Faults::NONE.delay(5_000).loss(30_000).duplicate(50_000))
            .incident(1_000_000, What::Partition { host: 0, for_us: 500_000 })
            .timed(4_000_000, 1_400_000_000);
        plan.heckler = Some((0, 500));
        plan.must_complete = false;
        let outcome = run(plan);
        gave_way += outcome.counter("TcpAttemptFails");
        assert!(outcome.counter("TcpExtSyncookiesRecv") > 0, "seed {seed}");
    }
    assert!(gave_way > 0);
}

#[test]
fn a_seed_tells_the_same_story_twice() {
    for seed in [1, 2, 3] {
        let [first, second] = [(); 2].map(|()| World::new(Plan::of(seed), Trace::story()).run());
        assert_eq!(first.digest, second.digest, "seed {seed}");
        assert_eq!(first.to_string(), second.to_string(), "seed {seed}");
    }
}

#[test]
fn the_first_seeds_are_good() {
    for seed in 0..40 {
        if let Err(failure) = run_seed(seed) {
            panic!("{}\nreplay: cargo run -p penstock-sim -- {seed}", failure.text);
        }
    }
}
