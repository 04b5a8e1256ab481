use crate::{Config, ConfigErrors, DatabaseUrl, Protocol, Storage, example_toml, reference_markdown};

const GOOD: &str = "[[listener]]\naddress = \"127.0.0.1:1110\"\nprotocol = \"pop3\"\nstls = false\nallow_plaintext_login = true\n";

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(text, "r.toml", [])
}

/// Every message about `GOOD` followed by `more`.
fn faults_of(more: &str) -> String {
    faults(&format!("{GOOD}{more}"))
}

fn faults(text: &str) -> String {
    parse(text).expect_err("the text is wrong").to_string()
}

fn with_environment(variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::parse(GOOD, "r.toml", variables)
}

#[test]
fn smallest_file_has_every_default() {
    let config = parse(GOOD).unwrap();
    assert_eq!(config.listener[0].protocol, Protocol::Pop3);
    assert_eq!(
        Config {
            listener: Vec::new(),
            ..config
        },
        Config::default()
    );
}

#[test]
fn unknown_key_is_named_with_line_and_neighbour() {
    assert_eq!(
        faults_of("[limits]\nidle_timeout_sec = 700\n"),
        "r.toml:7: limits.idle_timeout_sec: unknown key; did you mean `idle_timeout_secs`?"
    );
    assert_eq!(
        faults_of("[limit]\n"),
        "r.toml:6: limit: unknown key; did you mean `limits`?"
    );
}

#[test]
fn unknown_key_without_neighbour_lists_what_is_known() {
    assert_eq!(
        faults_of("[log]\nrotate = true\n"),
        "r.toml:7: log.rotate: unknown key; known here: format, level, audit"
    );
}

#[test]
fn unknown_key_in_a_list_and_in_a_tagged_table_is_found() {
    assert_eq!(
        faults("[[listener]]\nadress = \"127.0.0.1:110\"\nprotocol = \"pop3s\"\n"),
        "r.toml:1: listener[0].address: is missing; this key has no default\n\
         r.toml:2: listener[0].adress: unknown key; did you mean `address`?"
    );
    assert_eq!(
        faults_of("[storage.main]\nkind = \"file\"\npaths = \"/x\"\npath = \"/y\"\n"),
        "r.toml:8: storage.main.paths: unknown key; did you mean `path`?"
    );
}

#[test]
fn wrong_type_says_what_is_wanted() {
    assert_eq!(
        faults_of("[limits]\nconnections = \"many\"\n"),
        "r.toml:7: limits.connections: must be a whole number, not a text in quotes"
    );
    assert_eq!(
        faults_of("[tls]\ncertificate = 1\n"),
        "r.toml:7: tls.certificate: must be a list, not a whole number"
    );
}

#[test]
fn word_outside_the_list_names_the_list() {
    assert_eq!(
        faults("[[listener]]\naddress = \"127.0.0.1:110\"\nprotocol = \"imap\"\n"),
        "r.toml:3: listener[0].protocol: must be one of \"pop3\", \"pop3s\", \"lmtp\""
    );
    assert_eq!(
        faults_of("[storage.main]\nkind = \"nfs\"\n"),
        "r.toml:7: storage.main.kind: must be one of \"file\", \"postgres\", \"s3\", \"plugin\""
    );
}

#[test]
fn idle_timeout_under_ten_minutes_is_refused() {
    assert_eq!(
        faults_of("[limits]\nidle_timeout_secs = 599\n"),
        "r.toml:7: limits.idle_timeout_secs: 599 is out of range; allowed: 600 to 86400"
    );
    assert!(parse(&format!("{GOOD}[limits]\nidle_timeout_secs = 600\n")).is_ok());
}

#[test]
fn negative_and_huge_numbers_are_refused() {
    assert_eq!(
        faults_of("[limits]\nconnections = -1\n"),
        "r.toml:7: limits.connections: -1 is out of range; allowed: 1 to 1000000"
    );
    assert_eq!(
        faults_of("[limits]\nconnections = 99999999999999999999\n"),
        "r.toml:7: limits.connections: is too large a number"
    );
}

#[test]
fn bad_address_shows_how_addresses_are_written() {
    assert_eq!(
        faults("[[listener]]\naddress = \"localhost:110\"\nprotocol = \"lmtp\"\n"),
        "r.toml:2: listener[0].address: not an address with a port; write \"127.0.0.1:110\", \"[::]:995\" or \
         \"unix:/run/restante/lmtp.sock\""
    );
}

#[test]
fn proxy_that_is_no_network_is_told_the_network() {
    assert_eq!(
        faults(
            "[[listener]]\naddress = \"127.0.0.1:24\"\nprotocol = \"lmtp\"\ntrusted_proxies = [\n  \"10.0.0.1\",\n  \"lb\"]\n"
        ),
        "r.toml:5: listener[0].trusted_proxies[0]: is an address, not a network; write \"10.0.0.1/32\"\n\
         r.toml:6: listener[0].trusted_proxies[1]: not a network; write \"10.0.0.0/8\" or \"fd00::/8\""
    );
}

#[test]
fn postgres_is_named_with_its_database() {
    let config = parse(&format!(
        "{GOOD}[database]\nurl = \"postgres://u:secret@db/restante\"\n"
    ))
    .unwrap();
    assert!(matches!(config.database.target(), Ok(DatabaseUrl::Postgres(_))));
    assert!(
        !format!("{config:?}").contains("secret"),
        "a password is never shown"
    );
    assert_eq!(
        faults_of("[database]\nurl = \"postgres://\"\n"),
        "r.toml:7: database.url: no database is named; write \"postgres://restante@db.example.org/restante\""
    );
}

#[test]
fn what_only_postgres_has_is_refused_beside_sqlite() {
    assert_eq!(
        faults_of("[database]\npooler = \"transaction\"\n"),
        "r.toml:7: database.pooler: has a meaning for postgres:// only; remove it, or change database.url"
    );
}

#[test]
fn external_needs_an_authority() {
    assert_eq!(
        faults_of("[auth]\nmechanisms = [\"EXTERNAL\", \"PLAIN\"]\n"),
        "r.toml:7: auth.mechanisms: EXTERNAL needs to know who signs clients' certificates; set tls.client_authority_file"
    );
}

#[test]
fn missing_file_says_which_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.toml");
    let message = Config::load(&path, []).unwrap_err().to_string();
    assert_eq!(
        message,
        format!(
            "{}: cannot be read: No such file or directory (os error 2); name an existing file with --config",
            path.display()
        )
    );
}

#[test]
fn broken_toml_names_every_line() {
    let text = faults("[log]\nlevel = = 2\nformat = @\n");
    assert!(
        text.contains("r.toml:2: ") && text.contains("r.toml:3: "),
        "{text}"
    );
}

#[test]
fn all_faults_come_at_once_in_the_order_of_the_file() {
    let text = faults_of("[limits]\nfoo = 1\nbad_commands = 0\n[log]\nlevel = \"loud\"\n");
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    assert_eq!(lines, ["r.toml:7", "r.toml:8", "r.toml:10"]);
}

#[test]
fn pop3s_without_certificate_is_refused() {
    assert_eq!(
        faults("[[listener]]\naddress = \"[::]:995\"\nprotocol = \"pop3s\"\n"),
        "r.toml:3: listener[0].protocol: pop3s needs a certificate; add [[tls.certificate]]"
    );
}

#[test]
fn pop3_that_nobody_could_log_in_to_is_refused() {
    assert_eq!(
        faults("[[listener]]\naddress = \"[::]:110\"\nprotocol = \"pop3\"\nstls = false\n"),
        "r.toml:4: listener[0].stls: nobody could log in without TLS; set stls = true or allow_plaintext_login = true"
    );
}

#[test]
fn lmtp_open_to_other_hosts_wants_a_word() {
    let open = "[[listener]]\naddress = \"0.0.0.0:24\"\nprotocol = \"lmtp\"\n";
    assert!(faults(open).starts_with("r.toml:2: listener[0].address: whoever reaches it can deliver mail"));
    assert!(parse(&format!("{open}allow_remote = true\n")).is_ok());
}

#[test]
fn duplicate_addresses_are_refused_except_port_zero() {
    let twice = |address: &str| {
        let one = format!("[[listener]]\naddress = \"{address}\"\nprotocol = \"lmtp\"\n");
        parse(&format!("{one}{one}"))
    };
    assert_eq!(
        twice("127.0.0.1:24").unwrap_err().to_string(),
        "r.toml:5: listener[1].address: 127.0.0.1:24 is taken by listener[0]; choose another port"
    );
    assert!(twice("127.0.0.1:0").is_ok());
}

#[test]
fn default_storage_must_exist() {
    assert_eq!(
        faults_of("[storage.cold]\nkind = \"file\"\npath = \"/x\"\n"),
        "r.toml: default_storage: there is no [storage.main]; known: cold"
    );
}

#[test]
fn environment_wins_over_the_file() {
    let config = with_environment(&[
        ("RESTANTE__DATABASE__URL", "sqlite://other.db"),
        ("RESTANTE__LIMITS__CONNECTIONS", "7"),
        ("RESTANTE__LISTENER__0__ADDRESS", "127.0.0.1:4"),
        ("RESTANTE__LISTENER__0__TENANT", "42"),
        ("RESTANTE__COLLECTOR__ENABLED", "false"),
        ("RESTANTE_REQUIRE", "all"),
    ])
    .unwrap();
    assert_eq!(config.database.url.expose(), "sqlite://other.db");
    assert_eq!(config.limits.connections, 7);
    assert_eq!(config.listener[0].address.to_string(), "127.0.0.1:4");
    assert_eq!(config.listener[0].tenant.as_deref(), Some("42"));
    assert!(!config.collector.enabled);
}

#[test]
fn environment_can_add_a_listener() {
    let config = with_environment(&[
        ("RESTANTE__LISTENER__1__ADDRESS", "127.0.0.1:24"),
        ("RESTANTE__LISTENER__1__PROTOCOL", "lmtp"),
    ])
    .unwrap();
    assert_eq!(config.listener[1].protocol, Protocol::Lmtp);
}

#[test]
fn faults_of_the_environment_name_the_variable() {
    let message = |name, value| with_environment(&[(name, value)]).unwrap_err().to_string();
    assert_eq!(
        message("RESTANTE__DATABSE__URL", "x"),
        "environment RESTANTE__DATABSE__URL: databse: unknown key; did you mean `database`?"
    );
    assert_eq!(
        message("RESTANTE__LIMITS__CONNECTIONS", "many"),
        "environment RESTANTE__LIMITS__CONNECTIONS: limits.connections: must be a whole number, not a text in quotes"
    );
    assert_eq!(
        message("RESTANTE__LISTENER__7__TENANT", "x"),
        "environment RESTANTE__LISTENER__7__TENANT: listener: is a list with 1 entries; use an index from 0 to 1"
    );
}

#[test]
fn settings_built_in_code_are_checked_like_a_file() {
    let mut config = parse(GOOD).unwrap();
    assert!(config.check().is_ok());
    config.limits.idle_timeout_secs = 1;
    assert_eq!(
        config.check().unwrap_err().to_string(),
        "configuration: limits.idle_timeout_secs: 1 is out of range; allowed: 600 to 86400"
    );
}

#[test]
fn missing_key_file_is_found_by_check_files() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("cert.pem");
    std::fs::write(&certificate, "").unwrap();
    let text = format!(
        "{GOOD}[[tls.certificate]]\ncertificate_file = {certificate:?}\nkey_file = \"/nowhere/key.pem\"\n"
    );
    assert_eq!(
        parse(&text).unwrap().check_files().unwrap_err().to_string(),
        "configuration: tls.certificate[0].key_file: /nowhere/key.pem cannot be read: No such file or directory (os error 2)"
    );
}

#[test]
fn example_is_correct() {
    let config = parse(&example_toml()).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(config.listener.len(), 3);
}

#[test]
fn every_commented_key_of_the_example_is_correct() {
    let example = example_toml();
    let is_key = |line: &str| {
        line.strip_prefix('#')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
    };
    // The keys of another kind of storage than the example's belong into a table of their own.
    let mut tables = [
        ("", vec![]),
        ("# Of kind s3.", vec!["[storage.bucket]", "kind = \"s3\""]),
        (
            "# Of kind plugin.",
            vec![
                "[storage.cold]",
                "kind = \"file\"",
                "path = \"/x\"",
                "[storage.other]",
                "kind = \"plugin\"",
            ],
        ),
    ];
    let mut at = 0;
    for line in example.lines() {
        match tables.iter().position(|(kind, _)| *kind == line) {
            Some(nth) => at = nth,
            None if line.is_empty() => at = 0,
            None => {}
        }
        let key = if is_key(line) {
            line.trim_start_matches('#')
        } else {
            line
        };
        tables[at].1.push(key);
    }
    assert!(
        tables.iter().map(|(_, keys)| keys.len()).ge([200, 10, 4]),
        "the example shows the commented keys"
    );
    let whole = tables.map(|(_, keys)| keys.join("\n")).join("\n");
    let whole = whole
        .replace("plugin = \"seal\"", "plugin = \"main\"")
        .replace("inner = \"bucket\"", "inner = \"cold\"");
    parse(&whole).unwrap_or_else(|faults| panic!("{faults}"));
}

#[test]
fn every_field_is_described() {
    let schema = serde_json::to_value(schemars::schema_for!(Config)).unwrap();
    let mut silent = Vec::new();
    collect_silent("", &schema, &mut silent);
    assert_eq!(silent, Vec::<String>::new());
}

fn collect_silent(path: &str, node: &serde_json::Value, silent: &mut Vec<String>) {
    for (key, child) in node["properties"].as_object().into_iter().flatten() {
        if child["description"].is_null() && child.get("const").is_none() {
            silent.push(format!("{path}{key}"));
        }
    }
    for (name, child) in node["$defs"].as_object().into_iter().flatten() {
        collect_silent(&format!("{name}."), child, silent);
    }
}

#[test]
fn pages_in_deploy_are_fresh() {
    let deploy = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/");
    let pages = [
        ("CONFIGURATION.md", reference_markdown()),
        ("restante.example.toml", example_toml()),
    ];
    for (name, fresh) in pages {
        let stored = std::fs::read_to_string(format!("{deploy}{name}")).unwrap_or_default();
        assert!(
            stored == fresh,
            "deploy/{name} is stale; run `cargo xtask generate`"
        );
    }
}

#[test]
fn a_bucket_needs_its_name_and_knows_its_keys() {
    assert_eq!(
        faults_of("[storage.main]\nkind = \"s3\"\n"),
        "r.toml:6: storage.main.bucket: is missing; this key has no default"
    );
    assert_eq!(
        faults_of("[storage.main]\nkind = \"s3\"\nbucket = \"b\"\nendpiont = \"x\"\n"),
        "r.toml:9: storage.main.endpiont: unknown key; did you mean `endpoint`?"
    );
    let text = format!("{GOOD}[storage.main]\nkind = \"s3\"\nbucket = \"b\"\n");
    let config = parse(&text).unwrap();
    let Storage::S3(s3) = &config.storage["main"] else {
        panic!("{config:?}");
    };
    assert_eq!(
        (s3.bucket.as_str(), s3.profile.as_str(), s3.put_memory_mib),
        ("b", "default", 256)
    );
}

#[test]
fn rows_need_postgres_and_are_one_storage() {
    let rows = "[storage.main]\nkind = \"postgres\"\n";
    assert_eq!(
        faults_of(rows),
        "r.toml:7: storage.main.kind: needs database.url = \"postgres://...\""
    );
    let database = "[database]\nurl = \"postgres://u@h/d\"\n";
    assert!(parse(&format!("{GOOD}{database}{rows}")).is_ok());
    assert!(
        faults_of(&format!("{database}{rows}[storage.more]\nkind = \"postgres\"\n")).contains("remove one")
    );
}

const PLUGIN: &str = "[plugin.seal]\n[storage.main]\nkind = \"file\"\npath = \"/x\"\n\
    [storage.cold]\nkind = \"file\"\npath = \"/y\"\n";

fn faults_of_storage(text: &str) -> String {
    faults_of(&format!("{PLUGIN}[storage.p]\nkind = \"plugin\"\n{text}"))
}

#[test]
fn a_plugin_s_configuration_is_any_table() {
    let text = format!(
        "{GOOD}{PLUGIN}[storage.p]\nkind = \"plugin\"\nplugin = \"seal\"\ninner = \"cold\"\n\
        config = {{ key = \"k\", list = [1, {{ x = true }}] }}\n"
    );
    let config = parse(&text).unwrap();
    let Storage::Plugin(storage) = &config.storage["p"] else {
        panic!("another kind");
    };
    assert_eq!(
        serde_json::to_string(&storage.config).unwrap(),
        r#"{"key":"k","list":[1,{"x":true}]}"#
    );
}

#[test]
fn what_is_beneath_a_plugin_is_its_alone() {
    for (text, fault) in [
        ("plugin = \"zeal\"\n", "there is no [plugin.zeal]"),
        ("plugin = \"seal\"\ninner = \"x\"\n", "there is no [storage.x]"),
        ("plugin = \"seal\"\ninner = \"main\"\n", "the default storage"),
        ("plugin = \"seal\"\ninner = \"p\"\n", "beneath itself"),
        (
            "plugin = \"seal\"\ninner = \"cold\"\n[storage.q]\nkind = \"plugin\"\nplugin = \"seal\"\ninner = \"cold\"\n",
            "beneath storage.p already",
        ),
        (
            "plugin = \"seal\"\ninner = \"q\"\n[storage.q]\nkind = \"plugin\"\nplugin = \"seal\"\nworld = \"maildrop\"\n",
            "keeps whole maildrops",
        ),
    ] {
        let found = faults_of_storage(text);
        assert!(found.contains(fault), "{found}");
    }
}
