//! Calls of methods, and their answers (RFC 8620 sections 3.3 and 3.4).

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::refusal::{Intent, Refusal};
use crate::restante::storage::types::Error;
use crate::session::{CORE, MAIL};

/// Calls that go into one request; each is known by its number.
#[derive(Debug, Default)]
pub struct Calls(Vec<Value>);

impl Calls {
    pub fn push(&mut self, method: &str, arguments: &Value) -> usize {
        let nth = self.0.len();
        self.0.push(json!([method, arguments, nth.to_string()]));
        nth
    }

    pub fn into_body(self) -> Vec<u8> {
        json!({"using": [CORE, MAIL], "methodCalls": self.0})
            .to_string()
            .into_bytes()
    }
}

/// What an argument is taken from (RFC 8620 section 3.7).
pub fn result_of(nth: usize, method: &str, path: &str) -> Value {
    json!({"resultOf": nth.to_string(), "name": method, "path": path})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answers {
    method_responses: Vec<(String, Value, String)>,
    #[serde(default)]
    pub session_state: String,
}

impl Answers {
    pub fn parse(json: &[u8], intent: Intent) -> Result<Self, Error> {
        serde_json::from_slice(json).map_err(|error| intent.lost(format!("no answer of JMAP: {error}")))
    }

    /// What the `nth` call answered. What makes no sense was a success all the same: it may have changed something.
    pub fn read<T: DeserializeOwned>(&self, nth: usize, intent: Intent) -> Result<T, Error> {
        let id = nth.to_string();
        let (name, arguments, _) = (self.method_responses.iter())
            .find(|(_, _, of)| *of == id)
            .ok_or_else(|| intent.lost("the JMAP server left a call without an answer".to_owned()))?;
        if name == "error" {
            return Err(Refusal::deserialize(arguments).unwrap_or_default().into());
        }
        T::deserialize(arguments).map_err(|error| {
            intent.lost(format!(
                "the JMAP server answered what RFC 8621 does not know: {error}"
            ))
        })
    }
}

/// Of `/query`.
#[derive(Debug, Deserialize)]
pub struct Found {
    pub ids: Vec<String>,
}

/// Of `/get`. What is not in it was not found.
#[derive(Debug, Deserialize)]
pub struct Got<T> {
    pub list: Vec<T>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_its_calls() {
        let mut calls = Calls::default();
        let nth = calls.push("Email/query", &json!({"accountId": "u1"}));
        calls.push(
            "Email/get",
            &json!({"#ids": result_of(nth, "Email/query", "/ids")}),
        );
        let body: Value = serde_json::from_slice(&calls.into_body()).unwrap();
        assert_eq!(body["using"], json!([CORE, MAIL]));
        assert_eq!(
            body["methodCalls"][0],
            json!(["Email/query", {"accountId": "u1"}, "0"])
        );
        assert_eq!(body["methodCalls"][1][1]["#ids"]["resultOf"], "0");
    }

    #[test]
    fn answers_are_found_by_the_number_of_the_call() {
        let json = br#"{"methodResponses": [["Email/query", {"ids": ["a"]}, "1"],
            ["error", {"type": "forbidden"}, "0"], ["Email/query", {"ids": 7}, "2"]], "sessionState": "s"}"#;
        let answers = Answers::parse(json, Intent::Read).unwrap();
        assert_eq!(answers.read::<Found>(1, Intent::Read).unwrap().ids, ["a"]);
        assert!(matches!(
            answers.read::<Found>(0, Intent::Read),
            Err(Error::Denied(_))
        ));
        assert!(matches!(
            answers.read::<Found>(2, Intent::Read),
            Err(Error::Unavailable(_))
        ));
        assert!(matches!(
            answers.read::<Found>(2, Intent::Write),
            Err(Error::Unknown(_))
        ));
        assert!(matches!(
            answers.read::<Found>(3, Intent::Read),
            Err(Error::Unavailable(_))
        ));
    }

    #[test]
    fn what_is_no_answer_is_not_read() {
        assert!(matches!(
            Answers::parse(b"<html>", Intent::Read),
            Err(Error::Unavailable(_))
        ));
        assert!(matches!(
            Answers::parse(b"{}", Intent::Write),
            Err(Error::Unknown(_))
        ));
    }
}
