//! A TOML text as a plain value that remembers where each key was written, with the environment laid over it.
//!
//! It does not judge: whether a key exists is asked of the schema. Start at [`Document::parse`].

use std::collections::HashMap;

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use crate::schema::{Schema, join, kinds};
use crate::{ConfigError, schema};

const PREFIX: &str = "RESTANTE__";

/// The value of a configuration, and the origin of each of its keys.
pub(crate) struct Document {
    value: Value,
    places: HashMap<String, Place>,
}

enum Place {
    Line(usize),
    Variable(String),
}

impl Document {
    /// The faults are those of TOML itself; with any of them the value is not to be used.
    pub(crate) fn parse(text: &str) -> (Self, Vec<ConfigError>) {
        let (table, faults) = DeTable::parse_recoverable(text);
        let mut reader = Reader {
            text,
            places: HashMap::new(),
            faults: Vec::new(),
        };
        for fault in faults {
            let offset = fault.span().map_or(0, |span| span.start);
            reader.fault(offset, "", fault.message());
        }
        let value = reader.table("", table.get_ref());
        (
            Self {
                value,
                places: reader.places,
            },
            reader.faults,
        )
    }

    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    /// Lays `RESTANTE__AREA__KEY=value` over the file; `RESTANTE__LISTENER__0__ADDRESS` reaches into a list.
    pub(crate) fn overlay(
        &mut self,
        schema: &Schema,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Vec<ConfigError> {
        let mut ours: Vec<(String, String)> = environment
            .into_iter()
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        ours.sort();
        ours.into_iter()
            .filter_map(|(name, text)| self.set(schema, &name, &text).err())
            .collect()
    }

    fn set(&mut self, schema: &Schema, variable: &str, text: &str) -> Result<(), ConfigError> {
        let keys = variable
            .strip_prefix(PREFIX)
            .unwrap_or_default()
            .to_ascii_lowercase();
        let mut path = String::new();
        let mut node = Some(schema.root());
        let mut slot = &mut self.value;
        for key in keys.split("__") {
            let kind = node.map_or(Vec::new(), |node| kinds(schema.resolve(node)));
            node = node.and_then(|node| schema.child(node, key));
            if slot.is_null() {
                *slot = if kind.contains(&"array") {
                    Value::Array(Vec::new())
                } else {
                    Value::Object(Map::new())
                };
            }
            slot = match slot {
                Value::Object(table) => {
                    path = join(&path, key);
                    table.entry(key).or_insert(Value::Null)
                }
                Value::Array(items) => {
                    let nth = key.parse::<usize>().ok().filter(|nth| *nth <= items.len());
                    let nth = nth.ok_or_else(|| out_of_list(variable, &path, items.len()))?;
                    path = format!("{path}[{nth}]");
                    if nth == items.len() {
                        items.push(Value::Null);
                    }
                    &mut items[nth]
                }
                _ => {
                    return Err(from_variable(
                        variable,
                        &path,
                        "is a value, not a table".to_owned(),
                    ));
                }
            };
            if slot.is_null() {
                self.places
                    .insert(path.clone(), Place::Variable(variable.to_owned()));
            }
        }
        *slot = typed(text, node.map(|node| schema.resolve(node)));
        self.places.insert(path, Place::Variable(variable.to_owned()));
        Ok(())
    }

    /// Gives every fault the place of its key, or of the nearest table around it that was written.
    pub(crate) fn locate(&self, faults: &mut [ConfigError]) {
        for fault in faults.iter_mut().filter(|fault| fault.variable.is_none()) {
            let mut path = fault.path.as_str();
            let place = loop {
                match (self.places.get(path), path.rfind(['.', '['])) {
                    (Some(place), _) => break Some(place),
                    (None, Some(end)) => path = path.get(..end).unwrap_or_default(),
                    (None, None) => break None,
                }
            };
            match place {
                Some(Place::Line(line)) => fault.line = Some(*line),
                Some(Place::Variable(name)) => fault.variable = Some(name.clone()),
                None => {}
            }
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    places: HashMap<String, Place>,
    faults: Vec<ConfigError>,
}

impl Reader<'_> {
    fn table(&mut self, path: &str, table: &DeTable<'_>) -> Value {
        let mut keys: Vec<_> = table.iter().collect();
        keys.sort_by_key(|(key, _)| key.span().start);
        let entries = keys.into_iter().map(|(key, value)| {
            let path = join(path, key.get_ref());
            let offset = key.span().start;
            self.places.insert(path.clone(), Place::Line(self.line(offset)));
            (
                key.get_ref().to_string(),
                self.value(&path, offset, value.get_ref()),
            )
        });
        Value::Object(entries.collect())
    }

    fn value(&mut self, path: &str, offset: usize, value: &DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Integer(number) => {
                if let Ok(number) = i64::from_str_radix(number.as_str(), number.radix()) {
                    return Value::from(number);
                }
                self.fault(offset, path, "is too large a number");
                Value::Null
            }
            DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
            DeValue::Datetime(date) => Value::String(date.to_string()),
            DeValue::Table(table) => self.table(path, table),
            DeValue::Array(items) => {
                let items = items.iter().enumerate().map(|(nth, item)| {
                    let path = format!("{path}[{nth}]");
                    let offset = item.span().start;
                    self.places.insert(path.clone(), Place::Line(self.line(offset)));
                    self.value(&path, offset, item.get_ref())
                });
                Value::Array(items.collect())
            }
        }
    }

    fn fault(&mut self, offset: usize, path: &str, reason: &str) {
        let mut fault = ConfigError::new(path, reason);
        fault.line = Some(self.line(offset));
        self.faults.push(fault);
    }

    fn line(&self, offset: usize) -> usize {
        self.text
            .bytes()
            .take(offset)
            .filter(|octet| *octet == b'\n')
            .count()
            + 1
    }
}

/// A variable is text. Where the schema wants anything else, it is read as TOML writes that.
fn typed(text: &str, node: Option<&Value>) -> Value {
    let wants_text =
        node.is_none_or(|node| kinds(node).contains(&"string") || !schema::words(node).is_empty());
    if wants_text {
        return Value::String(text.to_owned());
    }
    let Ok(value) = DeValue::parse(text) else {
        return Value::String(text.to_owned());
    };
    let mut reader = Reader {
        text,
        places: HashMap::new(),
        faults: Vec::new(),
    };
    reader.value("", 0, value.get_ref())
}

fn out_of_list(variable: &str, path: &str, len: usize) -> ConfigError {
    let reason = if len == 0 {
        "is a list; the first entry has the index 0".to_owned()
    } else {
        format!("is a list with {len} entries; use an index from 0 to {len}")
    };
    from_variable(variable, path, reason)
}

fn from_variable(variable: &str, path: &str, reason: String) -> ConfigError {
    let mut fault = ConfigError::new(path, reason);
    fault.variable = Some(variable.to_owned());
    fault
}
