//! Just enough of Rust's lexical rules to tell code, comments and literals apart.
//!
//! It builds no syntax tree. Comments and the insides of literals are blanked, so that a search in the code view
//! finds code only, on the same lines.

/// A source text taken apart.
#[derive(Debug)]
pub(crate) struct Lexed {
    /// The code, line by line; comments and the insides of literals are spaces.
    pub(crate) code: Vec<String>,
    /// String and byte string literals: line (from 0) and the text between the quotes, escapes as written.
    pub(crate) literals: Vec<(usize, String)>,
}

pub(crate) fn lex(text: &str) -> Lexed {
    let mut lexer = Lexer {
        rest: text.chars().collect(),
        at: 0,
        code: String::new(),
        literals: Vec::new(),
        line: 0,
    };
    lexer.run();
    Lexed {
        code: lexer.code.lines().map(str::to_owned).collect(),
        literals: lexer.literals,
    }
}

struct Lexer {
    rest: Vec<char>,
    at: usize,
    code: String,
    literals: Vec<(usize, String)>,
    line: usize,
}

impl Lexer {
    fn run(&mut self) {
        while let Some(c) = self.peek(0) {
            match (c, self.peek(1)) {
                ('/', Some('/')) => self.blank_while(|lexer| lexer.peek(0) != Some('\n')),
                ('/', Some('*')) => self.block_comment(),
                ('r', Some('"' | '#')) if self.raw_hashes(1).is_some() && !self.inside_word() => {
                    self.raw_string(1);
                }
                ('b', Some('r')) if self.raw_hashes(2).is_some() && !self.inside_word() => self.raw_string(2),
                ('"', _) => self.string(),
                ('\'', _) => self.char_or_lifetime(),
                _ => self.keep(),
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest.get(self.at + ahead).copied()
    }

    fn inside_word(&self) -> bool {
        self.code
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || c == '_')
    }

    fn keep(&mut self) {
        if let Some(c) = self.peek(0) {
            self.code.push(c);
            self.step(c);
        }
    }

    fn blank(&mut self) {
        if let Some(c) = self.peek(0) {
            self.code.push(if c == '\n' { '\n' } else { ' ' });
            self.step(c);
        }
    }

    fn step(&mut self, c: char) {
        self.line += usize::from(c == '\n');
        self.at += 1;
    }

    fn blank_while(&mut self, goes_on: impl Fn(&Self) -> bool) {
        while self.peek(0).is_some() && goes_on(self) {
            self.blank();
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.peek(0).is_some() {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                _ => {
                    self.blank();
                    continue;
                }
            }
            self.blank();
            self.blank();
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        let line = self.line;
        let mut inside = String::new();
        self.keep();
        while let Some(c) = self.peek(0) {
            if c == '"' {
                break;
            }
            inside.push(c);
            self.blank();
            if c == '\\' {
                inside.extend(self.peek(0));
                self.blank();
            }
        }
        self.keep();
        self.literals.push((line, inside));
    }

    /// How many `#` stand before the quote of a raw string that begins `ahead` characters on.
    fn raw_hashes(&self, ahead: usize) -> Option<usize> {
        let hashes = self
            .rest
            .iter()
            .skip(self.at + ahead)
            .take_while(|c| **c == '#')
            .count();
        (self.peek(ahead + hashes) == Some('"')).then_some(hashes)
    }

    fn raw_string(&mut self, prefix: usize) {
        let Some(hashes) = self.raw_hashes(prefix) else {
            return;
        };
        let line = self.line;
        let mut inside = String::new();
        for _ in 0..=prefix + hashes {
            self.keep();
        }
        while let Some(c) = self.peek(0) {
            if c == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                break;
            }
            // In a raw string a line end of the source is a character of the text; an escape is not.
            inside.push(c);
            self.blank();
        }
        for _ in 0..=hashes {
            self.keep();
        }
        self.literals.push((line, inside));
    }

    fn char_or_lifetime(&mut self) {
        let is_char = self.peek(1) == Some('\\') || self.peek(2) == Some('\'');
        self.keep();
        if !is_char {
            return;
        }
        if self.peek(0) == Some('\\') {
            self.blank();
        }
        self.blank();
        self.blank_while(|lexer| lexer.peek(0) != Some('\''));
        self.keep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_on_their_lines() {
        let lexed = lex("let a = \"x // y\"; // note\n/* { /* nested */\n} */ b();\n");
        assert_eq!(
            lexed.code,
            ["let a = \"      \";        ", "                 ", "     b();"]
        );
        assert_eq!(lexed.literals, [(0, "x // y".to_owned())]);
    }

    #[test]
    fn escapes_raw_strings_and_byte_strings_end_where_they_end() {
        let lexed = lex(r##"f("a\"b", r#"c"d"#, b"e\\", br"f"); g"##);
        let texts: Vec<&str> = lexed.literals.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, [r#"a\"b"#, "c\"d", r"e\\", "f"]);
        assert!(lexed.code[0].ends_with("; g"));
    }

    #[test]
    fn quotes_of_characters_and_lifetimes_open_no_string() {
        let lexed = lex("fn f<'a>(x: &'a str) { m('\"', '\\'', '{', '\\u{7d}'); \"in\" }");
        assert_eq!(lexed.literals, [(0, "in".to_owned())]);
        assert_eq!(lexed.code[0].matches('{').count(), 1);
    }
}
