//! The script and the arithmetic in memory give the same answers to the same questions at the same times.

use std::collections::HashMap;
use std::net::IpAddr;

use restante_auth::pacing::{Pace, Paces};

use super::*;

/// What the script should have stored.
#[derive(Default)]
struct Model {
    addresses: HashMap<IpAddr, Pace>,
    networks: HashMap<IpAddr, Pace>,
    names: HashMap<NameKey, Pace>,
    known: HashMap<(NameKey, IpAddr), Pace>,
    spent: HashMap<AccountId, u64>,
}

impl Model {
    fn change<T>(&mut self, attempt: &Attempt, change: impl FnOnce(&mut Paces) -> T) -> T {
        let (address, network) = pacing::networks(attempt.client);
        let of = |paces: &HashMap<IpAddr, Pace>, key| paces.get(&key).copied().unwrap_or_default();
        let mut paces = Paces {
            address: of(&self.addresses, address),
            network: of(&self.networks, network),
            name: attempt
                .name
                .map(|name| self.names.get(&name).copied().unwrap_or_default()),
            known: attempt
                .name
                .and_then(|name| self.known.get(&(name, network)).copied()),
        };
        let answer = change(&mut paces);
        self.addresses.insert(address, paces.address);
        self.networks.insert(network, paces.network);
        if let Some(name) = attempt.name {
            self.names.extend(paces.name.map(|pace| (name, pace)));
            self.known.extend(paces.known.map(|pace| ((name, network), pace)));
        }
        answer
    }
}

/// Numbers that look random and are the same every time (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

#[tokio::test]
async fn the_script_counts_as_the_arithmetic_in_memory_does() {
    let redis = Redis::start();
    let limiter = limiter(&redis.url(), PATIENT);
    let mut connection = limiter.connection().await.unwrap();
    let mut numbers = Numbers(1);
    let mut model = Model::default();
    let mut now = 1_800_000_000_000_000;
    let mut seen: HashMap<String, usize> = HashMap::new();
    for step in 0..4_000 {
        now += match numbers.below(100) {
            0 => numbers.below(4_000_000_000),
            1..20 => numbers.below(20_000_000),
            _ => numbers.below(1_000_000),
        };
        let clients = [
            "192.0.2.7",
            "192.0.2.8",
            "198.51.100.1",
            "2001:db8::1",
            "2001:db8:0:1::1",
            "203.0.113.1",
        ];
        let client = clients[usize::try_from(numbers.below(6)).unwrap()];
        let name = u8::try_from(numbers.below(4)).unwrap();
        let attempt = Attempt {
            name: (name > 0).then_some(NameKey([name; 16])),
            ..attempt(name, client)
        };
        let (call, expected) = match numbers.below(40) {
            0 => {
                let Some(name) = attempt.name else { continue };
                let (_, network) = pacing::networks(attempt.client);
                model.known.entry((name, network)).or_default();
                (limiter.keys.succeeded(name, attempt.client), (1, 0))
            }
            1..12 => {
                model.change(&attempt, |paces| paces.failed(now));
                (limiter.keys.failed(&attempt), (1, 0))
            }
            12..16 => {
                let account = account(1, i64::from(name) + 1);
                let share = pacing::share_of_day(numbers.below(400_000), 100_000).unwrap();
                let spent = model.spent.entry(account).or_default();
                let after = pacing::spend(*spent, share, now);
                *spent = after.unwrap_or(*spent);
                (
                    limiter.keys.spend(account, share),
                    (i64::from(after.is_some()), 0),
                )
            }
            _ => {
                let expected = match model.change(&attempt, |paces| paces.admit(now)) {
                    Admission::TooMany => (-1, 0),
                    Admission::After { wait, guarded } => {
                        (i64::try_from(wait.as_micros()).unwrap(), i64::from(guarded))
                    }
                };
                let kind = format!("{} {}", expected.0.signum(), expected.1);
                *seen.entry(kind).or_default() += 1;
                (limiter.keys.admit(&attempt), expected)
            }
        };
        let answer: (String, String, i64, i64) = call.at(now).query_async(&mut connection).await.unwrap();
        assert_eq!((answer.2, answer.3), expected, "step {step}: {attempt:?}");
    }
    for kind in ["-1 0", "0 0", "1 0", "0 1", "1 1"] {
        assert!(
            seen.get(kind).is_some_and(|count| *count > 10),
            "{kind} in {seen:?}"
        );
    }
}
