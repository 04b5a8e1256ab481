//! The reference page and the example, written from the types: neither can say what the code does not do.
//!
//! `cargo xtask generate` stores both under `deploy/`; a test compares them. Start at [`reference_markdown`].

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use serde_json::Value;

use crate::schema::{Property, Schema, branches, in_words, kinds, tag, words};
use crate::{Certificate, Config, ListenAddress, Listener, Plugin, Protocol};

const NEVER_FULL: &str = "a String takes every text";

/// Every key with its meaning, type, default and range, as a Markdown page.
pub fn reference_markdown() -> String {
    let mut page = String::new();
    write_reference(&mut page).expect(NEVER_FULL);
    page
}

fn write_reference(page: &mut String) -> fmt::Result {
    let schema = Schema::of_config();
    page.push_str(
        "# Configuration\n\n\
         <!-- Written by `cargo xtask generate` from crates/restante-config; change the types there. -->\n\n\
         All settings of `restante.toml`. A key that is left out has its default; a key that does not exist is an\n\
         error. Any key can be set by an environment variable, which wins over the file: `RESTANTE__DATABASE__URL`\n\
         is `url` in `[database]`, `RESTANTE__LISTENER__0__ADDRESS` is `address` of the first `[[listener]]`.\n\
         `restante check-config` says what is wrong with a file, with line numbers.\n\n## Top level\n",
    );
    let areas = areas(&schema);
    for property in &areas.plain {
        describe_key(page, &schema, property)?;
    }
    for area in &areas.tables {
        write!(
            page,
            "\n## `{}`\n\n{}\n",
            area.header,
            description(&schema, area.node)
        )?;
        for property in &area.keys {
            describe_key(page, &schema, property)?;
            for (kind, meaning) in kinds_of(&schema, area.table, property) {
                writeln!(page, "- `\"{kind}\"`: {}", meaning.replace('\n', "\n  "))?;
            }
        }
    }
    Ok(())
}

/// Of the key that says which kind a table is: the kinds and what they mean.
fn kinds_of<'s>(schema: &'s Schema, table: &'s Value, property: &Property<'_>) -> Vec<(&'s str, &'s str)> {
    let tagged = branches(schema.resolve(table)).iter();
    let kinds = tagged.filter_map(|branch| Some((tag(branch)?, branch["description"].as_str()?)));
    let kinds = kinds.filter(|((key, _), _)| *key == property.name);
    kinds.map(|((_, kind), meaning)| (kind, meaning)).collect()
}

/// A configuration that works after its paths and names are changed, with every other key as a comment.
pub fn example_toml() -> String {
    let mut text = String::new();
    write_example(&mut text).expect(NEVER_FULL);
    text
}

fn write_example(text: &mut String) -> fmt::Result {
    let schema = Schema::of_config();
    let config = serde_json::to_value(example()).unwrap_or_default();
    text.push_str(
        "# Restante: an example configuration, with every key. A commented key shows its default, or an example.\n\
         # Written by `cargo xtask generate`; CONFIGURATION.md beside it is the reference.\n",
    );
    let areas = areas(&schema);
    for property in &areas.plain {
        write_key(text, &schema, property, &Value::Null, &[])?;
    }
    for area in &areas.tables {
        let values = area.example_values(&config);
        for (nth, value) in values.iter().enumerate() {
            text.push('\n');
            if nth == 0 {
                comment(text, &description(&schema, area.node))?;
            }
            writeln!(text, "{}", area.header.replace("NAME", "main"))?;
            for property in &area.keys {
                // The keys are explained once, at the first entry of a list; later entries show what they set.
                if nth == 0 {
                    write_key(
                        text,
                        &schema,
                        property,
                        value,
                        &kinds_of(&schema, area.table, property),
                    )?;
                } else if let Some(set) = set_value(&schema, property, value) {
                    writeln!(text, "{} = {}", property.name, toml(&set))?;
                }
            }
        }
    }
    Ok(())
}

fn example() -> Config {
    let listener = |address: ListenAddress, protocol| Listener::new(address, protocol);
    let tcp = |port| ListenAddress::Tcp((std::net::Ipv6Addr::UNSPECIFIED, port).into());
    let mut config = Config {
        listener: vec![
            listener(tcp(995), Protocol::Pop3s),
            listener(tcp(110), Protocol::Pop3),
            listener(
                ListenAddress::Unix(PathBuf::from("/run/restante/lmtp.sock")),
                Protocol::Lmtp,
            ),
        ],
        ..Config::default()
    };
    config.plugin.insert("main".to_owned(), Plugin::default());
    config.tls.certificate.push(Certificate {
        certificate_file: PathBuf::from("/etc/restante/fullchain.pem"),
        key_file: PathBuf::from("/etc/restante/privkey.pem"),
        names: Vec::new(),
    });
    config
}

/// A TOML table of the page: an area, or a table inside it.
struct Area<'s> {
    header: String,
    path: Vec<&'s str>,
    node: &'s Value,
    /// Of one entry.
    table: &'s Value,
    keys: Vec<Property<'s>>,
}

struct Areas<'s> {
    plain: Vec<Property<'s>>,
    tables: Vec<Area<'s>>,
}

/// The keys of the top level that are no tables, then the tables with the tables inside them.
fn areas(schema: &Schema) -> Areas<'_> {
    let mut found = Areas {
        plain: Vec::new(),
        tables: Vec::new(),
    };
    for property in schema.properties(schema.root()) {
        match table_of(schema, property.node) {
            Some(_) => add_table(schema, &mut found.tables, &[], &property),
            None => found.plain.push(property),
        }
    }
    found
}

fn add_table<'s>(schema: &'s Schema, tables: &mut Vec<Area<'s>>, above: &[&'s str], property: &Property<'s>) {
    let Some((node, shape)) = table_of(schema, property.node) else {
        return;
    };
    let path = [above, &[property.name]].concat();
    let name = path.join(".");
    let header = match shape {
        Shape::One => format!("[{name}]"),
        Shape::List => format!("[[{name}]]"),
        Shape::Named => format!("[{name}.NAME]"),
    };
    let (inner, keys) = schema
        .properties(node)
        .into_iter()
        .partition::<Vec<_>, _>(|key| table_of(schema, key.node).is_some());
    tables.push(Area {
        header,
        path: path.clone(),
        node: property.node,
        table: node,
        keys,
    });
    for property in inner {
        add_table(schema, tables, &path, &property);
    }
}

enum Shape {
    One,
    List,
    Named,
}

fn table_of<'s>(schema: &'s Schema, node: &'s Value) -> Option<(&'s Value, Shape)> {
    let node = schema.resolve(node);
    let is_table = |node: &Value| !schema.properties(node).is_empty();
    if is_table(node) {
        return Some((node, Shape::One));
    }
    let (items, named) = (
        schema.resolve(&node["items"]),
        schema.resolve(&node["additionalProperties"]),
    );
    if is_table(items) {
        return Some((items, Shape::List));
    }
    is_table(named).then_some((named, Shape::Named))
}

impl Area<'_> {
    fn example_values(&self, config: &Value) -> Vec<Value> {
        let value = self.path.iter().fold(config, |value, key| &value[*key]);
        match value {
            Value::Array(items) => items.clone(),
            Value::Object(named) if self.header.ends_with(".NAME]") => named.values().cloned().collect(),
            other => vec![other.clone()],
        }
    }
}

fn description(schema: &Schema, node: &Value) -> String {
    let own = node["description"].as_str();
    let full = schema.resolve(node)["description"].as_str();
    let text = match (own, full) {
        // The type's text is the longer one when it begins with the field's.
        (Some(own), Some(full)) if full.starts_with(own) => full,
        (Some(own), _) => own,
        (None, full) => full.unwrap_or_default(),
    };
    text.lines()
        .map(|line| line.trim_end_matches("(crate::Config::check)"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn describe_key(page: &mut String, schema: &Schema, property: &Property<'_>) -> fmt::Result {
    let node = schema.resolve(property.node);
    let default = match default_of(property) {
        Some(value) => format!("default `{value}`"),
        None if property.required => "required".to_owned(),
        None => "not set by default".to_owned(),
    };
    write!(page, "\n### `{}`\n\n", property.name)?;
    match property.kinds.as_slice() {
        [] => writeln!(page, "{}; {default}.\n", allowed(node))?,
        kinds => writeln!(
            page,
            "{}; {default}. Of kind {}.\n",
            allowed(node),
            in_quotes(kinds)
        )?,
    }
    if node.get("const").is_none() {
        writeln!(page, "{}", description(schema, property.node))?;
    }
    if words(node).is_empty() {
        return Ok(());
    }
    page.push('\n');
    for branch in branches(node) {
        let meaning = branch["description"].as_str().unwrap_or_default();
        writeln!(page, "- `{}`: {meaning}", branch["const"])?;
    }
    Ok(())
}

/// What may be written, in words.
fn allowed(node: &Value) -> String {
    let words = words(node);
    if !words.is_empty() {
        return "One of the words below".to_owned();
    }
    if node.get("const").is_some() {
        return "One of the words below".to_owned();
    }
    let kind = kinds(node).first().map_or("a value", |kind| in_words(kind));
    let mut text: String = kind
        .chars()
        .take(1)
        .flat_map(char::to_uppercase)
        .chain(kind.chars().skip(1))
        .collect();
    if let (Some(least), Some(most)) = (node["minimum"].as_i64(), node["maximum"].as_i64()) {
        text.extend([", ", &least.to_string(), " to ", &most.to_string()]);
    }
    text
}

fn in_quotes(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
    quoted.join(", ")
}

fn default_of<'s>(property: &Property<'s>) -> Option<&'s Value> {
    property.node.get("default").filter(|value| !value.is_null())
}

fn set_value(schema: &Schema, property: &Property<'_>, table: &Value) -> Option<Value> {
    let fallback = schema
        .resolve(property.node)
        .get("const")
        .filter(|_| property.required);
    let value = table
        .get(property.name)
        .filter(|value| !value.is_null())
        .or(fallback)?;
    (property.required || Some(value) != default_of(property)).then(|| value.clone())
}

fn write_key(
    text: &mut String,
    schema: &Schema,
    property: &Property<'_>,
    table: &Value,
    kinds: &[(&str, &str)],
) -> fmt::Result {
    let node = schema.resolve(property.node);
    text.push('\n');
    if node.get("const").is_none() {
        comment(text, &description(schema, property.node))?;
    }
    for (kind, meaning) in kinds {
        comment(text, &format!("{kind}: {meaning}"))?;
    }
    if !property.kinds.is_empty() {
        writeln!(text, "# Of kind {}.", property.kinds.join(", "))?;
    }
    let words = words(node);
    if words.is_empty() {
        if let (Some(least), Some(most)) = (node["minimum"].as_i64(), node["maximum"].as_i64()) {
            writeln!(text, "# From {least} to {most}.")?;
        }
    } else {
        writeln!(text, "# One of: {}.", words.join(", "))?;
    }
    let shown = set_value(schema, property, table);
    let sample = default_of(property).or_else(|| property.node["examples"].get(0));
    match (shown, sample) {
        (Some(value), _) => writeln!(text, "{} = {}", property.name, toml(&value)),
        (None, Some(value)) => writeln!(text, "#{} = {}", property.name, toml(value)),
        (None, None) => Ok(()),
    }
}

/// A value as TOML writes it: unlike JSON where it is a table.
fn toml(value: &Value) -> String {
    let Value::Object(table) = value else {
        return value.to_string();
    };
    let keys: Vec<String> = table
        .iter()
        .map(|(key, value)| format!("{key} = {}", toml(value)))
        .collect();
    match keys.as_slice() {
        [] => "{}".to_owned(),
        keys => format!("{{ {} }}", keys.join(", ")),
    }
}

fn comment(text: &mut String, prose: &str) -> fmt::Result {
    for line in prose.lines() {
        writeln!(text, "{}", format!("# {line}").trim_end())?;
    }
    Ok(())
}
