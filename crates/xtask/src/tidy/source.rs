//! Rules about Rust sources: invariants that are absences. What may stand in one place only is looked for elsewhere.
//!
//! Tests may do what the product may not, except be ignored. Start at [`Source::check`].

use std::path::Path;

use crate::tidy::Finding;
use crate::tidy::lexer::{Lexed, lex};

/// Who may call `Committed::attest`: implementations of `MailIndex`, what another mail system has removed, the definition,
/// and the suite that compares.
const MINTS: [&str; 5] = [
    "crates/restante-store/src/index.rs",
    "crates/restante-store/src/foreign.rs",
    "crates/restante-store/src/memory_index",
    "crates/restante-sqlite/src/index",
    "crates/restante-conformance/",
];

/// Who may write a line end of the protocol: the grammar, the canonical form, the delivery protocol, the signature of
/// the PROXY header (which happens to hold one), and the crates that exist for tests.
const WRITES_CRLF: [&str; 7] = [
    "crates/restante-wire/",
    "crates/restante-message/",
    "crates/restante-lmtp/",
    "crates/restante-net/src/proxy.rs",
    "crates/restante/src/command/demo",
    "crates/restante-testkit/",
    "crates/restante-conformance/",
];

/// Who may touch a socket.
const OPENS_SOCKETS: [&str; 2] = ["crates/restante-net/", "crates/restante-testkit/"];

const SOCKETS: [&str; 4] = [
    "tokio::net",
    "std::net::Tcp",
    "std::net::UdpSocket",
    "std::os::unix::net",
];

/// Who may name the response code that says "wrong password".
const NAMES_AUTH: &str = "crates/restante-session/src/reply.rs";

pub(crate) struct Source<'t> {
    path: &'t str,
    text: &'t str,
    lexed: Lexed,
    /// Whether each line is code of tests.
    test: Vec<bool>,
}

impl<'t> Source<'t> {
    pub(crate) fn new(path: &'t str, text: &'t str) -> Self {
        let lexed = lex(text);
        let test = if is_test_file(path) {
            vec![true; lexed.code.len()]
        } else {
            test_lines(&lexed.code)
        };
        Self {
            path,
            text,
            lexed,
            test,
        }
    }

    pub(crate) fn check(&self) -> Vec<Finding> {
        [
            self.has_head(),
            self.ignores_no_test(),
            self.attests_in_indexes_only(),
            self.writes_no_line_end(),
            self.opens_no_socket(),
        ]
        .concat()
    }

    fn has_head(&self) -> Vec<Finding> {
        let is_inner_test = self.path.ends_with("/tests.rs");
        let first = self
            .text
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default();
        if is_inner_test || first.starts_with("//!") {
            return Vec::new();
        }
        vec![self.finding(
            0,
            "begins without `//!`; say what the file is for, and what it does not do",
        )]
    }

    fn ignores_no_test(&self) -> Vec<Finding> {
        let remedy = "ignored; a test that does not run proves nothing: fix or remove it";
        self.lines_with(&["#[ignore"], |_| true)
            .map(|line| self.finding(line, remedy))
            .collect()
    }

    fn attests_in_indexes_only(&self) -> Vec<Finding> {
        let remedy =
            "`Committed::attest` outside a mail index; a receipt comes from `MailIndex::commit` only";
        self.outside(&MINTS, &["attest("], remedy)
    }

    fn opens_no_socket(&self) -> Vec<Finding> {
        self.outside(
            &OPENS_SOCKETS,
            &SOCKETS,
            "only restante-net knows sockets; take a stream as an argument",
        )
    }

    fn writes_no_line_end(&self) -> Vec<Finding> {
        if allowed(self.path, &WRITES_CRLF) {
            return Vec::new();
        }
        let product = |line: usize| !self.test.get(line).copied().unwrap_or(true);
        let found = self
            .lexed
            .literals
            .iter()
            .filter(|(line, text)| product(*line) && text.contains("\\r\\n"));
        let remedy = "a line end of the protocol in a literal; let restante-wire write it";
        found.map(|(line, _)| self.finding(*line, remedy)).collect()
    }

    /// Lines of the product with one of `words`, in a file that is not among `places`.
    fn outside(&self, places: &[&str], words: &[&str], remedy: &str) -> Vec<Finding> {
        if allowed(self.path, places) {
            return Vec::new();
        }
        self.lines_with(words, |line| !self.test[line])
            .map(|line| self.finding(line, remedy))
            .collect()
    }

    fn lines_with(&self, words: &[&str], wanted: impl Fn(usize) -> bool) -> impl Iterator<Item = usize> {
        let code = self.lexed.code.iter().enumerate();
        code.filter(move |(nth, line)| wanted(*nth) && words.iter().any(|word| line.contains(word)))
            .map(|(nth, _)| nth)
    }

    /// Functions of the product that name `RespCode::Auth`, by the line where each begins.
    fn names_auth_in(&self) -> Vec<usize> {
        let names = |line: &String| {
            line.contains("RespCode::Auth")
                || (line.contains("RespCode::{") && words(line).any(|word| word == "Auth"))
        };
        let product = self
            .lexed
            .code
            .iter()
            .enumerate()
            .filter(|(nth, line)| !self.test[*nth] && names(line));
        let mut functions: Vec<usize> = product.map(|(nth, _)| self.function_around(nth)).collect();
        functions.dedup();
        functions
    }

    fn function_around(&self, line: usize) -> usize {
        let above = self.lexed.code.iter().take(line + 1).enumerate();
        above
            .filter(|(_, code)| words(code).any(|word| word == "fn"))
            .map(|(nth, _)| nth)
            .next_back()
            .unwrap_or(line)
    }

    fn finding(&self, line: usize, remedy: &str) -> Finding {
        Finding::new(self.path, line + 1, remedy)
    }
}

/// `[AUTH]` is written in exactly one function, so that no other path can claim a verdict (RFC 3206 section 5).
pub(crate) fn auth_code_has_one_place<'t>(files: impl Iterator<Item = (&'t str, &'t str)>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut places = 0;
    for (path, text) in files.filter(|(path, _)| is_rust(path) && path.starts_with("crates/restante")) {
        if path.starts_with("crates/restante-wire/") || !text.contains("RespCode") {
            continue;
        }
        let source = Source::new(path, text);
        for line in source.names_auth_in() {
            places += usize::from(path == NAMES_AUTH);
            if path != NAMES_AUTH || places > 1 {
                findings.push(source.finding(
                    line,
                    "names RespCode::Auth; answer with `Refusal::Credentials` instead",
                ));
            }
        }
    }
    if places == 0 {
        findings.push(Finding::new(
            NAMES_AUTH,
            1,
            "no function names RespCode::Auth; tidy looks for it here",
        ));
    }
    findings
}

fn allowed(path: &str, places: &[&str]) -> bool {
    path.starts_with("crates/xtask/") || places.iter().any(|place| path.starts_with(place))
}

pub(crate) fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|kind| kind == "rs")
}

fn is_test_file(path: &str) -> bool {
    path.contains("/tests/")
        || path.ends_with("/tests.rs")
        || path.contains("/fuzz/")
        || path.contains("/benches/")
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
}

/// Marks every line of an item that stands under `#[cfg(test)]`.
fn test_lines(code: &[String]) -> Vec<bool> {
    let mut marks = vec![false; code.len()];
    let mut nth = 0;
    while nth < code.len() {
        if !code[nth].contains("#[cfg(test)]") {
            nth += 1;
            continue;
        }
        let end = end_of_item(code, nth);
        marks
            .iter_mut()
            .take(end + 1)
            .skip(nth)
            .for_each(|mark| *mark = true);
        nth = end + 1;
    }
    marks
}

/// The line where the item that begins at `start` ends: at its closing brace, or at a `;` before any brace.
fn end_of_item(code: &[String], start: usize) -> usize {
    let mut depth = 0_usize;
    for (nth, line) in code.iter().enumerate().skip(start) {
        for c in line.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth <= 1 => return nth,
                '}' => depth -= 1,
                ';' if depth == 0 => return nth,
                _ => {}
            }
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<usize> {
        Source::new(path, text)
            .check()
            .iter()
            .map(|finding| finding.line)
            .collect()
    }

    const SERVER: &str = "crates/restante-server/src/a.rs";

    #[test]
    fn file_without_head_is_found() {
        assert_eq!(findings(SERVER, "\nuse a;\n"), [1]);
        assert!(findings(SERVER, "//! Head.\n").is_empty());
        assert!(findings("crates/restante-server/src/a/tests.rs", "use a;\n").is_empty());
    }

    #[test]
    fn ignored_test_is_found_even_in_tests() {
        let text = format!("//! Head.\n#[test]\n#[{}]\nfn a() {{}}\n", concat!("ign", "ore"));
        assert_eq!(findings("crates/restante-server/tests/a.rs", &text), [3]);
    }

    #[test]
    fn receipt_minted_outside_an_index_is_found() {
        let text = "//! Head.\nfn f() { Committed::attest(1); }\n#[cfg(test)]\nmod tests { fn g() { Committed::attest(2); } }\n";
        assert_eq!(findings(SERVER, text), [2]);
        assert!(findings("crates/restante-sqlite/src/index/update.rs", text).is_empty());
    }

    #[test]
    fn line_end_in_a_literal_is_found_and_in_a_comment_is_not() {
        let text = "//! Head \"\\r\\n\".\nconst A: &[u8] = b\"+OK\\r\\n\";\n";
        assert_eq!(findings(SERVER, text), [2]);
        assert!(findings("crates/restante-wire/src/a.rs", text).is_empty());
        assert!(findings("crates/restante-server/tests/a.rs", text).is_empty());
    }

    #[test]
    fn socket_outside_the_net_crate_is_found() {
        let text = "//! Head.\nuse tokio::net::TcpStream;\n";
        assert_eq!(findings(SERVER, text), [2]);
        assert!(findings("crates/restante-net/src/a.rs", text).is_empty());
    }

    #[test]
    fn code_after_a_test_module_is_product_again() {
        let text = "//! Head.\n#[cfg(test)]\nmod tests;\nuse tokio::net::TcpStream;\n";
        assert_eq!(findings(SERVER, text), [4]);
    }

    #[test]
    fn auth_code_is_named_in_one_function_only() {
        let check = |files: &[(&'static str, &'static str)]| auth_code_has_one_place(files.iter().copied());
        let one = "fn a() {\n use RespCode::{Auth, InUse};\n}\n";
        assert_eq!(check(&[(NAMES_AUTH, one)]), []);
        let two = "fn a() {\n RespCode::Auth\n}\nfn b() {\n RespCode::Auth\n}\n";
        assert_eq!(check(&[(NAMES_AUTH, two)])[0].line, 4);
        assert_eq!(
            check(&[(NAMES_AUTH, one), (SERVER, "fn c() { RespCode::Auth }\n")])[0].file,
            SERVER
        );
        assert_eq!(check(&[(SERVER, "//! Head.\n")])[0].file, NAMES_AUTH);
    }
}
