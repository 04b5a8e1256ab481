//! Maildrops as they are in the world, the same in every process that knows the seed. Start at [`Corpus::new`].

use bytes::Bytes;

/// Of the messages that this makes, median and mean are those of the distribution.
pub(crate) const SEED: u64 = 108;
/// Messages that maildrops of [`Kind::User`] are made of.
const POOL: usize = 500;
/// Messages that [`Kind::Small`] is made of.
const SMALL_POOL: usize = 64;
/// Messages of one user.
pub(crate) const PER_USER: usize = 20;
const MEDIAN_OCTETS: f64 = 14_000.0;
const MEAN_OCTETS: f64 = 76_000.0;
const MOST_OCTETS: f64 = 9_000_000.0;
const LEAST_OCTETS: f64 = 600.0;
const LARGE_OCTETS: usize = 25_000_000;
const SMALL_OCTETS: usize = 1_500;
/// Of a message that is longer, the rest is an attachment.
const TEXT_OCTETS: usize = 16_384;

/// Every message that a server of a measurement can hold.
pub(crate) struct Corpus {
    plan: Plan,
    pool: Vec<Message>,
    small: Vec<Message>,
    large: Option<Message>,
}

/// One message.
#[derive(Debug)]
pub(crate) struct Message {
    /// As it is delivered: lines end with CRLF.
    pub(crate) octets: Bytes,
    /// As RETR and DATA send it: dots stuffed, with the terminator.
    pub(crate) wire: Bytes,
}

/// What a maildrop is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Realistic messages.
    User,
    /// One message of 25 MB.
    Large,
    /// Very many messages, all the same; only listed.
    Big,
    /// Some of the same; only listed.
    Few,
    /// Many small messages, to be read.
    Small,
    /// Many small messages, to be deleted and put back.
    Wipe,
    /// Empty.
    Idle,
    /// Empty, behind a password with a hash as it should be; each is logged in to once.
    Login,
}

/// How much there is of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Plan {
    /// Maildrops with realistic messages.
    #[arg(long, default_value_t = 0)]
    pub(crate) users: usize,
    /// Maildrops with one large message.
    #[arg(long, default_value_t = 0)]
    pub(crate) large: usize,
    /// Messages of the big maildrop.
    #[arg(long, default_value_t = 0)]
    pub(crate) big: usize,
    /// Messages of the one beside it.
    #[arg(long, default_value_t = 0)]
    pub(crate) few: usize,
    /// Messages of the maildrop with small ones.
    #[arg(long, default_value_t = 0)]
    pub(crate) small: usize,
    /// Messages of the maildrop that is emptied.
    #[arg(long, default_value_t = 0)]
    pub(crate) wipe: usize,
    /// Empty maildrops.
    #[arg(long, default_value_t = 0)]
    pub(crate) idle: usize,
    /// Empty maildrops behind a dear hash.
    #[arg(long, default_value_t = 0)]
    pub(crate) login: usize,
}

/// One maildrop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Maildrop {
    pub(crate) kind: Kind,
    pub(crate) nth: usize,
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::User,
        Self::Large,
        Self::Big,
        Self::Few,
        Self::Small,
        Self::Wipe,
        Self::Idle,
        Self::Login,
    ];

    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Large => "large",
            Self::Big => "big",
            Self::Few => "few",
            Self::Small => "small",
            Self::Wipe => "wipe",
            Self::Idle => "idle",
            Self::Login => "login",
        }
    }
}

impl Plan {
    /// How many maildrops of a kind there are.
    pub(crate) const fn maildrops(&self, kind: Kind) -> usize {
        match kind {
            Kind::User => self.users,
            Kind::Large => self.large,
            Kind::Big => (self.big > 0) as usize,
            Kind::Few => (self.few > 0) as usize,
            Kind::Small => (self.small > 0) as usize,
            Kind::Wipe => (self.wipe > 0) as usize,
            Kind::Idle => self.idle,
            Kind::Login => self.login,
        }
    }

    /// All maildrops of a kind.
    pub(crate) fn all(&self, kind: Kind) -> impl Iterator<Item = Maildrop> + use<> {
        (0..self.maildrops(kind)).map(move |nth| Maildrop { kind, nth })
    }

    /// How many messages one maildrop of a kind has.
    pub(crate) const fn messages(&self, kind: Kind) -> usize {
        match kind {
            Kind::User => PER_USER,
            Kind::Large => 1,
            Kind::Big => self.big,
            Kind::Few => self.few,
            Kind::Small => self.small,
            Kind::Wipe => self.wipe,
            Kind::Idle | Kind::Login => 0,
        }
    }

    /// As arguments of another process.
    pub(crate) fn arguments(&self) -> Vec<String> {
        [
            ("--users", self.users),
            ("--large", self.large),
            ("--big", self.big),
            ("--few", self.few),
            ("--small", self.small),
            ("--wipe", self.wipe),
            ("--idle", self.idle),
            ("--login", self.login),
        ]
        .into_iter()
        .flat_map(|(name, n)| [name.to_owned(), n.to_string()])
        .collect()
    }
}

impl Maildrop {
    /// The part before the @.
    pub(crate) fn local_part(self) -> String {
        format!("{}-{}", self.kind.prefix(), self.nth)
    }

    /// The maildrop of a login name, with or without its domain.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let local = name.split('@').next()?;
        let (prefix, nth) = local.split_once('-')?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.prefix() == prefix)?;
        Some(Self {
            kind,
            nth: nth.parse().ok()?,
        })
    }
}

impl Corpus {
    /// The messages that `plan` needs.
    pub(crate) fn new(seed: u64, plan: Plan) -> Self {
        let mut random = Random(seed);
        let sizes: Vec<usize> = (0..POOL).map(|_| realistic_octets(&mut random)).collect();
        let has = |kind| plan.maildrops(kind) > 0;
        let n_pool = if has(Kind::User) { POOL } else { 0 };
        let is_small = [Kind::Small, Kind::Wipe, Kind::Big, Kind::Few]
            .into_iter()
            .any(has);
        let n_small = if is_small { SMALL_POOL } else { 0 };
        Self {
            plan,
            pool: (0..n_pool)
                .map(|nth| Message::new(&mut random, nth, sizes[nth]))
                .collect(),
            small: (0..n_small)
                .map(|nth| Message::new(&mut random, nth, SMALL_OCTETS))
                .collect(),
            large: has(Kind::Large).then(|| Message::new(&mut random, 0, LARGE_OCTETS)),
        }
    }

    pub(crate) const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How many messages a maildrop has.
    pub(crate) const fn len(&self, maildrop: Maildrop) -> usize {
        self.plan.messages(maildrop.kind)
    }

    /// The message at `index`, from 0.
    ///
    /// # Panics
    /// If the maildrop has no such message, or the plan no such maildrop.
    pub(crate) fn message(&self, maildrop: Maildrop, index: usize) -> &Message {
        match maildrop.kind {
            Kind::User => &self.pool[(maildrop.nth * 7 + index * 13) % self.pool.len()],
            Kind::Large => self.large.as_ref().expect("the plan has large messages"),
            // Clones of one message, wherever they are cheap to make.
            Kind::Big | Kind::Few | Kind::Wipe => &self.small[0],
            Kind::Small => &self.small[index % self.small.len()],
            Kind::Idle | Kind::Login => panic!("an empty maildrop has no message"),
        }
    }

    /// The octets of a maildrop, as STAT says them.
    pub(crate) fn octets(&self, maildrop: Maildrop) -> usize {
        let n = self.len(maildrop);
        let octets = |index| self.message(maildrop, index).octets.len();
        match maildrop.kind {
            Kind::Big | Kind::Few | Kind::Wipe if n > 0 => n * octets(0),
            _ => (0..n).map(octets).sum(),
        }
    }

    /// Median and mean of the realistic messages, in octets.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        let mut sizes: Vec<usize> = self.pool.iter().map(|message| message.octets.len()).collect();
        sizes.sort_unstable();
        let median = sizes.get(sizes.len() / 2).copied().unwrap_or(0);
        (median, sizes.iter().sum::<usize>() / sizes.len().max(1))
    }
}

impl Message {
    /// A message of about so many octets.
    fn new(random: &mut Random, nth: usize, octets: usize) -> Self {
        let mut text = String::with_capacity(octets + 128);
        let header = format!(
            "Received: from mx.example.org by bench.test with LMTP id {nth:08}; Sun, 29 Nov 2026 12:00:00 +0000\r\n\
             From: Sender {nth} <sender-{nth}@example.org>\r\nTo: someone@bench.test\r\n\
             Subject: message {nth} of a measurement\r\nMessage-ID: <{nth}.{:016x}@example.org>\r\n\
             Date: Sun, 29 Nov 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n",
            random.next()
        );
        text.push_str(&header);
        while text.len() + 2 < octets {
            if text.len() < TEXT_OCTETS {
                push_line(random, &mut text);
            } else {
                push_letters(random, &mut text, 76);
            }
        }
        text.truncate(octets.max(2) - 2);
        let cut = text.trim_end_matches(['\r', '\n']).len();
        text.truncate(cut);
        text.push_str("\r\n");
        let octets = Bytes::from(text);
        Self {
            wire: stuffed(&octets),
            octets,
        }
    }
}

/// A line of text; some begin with a dot, some are empty.
fn push_line(random: &mut Random, text: &mut String) {
    match random.next() % 40 {
        0 => text.push('.'),
        1 => return text.push_str("\r\n"),
        _ => (),
    }
    push_letters(random, text, 68);
}

/// A line of so many letters, none of them a dot; of 76, a line of base64 (RFC 2045 section 6.8).
fn push_letters(random: &mut Random, text: &mut String, n_letters: usize) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut left = n_letters;
    while left > 0 {
        let mut bits = random.next();
        for _ in 0..left.min(10) {
            let letter = usize::try_from(bits & 63).map_or(b'A', |at| LETTERS[at]);
            text.push(char::from(letter));
            bits >>= 6;
        }
        left -= left.min(10);
    }
    text.push_str("\r\n");
}

/// What RETR sends (RFC 1939 section 3), written without the server's own code.
fn stuffed(octets: &[u8]) -> Bytes {
    let mut wire = Vec::with_capacity(octets.len() + octets.len() / 500 + 8);
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    wire.extend_from_slice(b".\r\n");
    Bytes::from(wire)
}

/// A size from the log-normal distribution with our median and mean, within its bounds.
fn realistic_octets(random: &mut Random) -> usize {
    let sigma = (2.0 * (MEAN_OCTETS / MEDIAN_OCTETS).ln()).sqrt();
    // Box and Muller.
    let (u, v) = (random.unit(), random.unit());
    let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
    let octets = (MEDIAN_OCTETS * (sigma * normal).exp()).clamp(LEAST_OCTETS, MOST_OCTETS);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it was clamped to a few megabytes"
    )]
    let octets = octets as usize;
    octets
}

/// SplitMix64: as good as needed, and the same everywhere.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Above 0 and at most 1.
    fn unit(&mut self) -> f64 {
        let high = u32::try_from(self.next() >> 32).unwrap_or(u32::MAX);
        (f64::from(high) + 1.0) / 4_294_967_296.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_makes_the_same_messages() {
        let plan = Plan {
            users: 3,
            small: 100,
            ..Plan::default()
        };
        let (one, other) = (Corpus::new(SEED, plan), Corpus::new(SEED, plan));
        for kind in [Kind::User, Kind::Small] {
            for maildrop in plan.all(kind) {
                for index in 0..one.len(maildrop) {
                    assert_eq!(
                        one.message(maildrop, index).octets,
                        other.message(maildrop, index).octets
                    );
                }
            }
        }
        let another = Corpus::new(SEED + 1, plan);
        let first = Maildrop {
            kind: Kind::User,
            nth: 0,
        };
        assert_ne!(one.message(first, 0).octets, another.message(first, 0).octets);
    }

    #[test]
    fn sizes_are_as_in_the_world() {
        let mut random = Random(SEED);
        let mut sizes: Vec<usize> = (0..50_000).map(|_| realistic_octets(&mut random)).collect();
        sizes.sort_unstable();
        let (median, mean) = (sizes[25_000], sizes.iter().sum::<usize>() / sizes.len());
        assert!((13_500..14_500).contains(&median), "{median}");
        assert!((70_000..80_000).contains(&mean), "{mean}");
        assert!(*sizes.last().unwrap() <= 9_000_000);
        let plan = Plan {
            users: 1,
            ..Plan::default()
        };
        let (median, mean) = Corpus::new(SEED, plan).sizes();
        assert!((13_500..14_500).contains(&median), "{median}");
        assert!((75_000..77_000).contains(&mean), "{mean}");
    }

    #[test]
    fn messages_are_canonical_and_unstuff_to_themselves() {
        let plan = Plan {
            users: 1,
            ..Plan::default()
        };
        let corpus = Corpus::new(SEED, plan);
        let mut n_dots = 0;
        for message in &corpus.pool[..50] {
            let text = std::str::from_utf8(&message.octets).unwrap();
            assert!(text.ends_with("\r\n"));
            assert_eq!(
                text.matches('\r').count(),
                text.split("\r\n").count() - 1,
                "no bare CR"
            );
            assert_eq!(text.matches('\n').count(), text.matches('\r').count());
            assert!(text.lines().all(|line| line.len() < 998));
            n_dots += text.matches("\r\n.").count();
            assert_eq!(
                restante_testkit::unstuffed(&message.wire).unwrap(),
                message.octets
            );
        }
        assert!(n_dots > 50, "some lines begin with a dot");
    }

    #[test]
    fn names_lead_back_to_maildrops() {
        let plan = Plan {
            users: 2,
            big: 5,
            ..Plan::default()
        };
        let all: Vec<Maildrop> = Kind::ALL.into_iter().flat_map(|kind| plan.all(kind)).collect();
        assert_eq!(all.len(), 3);
        for maildrop in all {
            assert_eq!(
                Maildrop::of_name(&format!("{}@bench.test", maildrop.local_part())),
                Some(maildrop)
            );
        }
        assert_eq!(Maildrop::of_name("alice@bench.test"), None);
    }
}
