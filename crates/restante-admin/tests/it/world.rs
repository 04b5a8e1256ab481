//! Two tenants in a file, a service over it, and requests to it without a socket.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use restante_admin::{
    AdminLimits, AdminPorts, AdminService, AdminToken, AnswerClass, CertificateFacts, Health, ListenerFacts,
    LoginFacts, NodeFacts, PluginFacts, PluginState, SessionFacts, StorageFacts, Tokens,
};
use restante_auth::password::Rule;
use restante_auth::{Account, DirectoryAdmin, Keyring, LoginName, MemoryDirectory, NewAccount};
use restante_lock::LockTable;
use restante_server::SessionRegistry;
use restante_sqlite::{Sqlite, SqliteDirectory, SqliteMailIndex, SqliteOptions, SqlitePluginRegistry};
use restante_store::{MemoryMailIndex, MemoryPluginRegistry, PluginRegistry};
use restante_testkit::quick_rule;
use restante_types::{Secret, SystemClock};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

use crate::desk::MemoryDesk;

/// The provider's token.
pub(crate) const PROVIDER: &str = "provider-0123456789abcdef";
/// The provider's token for reading.
pub(crate) const READER: &str = "reader-0123456789abcdef";
/// The token of tenant acme.
pub(crate) const ACME: &str = "acme-0123456789abcdef";
/// The token of tenant acme for reading.
pub(crate) const ACME_READER: &str = "acme-reader-0123456789abcdef";
/// The token of a tenant that does not exist.
pub(crate) const GONE: &str = "gone-0123456789abcdef";

/// What the service is over.
pub(crate) struct World {
    pub(crate) directory: Arc<dyn DirectoryAdmin>,
    pub(crate) registry: Arc<SqlitePluginRegistry>,
    pub(crate) desk: Arc<MemoryDesk>,
    pub(crate) facts: Arc<Facts>,
    pub(crate) ports: AdminPorts,
    pub(crate) tokens: Tokens,
    /// What became of requests to the API.
    pub(crate) classes: Arc<Mutex<Vec<AnswerClass>>>,
    router: Router,
    _folder: TempDir,
}

/// What the running server would say.
#[derive(Default)]
pub(crate) struct Facts {
    pub(crate) unready: Mutex<Vec<String>>,
    pub(crate) storages: Mutex<Vec<StorageFacts>>,
    pub(crate) node: Mutex<Option<NodeFacts>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn read(response: axum::response::Response) -> Self {
        let (parts, body) = response.into_parts();
        let octets = body.collect().await.unwrap().to_bytes();
        Self {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(octets.to_vec()).unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// It was done, and this is the answer.
    #[track_caller]
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        if self.text.is_empty() {
            Value::Null
        } else {
            self.json()
        }
    }

    /// The plain text of an answer.
    #[track_caller]
    pub(crate) fn ok_text(&self, status: u16) -> &str {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        &self.text
    }

    /// It was refused, with a whole problem of that kind.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, kind: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(
            problem["type"],
            format!("urn:restante:problem:{kind}"),
            "{self:?}"
        );
        assert_eq!(problem["status"], status);
        for field in ["title", "detail", "remedy"] {
            assert!(
                !problem[field].as_str().unwrap().is_empty(),
                "{field} of {self:?}"
            );
        }
        problem
    }

    #[track_caller]
    pub(crate) fn names(&self, field: &str) -> Vec<String> {
        let listing = self.ok(200);
        let items = listing["items"].as_array().unwrap();
        items
            .iter()
            .map(|item| item[field].as_str().unwrap().to_owned())
            .collect()
    }
}

pub(crate) fn keyring() -> Keyring {
    Keyring::parse(&format!("1:{}", "5a".repeat(32))).unwrap()
}

pub(crate) fn name(text: &str) -> LoginName {
    LoginName::parse(text).unwrap()
}

pub(crate) fn new_account(text: &str) -> NewAccount {
    NewAccount {
        name: name(text),
        password: None,
        quota_octets: None,
        quota_messages: None,
    }
}

fn token(name: &str, token: &str, tenant: Option<&str>, read_only: bool) -> AdminToken {
    AdminToken::new(
        name,
        Secret::new(token.to_owned()),
        tenant.map(str::to_owned),
        read_only,
    )
    .unwrap()
}

pub(crate) fn tokens() -> Vec<AdminToken> {
    vec![
        token("provider", PROVIDER, None, false),
        token("reader", READER, None, true),
        token("acme", ACME, Some("acme"), false),
        token("acme-reader", ACME_READER, Some("acme"), true),
        token("gone", GONE, Some("no-such-tenant"), false),
    ]
}

pub(crate) fn storage(name: &str, plugin: Option<&str>) -> StorageFacts {
    StorageFacts {
        name: name.to_owned(),
        kind: if plugin.is_some() { "plugin" } else { "file" }.to_owned(),
        is_default: name == "local",
        plugin: plugin.map(str::to_owned),
        health: Health::Well,
    }
}

pub(crate) fn node() -> NodeFacts {
    let now = SystemClockNow::now();
    NodeFacts {
        node: "pop-1".to_owned(),
        version: "0.1.0".to_owned(),
        started: now - Duration::from_hours(50),
        listeners: vec![
            ListenerFacts {
                address: "0.0.0.0:995".to_owned(),
                protocol: "pop3s".to_owned(),
                sessions: Some(1_203),
            },
            ListenerFacts {
                address: "/run/restante/lmtp.sock".to_owned(),
                protocol: "lmtp".to_owned(),
                sessions: None,
            },
        ],
        sessions: SessionFacts {
            authorization: 31,
            transaction: 1_170,
            update: 2,
        },
        logins: LoginFacts {
            granted: 48_211,
            refused: 1_904,
            faulty: 3,
        },
        certificates: vec![
            CertificateFacts {
                source: "/etc/restante/pop.pem".to_owned(),
                names: vec!["pop.example.org".to_owned()],
                not_after: now + Duration::from_hours(24 * 61 + 1),
            },
            CertificateFacts {
                source: "certificate 3 of tenant 7".to_owned(),
                names: vec!["pop.acme.example".to_owned(), "mail.acme.example".to_owned()],
                not_after: now + Duration::from_hours(24 * 6 + 1),
            },
        ],
        plugins: vec![PluginFacts {
            name: "archive".to_owned(),
            state: PluginState::Ready,
            detail: "sha256 0a1b2c3d4e5f".to_owned(),
        }],
    }
}

/// The machine's clock, as the product reads it.
pub(crate) struct SystemClockNow;

impl SystemClockNow {
    pub(crate) fn now() -> SystemTime {
        restante_types::Clock::wall(&SystemClock)
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_, _| {}).await
    }

    /// A world whose ports and limits differ.
    pub(crate) async fn with(change: impl FnOnce(&mut AdminPorts, &mut AdminLimits)) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("restante.sqlite");
        let options = SqliteOptions::default();
        Sqlite::migrate(&path, &options).await.unwrap();
        let db = Sqlite::open(&path, &options).await.unwrap();
        let clock = Arc::new(SystemClock);
        let directory: Arc<dyn DirectoryAdmin> = Arc::new(SqliteDirectory::new(&db, clock.clone()));
        let registry = Arc::new(SqlitePluginRegistry::new(&db));
        let desk = Arc::new(MemoryDesk::default());
        let facts = Arc::new(Facts::default());
        *facts.storages.lock().unwrap() = vec![storage("local", None), storage("archive", Some("archive"))];
        *facts.node.lock().unwrap() = Some(node());
        let classes = Arc::new(Mutex::new(Vec::new()));
        let (told, of_node, of_storages, of_ready) =
            (classes.clone(), facts.clone(), facts.clone(), facts.clone());
        let mut ports = AdminPorts {
            directory: directory.clone(),
            index: Arc::new(SqliteMailIndex::for_delivery(&db, clock.clone())),
            desk: Some(desk.clone()),
            sessions: SessionRegistry::new(),
            registry: registry.clone(),
            rule: Rule {
                keyring: Some(Arc::new(keyring())),
                ..quick_rule()
            },
            clock,
            node: Arc::new(move || of_node.node.lock().unwrap().clone().unwrap()),
            storages: Arc::new(move || of_storages.storages.lock().unwrap().clone()),
            unready: Arc::new(move || of_ready.unready.lock().unwrap().clone()),
            metrics: Arc::new(|| "restante_ready 1\n".to_owned()),
            on_answer: Arc::new(move |class| told.lock().unwrap().push(class)),
        };
        let mut limits = AdminLimits {
            refusal_delay: Duration::from_millis(1),
            ..AdminLimits::default()
        };
        change(&mut ports, &mut limits);
        let tokens = Tokens::new(tokens()).unwrap();
        let router = AdminService::new(ports.clone(), tokens.clone(), limits).router();
        Self {
            directory,
            registry,
            desk,
            facts,
            ports,
            tokens,
            classes,
            router,
            _folder: folder,
        }
    }

    /// The service again, to be served over a socket.
    pub(crate) fn service(&self, limits: AdminLimits) -> AdminService {
        AdminService::new(self.ports.clone(), self.tokens.clone(), limits)
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        Answer::read(self.router.clone().oneshot(request).await.unwrap()).await
    }

    /// Asks as the holder of a token, with a JSON body unless it is null.
    pub(crate) async fn ask(&self, token: &str, method: &str, path: &str, body: Value) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "127.0.0.1:8180")
            .header(AUTHORIZATION, format!("Bearer {token}"));
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header(CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        };
        self.send(request.body(body).unwrap()).await
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Answer {
        self.ask(token, "GET", path, Value::Null).await
    }

    /// Tenants acme and globex with a domain, an account and an alias each.
    pub(crate) async fn settled(self) -> Self {
        for (tenant, domain, user, storage) in [
            ("acme", "acme.example", "ann", "local"),
            ("globex", "globex.example", "gus", "archive"),
        ] {
            self.directory.add_tenant(tenant, storage).await.unwrap();
            self.directory.add_domain(tenant, domain).await.unwrap();
            let account = format!("{user}@{domain}");
            self.directory.add_account(new_account(&account)).await.unwrap();
            let alias = restante_auth::Alias {
                address: name(&format!("info@{domain}")),
                account: name(&account),
                may_log_in: false,
            };
            self.directory.add_alias(alias).await.unwrap();
        }
        self
    }

    /// An account that is there.
    pub(crate) async fn account(&self, text: &str) -> Account {
        self.directory.account(&name(text)).await.unwrap().unwrap()
    }

    /// Installs some component.
    pub(crate) async fn install(&self, plugin: &str, component: &[u8]) {
        let digest = std::array::from_fn(|n| component[n % component.len()]);
        let at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_800_000_000_000_007);
        self.registry
            .install(plugin, digest, component.to_vec(), at)
            .await
            .unwrap();
    }
}

/// A service without a disk and without threads, for a clock that is held.
pub(crate) fn in_memory(change: impl FnOnce(&mut AdminPorts), limits: AdminLimits) -> AdminService {
    let clock = Arc::new(SystemClock);
    let table = Arc::new(LockTable::new(1).unwrap());
    let mut ports = AdminPorts {
        directory: Arc::new(MemoryDirectory::new()),
        index: Arc::new(MemoryMailIndex::new(table, clock.clone())),
        desk: None,
        sessions: SessionRegistry::new(),
        registry: Arc::new(MemoryPluginRegistry::default()),
        rule: quick_rule(),
        clock,
        node: Arc::new(node),
        storages: Arc::new(Vec::new),
        unready: Arc::new(Vec::new),
        metrics: Arc::new(String::new),
        on_answer: Arc::new(|_| {}),
    };
    change(&mut ports);
    AdminService::new(ports, Tokens::new(tokens()).unwrap(), limits)
}
