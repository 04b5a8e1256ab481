//! Verdicts: who is let in, who is not, and when nothing can be said.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use restante_auth::password::{self, HashParams, Password};
use restante_auth::{
    Account, AccountState, AuthLimits, Authenticator, Credentials, Directory, DirectoryError,
    DirectoryErrorKind, GateLimits, LoginName, Verdict,
};
use restante_sasl::Claim;
use restante_types::{AccountId, Secret, TenantId};

const QUICK: HashParams = HashParams {
    memory_kib: 8,
    iterations: 1,
    parallelism: 1,
};

const FLOOR: Duration = Duration::from_millis(250);

/// A directory of one user, `alice@example.com` of tenant 1.
#[derive(Debug)]
struct OneUser {
    state: AccountState,
    stored: Option<String>,
    /// The name that the answer bears.
    echo: &'static str,
    down: bool,
    n_asked: AtomicUsize,
}

impl Default for OneUser {
    fn default() -> Self {
        Self {
            state: AccountState::Active,
            stored: Some(stored("right")),
            echo: "alice@example.com",
            down: false,
            n_asked: AtomicUsize::new(0),
        }
    }
}

fn stored(password: &str) -> String {
    let password = Password::prepare(password.as_bytes()).unwrap();
    password::hash(&password, QUICK).unwrap().expose().clone()
}

impl fmt::Display for OneUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one user")
    }
}

#[async_trait]
impl Directory for OneUser {
    async fn credentials(&self, name: &LoginName) -> Result<Option<Credentials>, DirectoryError> {
        self.n_asked.fetch_add(1, Ordering::Relaxed);
        if self.down {
            return Err(DirectoryError::new(DirectoryErrorKind::Unavailable, "down"));
        }
        if name.to_string() != "alice@example.com" {
            return Ok(None);
        }
        Ok(Some(Credentials {
            account: Account {
                id: AccountId::new(TenantId::new(1).unwrap(), 7).unwrap(),
                name: LoginName::parse(self.echo).unwrap(),
                state: self.state,
                quota_octets: None,
                quota_messages: None,
                storage: String::from("embedded"),
            },
            password: self.stored.clone().map(Secret::new),
            version: 1,
        }))
    }

    async fn recipient(&self, _address: &LoginName) -> Result<Option<Account>, DirectoryError> {
        Ok(None)
    }
}

fn limits() -> AuthLimits {
    AuthLimits {
        params: QUICK,
        floor: FLOOR,
        ..AuthLimits::default()
    }
}

fn authenticator(directory: OneUser) -> (Authenticator, Arc<OneUser>) {
    let directory = Arc::new(directory);
    let authenticator = Authenticator::new(Arc::clone(&directory) as Arc<dyn Directory>, limits()).unwrap();
    (authenticator, directory)
}

fn claim(name: &[u8], password: &[u8]) -> Claim {
    Claim::Password {
        name: name.to_vec(),
        password: Secret::new(password.to_vec()),
        mechanism: "USER",
    }
}

async fn verdict(directory: OneUser, name: &[u8], password: &[u8], tenant: Option<i64>) -> Verdict {
    let (authenticator, _) = authenticator(directory);
    let tenant = tenant.map(|tenant| TenantId::new(tenant).unwrap());
    authenticator.verify(claim(name, password), tenant).await
}

#[tokio::test(start_paused = true)]
async fn the_right_password_is_granted_under_every_form_of_the_name() {
    for name in ["alice@example.com", "ALICE@Example.COM.", "ａlice@example.com"] {
        let verdict = verdict(OneUser::default(), name.as_bytes(), b"right", None).await;
        let Verdict::Granted(authenticated) = verdict else {
            panic!("{name}: {verdict:?}");
        };
        assert_eq!(authenticated.account().id.number(), 7);
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_and_wrong_are_refused_alike() {
    let claims: [(&[u8], &[u8]); 12] = [
        (b"alice@example.com", b"wrong"),
        (b"alice@example.com", b""),
        (b"alice@example.com", b"ri\0ght"),
        (b"alice@example.com", b"\xff\xfe"),
        (b"alice@example.com", &[b'a'; 5000]),
        (b"bob@example.com", b"right"),
        (b"alice", b"right"),
        (b"' OR 1=1--", b"right"),
        (b"../../etc/passwd", b"right"),
        (b"\xc0\xafalice@example.com", b"right"),
        (b"\xed\xa0\x80@example.com", b"right"),
        (&[b'a'; 300], b"nobody has this password"),
    ];
    for (name, password) in claims {
        let verdict = verdict(OneUser::default(), name, password, None).await;
        assert!(
            matches!(verdict, Verdict::Refused),
            "{}: {verdict:?}",
            name.escape_ascii()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_account_state_decides_after_the_password() {
    for state in AccountState::ALL {
        let user = |password| OneUser {
            state,
            stored: Some(stored(password)),
            ..OneUser::default()
        };
        let right = verdict(user("right"), b"alice@example.com", b"right", None).await;
        let granted = matches!(right, Verdict::Granted(_));
        assert_eq!(granted, state.may_log_in(), "{state:?}");
        assert!(
            granted || matches!(right, Verdict::Refused),
            "{state:?}: {right:?}"
        );
        let wrong = verdict(user("other"), b"alice@example.com", b"right", None).await;
        assert!(matches!(wrong, Verdict::Refused), "{state:?}: {wrong:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_without_a_password_is_opened_by_none() {
    for password in ["right", "nobody has this password"] {
        let user = OneUser {
            stored: None,
            ..OneUser::default()
        };
        let verdict = verdict(user, b"alice@example.com", password.as_bytes(), None).await;
        assert!(matches!(verdict, Verdict::Refused), "{verdict:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn users_of_another_tenant_are_unknown_on_a_bound_listener() {
    let own = verdict(OneUser::default(), b"alice@example.com", b"right", Some(1)).await;
    assert!(matches!(own, Verdict::Granted(_)), "{own:?}");
    let others = verdict(OneUser::default(), b"alice@example.com", b"right", Some(2)).await;
    assert!(matches!(others, Verdict::Refused), "{others:?}");
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_is_down_gives_no_verdict_and_costs_no_hash() {
    let directory = Arc::new(OneUser {
        down: true,
        ..OneUser::default()
    });
    // A gate without permits: whoever wants to hash is told Busy.
    let closed = GateLimits {
        permits: 0,
        queue: 0,
        wait: Duration::ZERO,
    };
    let limits = AuthLimits {
        gate: closed,
        ..limits()
    };
    let authenticator = Authenticator::new(Arc::clone(&directory) as Arc<dyn Directory>, limits).unwrap();
    let verdict = authenticator
        .verify(claim(b"alice@example.com", b"right"), None)
        .await;
    assert!(matches!(verdict, Verdict::Unavailable), "{verdict:?}");
    assert_eq!(directory.n_asked.load(Ordering::Relaxed), 1);
    let known_to_be_no_name = authenticator.verify(claim(b"alice", b"right"), None).await;
    assert!(
        matches!(known_to_be_no_name, Verdict::Busy),
        "the gate is in use elsewhere"
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_for_another_name_is_never_taken() {
    let user = OneUser {
        echo: "bob@example.com",
        ..OneUser::default()
    };
    let verdict = verdict(user, b"alice@example.com", b"right", None).await;
    assert!(matches!(verdict, Verdict::Unavailable), "{verdict:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stored_hash_that_cannot_be_used_gives_no_verdict() {
    for stored in [
        "",
        "right",
        "$2y$10$abcdefghijklmnopqrstuv",
        "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        let user = OneUser {
            stored: Some(stored.to_owned()),
            ..OneUser::default()
        };
        let verdict = verdict(user, b"alice@example.com", b"right", None).await;
        assert!(matches!(verdict, Verdict::Unavailable), "{stored}: {verdict:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_refusal_takes_at_least_the_floor() {
    let (authenticator, _) = authenticator(OneUser::default());
    let claims: [(&[u8], &[u8]); 3] = [
        (b"alice@example.com", b"wrong"),
        (b"bob@example.com", b"right"),
        (b"no name at all", b"right"),
    ];
    for (name, password) in claims {
        let begun = tokio::time::Instant::now();
        let verdict = authenticator.verify(claim(name, password), None).await;
        assert!(matches!(verdict, Verdict::Refused));
        let taken = begun.elapsed();
        assert!(
            taken >= FLOOR && taken <= FLOOR * 6 / 5 + Duration::from_millis(1),
            "{taken:?}"
        );
    }
    let begun = tokio::time::Instant::now();
    let verdict = authenticator
        .verify(claim(b"alice@example.com", b"right"), None)
        .await;
    assert!(matches!(verdict, Verdict::Granted(_)));
    assert!(begun.elapsed() < FLOOR, "who is right does not wait");
}

/// One permit, no queue: a permit that leaked would show as Busy.
#[tokio::test]
async fn a_cancelled_login_leaves_the_gate_free() {
    let gate = GateLimits {
        permits: 1,
        queue: 1,
        wait: Duration::from_secs(30),
    };
    let limits = AuthLimits {
        gate,
        floor: Duration::ZERO,
        ..limits()
    };
    let authenticator = Authenticator::new(Arc::new(OneUser::default()), limits).unwrap();
    for _ in 0..20 {
        let mut login = Box::pin(authenticator.verify(claim(b"alice@example.com", b"right"), None));
        // Polled once, so that it has reached the gate, then dropped.
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(login.as_mut().poll(cx))).await;
        drop(login);
        drop(polled);
    }
    let verdict = authenticator
        .verify(claim(b"alice@example.com", b"right"), None)
        .await;
    assert!(matches!(verdict, Verdict::Granted(_)), "{verdict:?}");
}

#[tokio::test(start_paused = true)]
async fn a_login_too_soon_is_told_so_only_with_the_right_password() {
    let limits = AuthLimits {
        login_delay: Duration::from_mins(5),
        ..limits()
    };
    let authenticator = Authenticator::new(Arc::new(OneUser::default()), limits).unwrap();
    let log_in = |password: &'static [u8]| authenticator.verify(claim(b"alice@example.com", password), None);
    let Verdict::Granted(authenticated) = log_in(b"right").await else {
        panic!("the first login is granted");
    };
    assert!(
        matches!(log_in(b"right").await, Verdict::Granted(_)),
        "the maildrop was not opened"
    );
    authenticator.logged_in(&authenticated);
    assert!(matches!(log_in(b"wrong").await, Verdict::Refused));
    assert!(matches!(log_in(b"right").await, Verdict::TooSoon));
    tokio::time::advance(Duration::from_mins(5)).await;
    assert!(matches!(log_in(b"right").await, Verdict::Granted(_)));
}
