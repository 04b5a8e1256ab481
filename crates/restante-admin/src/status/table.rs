//! Tables of the status page. Every text that is put in is escaped here. Start at [`Table`].

use crate::text::html;

/// Rows of one table at most; how many more there are is said.
const MOST: usize = 50;

/// A table under its heading.
pub(super) struct Table {
    title: &'static str,
    heading: &'static [&'static str],
    rows: Vec<String>,
    n_more: usize,
}

impl Table {
    pub(super) fn new(title: &'static str, heading: &'static [&'static str]) -> Self {
        Self {
            title,
            heading,
            rows: Vec::new(),
            n_more: 0,
        }
    }

    pub(super) fn row(&mut self, fill: impl FnOnce(&mut Row)) {
        if self.rows.len() >= MOST {
            self.n_more += 1;
            return;
        }
        let mut row = Row(String::new());
        fill(&mut row);
        self.rows.push(row.0);
    }

    /// Appends it to a page; without rows the sentence that says so.
    pub(super) fn write(self, page: &mut String, empty: &str) {
        let Self {
            title,
            heading,
            rows,
            n_more,
        } = self;
        let mut out = |text: &str| page.push_str(text);
        out(&format!("<section>\n<h2>{title}</h2>\n"));
        if rows.is_empty() {
            out(&format!("<p class=\"empty\">{empty}</p>\n</section>\n"));
            return;
        }
        out("<div class=\"wide\"><table>\n<thead><tr>");
        for name in heading {
            out(&format!("<th scope=\"col\">{name}</th>"));
        }
        out("</tr></thead>\n<tbody>\n");
        for row in rows {
            out(&format!("<tr>{row}</tr>\n"));
        }
        out("</tbody>\n</table></div>\n");
        if n_more > 0 {
            out(&format!("<p class=\"empty\">and {n_more} more</p>\n"));
        }
        out("</section>\n");
    }
}

/// The cells of a row.
pub(super) struct Row(String);

impl Row {
    fn cell(&mut self, class: &str, inside: &str) -> &mut Self {
        self.0.push_str("<td");
        if !class.is_empty() {
            self.0.extend([" class=\"", class, "\""]);
        }
        self.0.extend([">", inside, "</td>"]);
        self
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.cell("", &html(text))
    }

    pub(super) fn dim(&mut self, text: &str) -> &mut Self {
        self.cell("dim", &html(text))
    }

    pub(super) fn number(&mut self, text: &str) -> &mut Self {
        self.cell("number", &html(text))
    }

    pub(super) fn code(&mut self, text: &str) -> &mut Self {
        self.cell("", &format!("<code>{}</code>", html(text)))
    }

    pub(super) fn state(&mut self, mood: &str, text: &str) -> &mut Self {
        self.cell(&format!("state {mood}"), &format!("{}{}", dot(mood), html(text)))
    }

    /// Puts a word beside what the last cell says.
    pub(super) fn note(&mut self, word: &str) {
        if !word.is_empty()
            && let Some(open) = self.0.strip_suffix("</td>")
        {
            self.0 = format!("{open} <span class=\"note\">{}</span></td>", html(word));
        }
    }
}

/// The sign of a mood. Its form differs too, for those who see no colours.
pub(super) fn dot(mood: &str) -> &'static str {
    match mood {
        "good" => {
            "<svg class=\"dot\" viewBox=\"0 0 10 10\" aria-hidden=\"true\"><circle cx=\"5\" cy=\"5\" r=\"4\"/></svg>"
        }
        "warn" => {
            "<svg class=\"dot\" viewBox=\"0 0 10 10\" aria-hidden=\"true\"><path d=\"M5 1 9.5 9h-9z\"/></svg>"
        }
        "bad" => {
            "<svg class=\"dot\" viewBox=\"0 0 10 10\" aria-hidden=\"true\"><path d=\"M1 1h8v8h-8z\"/></svg>"
        }
        _ => {
            "<svg class=\"dot\" viewBox=\"0 0 10 10\" aria-hidden=\"true\"><circle class=\"ring\" cx=\"5\" cy=\"5\" r=\"3\"/></svg>"
        }
    }
}
