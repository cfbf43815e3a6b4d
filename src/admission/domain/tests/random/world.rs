//! A random house: products, pools, budgets, limits that are fixed or climb.

use super::super::super::super::settings::PassSettings;
use super::*;

const MS: fn(u64) -> Duration = Duration::from_millis;

pub(super) fn settings(random: &mut Random) -> Settings {
    let products = 1 + random.below(4) as usize;
    let pools = 1 + random.below(products as u64) as usize;
    let budgets = random.below(3) as usize;
    let pool = |random: &mut Random| ResourceSettings { budget: false, limit: limit(random) };
    let mut resources: Vec<ResourceSettings> = (0..pools).map(|_| pool(random)).collect();
    resources.extend((0..budgets).map(|_| ResourceSettings { budget: true, limit: limit(random) }));
    Settings {
        products: (0..products).map(|_| one_product(pools, budgets, random)).collect(),
        resources,
        at_once_per_customer: n(1 + random.below(8) as u32),
        at_once_per_address: n(2 + random.below(20) as u32),
        machines: vec![n(1 + random.below(4) as u32)],
    }
}

fn limit(random: &mut Random) -> LimitSettings {
    let seats = match random.below(8) {
        0 => 1,
        1 => 60 + random.below(100),
        _ => 1 + random.below(12),
    };
    if random.below(2) == 0 {
        return LimitSettings::Fixed(n(seats as u32));
    }
    let least = 1 + random.below(4) as u32;
    LimitSettings::Found(Range { initial: n(seats as u32), least: n(least), most: n(least + random.below(100) as u32) })
}

fn one_product(pools: usize, budgets: usize, random: &mut Random) -> ProductSettings {
    let pool = random.below(pools as u64) as usize;
    let needs = std::array::from_fn(|class| {
        // Now and then a class costs nothing that is limited.
        if random.below(40) == 0 {
            return Needs::default();
        }
        let mut needs = vec![pool];
        for budget in 0..budgets {
            if class == Class::Commit.index() || random.below(4) == 0 {
                needs.push(pools + budget);
            }
        }
        Needs::new(&needs).expect("a pool and two budgets fit")
    });
    let roomy = random.below(3) == 0;
    let reserve = 1 + random.below(6);
    let part = if random.below(2) == 0 { 1 } else { reserve };
    ProductSettings {
        needs,
        sites: Vec::new(),
        guarantee: random.below(60) as u32,
        latency_objective: MS(1 + random.below(300)),
        queue: QueueSettings {
            longest_wait: MS(5 + random.below(1000)),
            length: n(1 + random.below(if roomy { 300 } else { 30 }) as u32),
            floor: 0,
            near_stop: MS([0, 50, 3_000, 100_000, 100_000][random.below(5) as usize]),
            retry_after: (MS(1000), MS(30_000)),
        },
        reserve: n(reserve as u32),
        reserve_per_customer: n(1 + random.below(part) as u32),
        passes: (random.below(2) == 0).then(|| passes(random)),
    }
}

/// Here nobody holds a pass for too long, and there is room for all: what then follows cannot be told from outside.
fn passes(random: &mut Random) -> PassSettings {
    let (idle, hold) = (MS(1 + random.below(5_000)), MS(1 + random.below(20_000)));
    PassSettings { idle, longest: MS(100_000_000), hold, most: n(100_000) }
}

/// Mostly a few milliseconds, sometimes none, now and then long enough for everything to expire.
pub(super) fn pause(random: &mut Random) -> Duration {
    match random.below(200) {
        0 => MS(random.below(60_000)),
        1..=4 => MS(random.below(1500)),
        5..=80 => Duration::ZERO,
        _ => Duration::from_micros(random.below(4000)),
    }
}
