//! The JSON Schema of [`Config`](crate::Config), made from the types, and the comparison of a value with it.
//!
//! serde stops at the first fault; this finds all of them and knows the neighbours of a misspelt key. It understands
//! the part of JSON Schema that our own types produce, no more. Start at [`Schema::validate`].

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Map, Value};

use crate::{Config, ConfigError, DatabaseUrl, ListenAddress, address, area};

pub(crate) struct Schema {
    root: Value,
}

/// One key of an area.
pub(crate) struct Property<'s> {
    pub(crate) name: &'s str,
    pub(crate) node: &'s Value,
    pub(crate) required: bool,
    /// Of a tagged choice: the kinds that have this key, none if all have it.
    pub(crate) kinds: Vec<&'s str>,
}

impl Schema {
    pub(crate) fn of_config() -> Self {
        Self {
            root: schemars::schema_for!(Config).to_value(),
        }
    }

    pub(crate) fn root(&self) -> &Value {
        &self.root
    }

    /// Follows `$ref` to the definition.
    pub(crate) fn resolve<'s>(&'s self, node: &'s Value) -> &'s Value {
        let target = node["$ref"].as_str().and_then(|name| name.strip_prefix('#'));
        target
            .and_then(|pointer| self.root.pointer(pointer))
            .unwrap_or(node)
    }

    /// The keys of a table, in the order of the struct. A tagged choice has the keys of all its kinds.
    pub(crate) fn properties<'s>(&'s self, node: &'s Value) -> Vec<Property<'s>> {
        let node = self.resolve(node);
        let mut found: Vec<Property<'s>> = Vec::new();
        for table in std::iter::once(node).chain(branches(node)) {
            let kind = tag(table);
            let required = table["required"].as_array().map_or(&[][..], Vec::as_slice);
            for (name, node) in table["properties"].as_object().into_iter().flatten() {
                let own_kind = kind.filter(|(tag, _)| tag != name).map(|(_, kind)| kind);
                match found.iter_mut().find(|known| known.name == name) {
                    Some(known) => known.kinds.extend(own_kind),
                    None => found.push(Property {
                        name,
                        node,
                        required: required.iter().any(|key| key == name),
                        kinds: own_kind.into_iter().collect(),
                    }),
                }
            }
        }
        found
    }

    /// The schema of what stands under `key` in a table, or at any index of a list.
    pub(crate) fn child<'s>(&'s self, node: &'s Value, key: &str) -> Option<&'s Value> {
        let named = self
            .properties(node)
            .into_iter()
            .find(|property| property.name == key);
        let node = self.resolve(node);
        named
            .map(|property| property.node)
            .or_else(|| Some(&node["additionalProperties"]).filter(|any| any.is_object() || is_anything(any)))
            .or_else(|| Some(&node["items"]).filter(|any| any.is_object()))
    }

    /// Everything in `value` that the schema does not allow.
    pub(crate) fn validate(&self, value: &Value) -> Vec<ConfigError> {
        let mut faults = Vec::new();
        self.compare("", value, &self.root, &mut faults);
        faults
    }

    fn compare(&self, path: &str, value: &Value, node: &Value, faults: &mut Vec<ConfigError>) {
        let node = self.resolve(node);
        if is_anything(node) {
            return;
        }
        if !branches(node).is_empty() {
            return self.compare_choice(path, value, node, faults);
        }
        let kinds = kinds(node);
        if !kinds.is_empty() && !kinds.contains(&kind_of(value)) {
            let reason = format!("must be {}, not {}", in_words(kinds[0]), in_words(kind_of(value)));
            faults.push(ConfigError::new(path, reason));
            return;
        }
        match value {
            Value::Object(table) => self.compare_table(path, table, node, faults),
            Value::Array(items) => {
                for (nth, item) in items.iter().enumerate() {
                    self.compare(&format!("{path}[{nth}]"), item, &node["items"], faults);
                }
            }
            Value::Number(_) => faults.extend(out_of_range(path, value, node)),
            Value::String(text) => faults.extend(malformed(path, text, node)),
            Value::Bool(_) | Value::Null => {}
        }
    }

    /// A word from a list, or a table whose tag says which kind it is.
    fn compare_choice(&self, path: &str, value: &Value, node: &Value, faults: &mut Vec<ConfigError>) {
        let words = words(node);
        if !words.is_empty() {
            if !words.iter().any(|word| value == word) {
                faults.push(ConfigError::new(path, format!("must be {}", one_of(&words))));
            }
            return;
        }
        let Some(table) = value.as_object() else {
            let reason = format!("must be a table, not {}", in_words(kind_of(value)));
            faults.push(ConfigError::new(path, reason));
            return;
        };
        let kinds: Vec<&str> = branches(node)
            .iter()
            .filter_map(tag)
            .map(|(_, word)| word)
            .collect();
        let chosen = branches(node).iter().find(|branch| {
            tag(branch).is_some_and(|(key, word)| table.get(key).is_some_and(|given| given == word))
        });
        match (chosen, branches(node).first().and_then(tag)) {
            (Some(branch), _) => self.compare_table(path, table, branch, faults),
            (None, Some((key, _))) => {
                faults.push(ConfigError::new(
                    join(path, key),
                    format!("must be {}", one_of(&kinds)),
                ));
            }
            (None, None) => {}
        }
    }

    fn compare_table(
        &self,
        path: &str,
        table: &Map<String, Value>,
        node: &Value,
        faults: &mut Vec<ConfigError>,
    ) {
        let known = self.properties(node);
        for (key, value) in table {
            match self.child(node, key) {
                Some(child) if child.get("const").is_none() => {
                    self.compare(&join(path, key), value, child, faults);
                }
                Some(_) => {}
                None => {
                    let names: Vec<&str> = known.iter().map(|property| property.name).collect();
                    faults.push(ConfigError::new(join(path, key), unknown_key(key, &names)));
                }
            }
        }
        for missing in known
            .iter()
            .filter(|key| key.required && !table.contains_key(key.name))
        {
            faults.push(ConfigError::new(
                join(path, missing.name),
                "is missing; this key has no default",
            ));
        }
    }
}

/// The schema that every value fits.
fn is_anything(node: &Value) -> bool {
    *node == Value::Bool(true)
}

/// The alternatives of a choice.
pub(crate) fn branches(node: &Value) -> &[Value] {
    node["oneOf"].as_array().map_or(&[], Vec::as_slice)
}

/// The words of a choice between words; empty for any other schema.
pub(crate) fn words(node: &Value) -> Vec<&str> {
    branches(node)
        .iter()
        .filter_map(|branch| branch["const"].as_str())
        .collect()
}

/// The types that a value may have, the first as the one a person writes.
pub(crate) fn kinds(node: &Value) -> Vec<&str> {
    match &node["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// `path.key`, or `key` at the top.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The key that says which kind a branch of a tagged choice is, and the kind.
pub(crate) fn tag(branch: &Value) -> Option<(&str, &str)> {
    let properties = branch["properties"].as_object()?;
    properties
        .iter()
        .find_map(|(key, node)| Some((key.as_str(), node["const"].as_str()?)))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

pub(crate) fn in_words(kind: &str) -> &'static str {
    match kind {
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number with a fraction",
        "string" => "a text in quotes",
        "array" => "a list",
        "object" => "a table",
        _ => "nothing",
    }
}

fn out_of_range(path: &str, value: &Value, node: &Value) -> Option<ConfigError> {
    let (least, most) = (&node["minimum"], &node["maximum"]);
    let number = value
        .as_i64()
        .map(i128::from)
        .or_else(|| value.as_u64().map(i128::from))?;
    let limit = |bound: &Value| bound.as_i64().map(i128::from);
    let low = limit(least).is_some_and(|least| number < least);
    let high = limit(most).is_some_and(|most| number > most);
    (low || high).then(|| {
        ConfigError::new(
            path,
            format!("{number} is out of range; allowed: {least} to {most}"),
        )
    })
}

fn malformed(path: &str, text: &str, node: &Value) -> Option<ConfigError> {
    let reason = match node["format"].as_str()? {
        address::FORMAT => text.parse::<ListenAddress>().err()?.to_owned(),
        area::DATABASE_FORMAT => text.parse::<DatabaseUrl>().err()?.to_owned(),
        area::NETWORK_FORMAT => {
            text.parse::<IpNet>().err()?;
            match text.parse::<IpAddr>() {
                Ok(host) => format!("is an address, not a network; write \"{}\"", IpNet::from(host)),
                Err(_) => "not a network; write \"10.0.0.0/8\" or \"fd00::/8\"".to_owned(),
            }
        }
        _ => return None,
    };
    Some(ConfigError::new(path, reason))
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(key, name), name))
        .max_by(|left, right| left.0.total_cmp(&right.0));
    match nearest {
        Some((likeness, name)) if likeness >= 0.6 => format!("unknown key; did you mean `{name}`?"),
        _ => format!("unknown key; known here: {}", known.join(", ")),
    }
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    if quoted.len() == 1 {
        quoted.concat()
    } else {
        format!("one of {}", quoted.join(", "))
    }
}
