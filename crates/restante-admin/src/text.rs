//! Texts from elsewhere on the way to people's eyes: nothing in them acts on a terminal, a log or a page.
//!
//! Start at [`one_line`].

/// What stands for a character that is not shown.
const HIDDEN: char = '\u{fffd}';

/// The text without anything that moves, breaks or turns a line.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if acts(c) { HIDDEN } else { c }).collect()
}

/// The same for a page: between tags, or within the quotes of an attribute.
pub(crate) fn html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if acts(c) => safe.push(HIDDEN),
            c => safe.push(c),
        }
    }
    safe
}

/// Controls, and what changes the direction of writing or has no width.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acts() {
        assert_eq!(
            one_line("a\r\nb\u{1b}[31mc\u{202e}d"),
            "a\u{fffd}\u{fffd}b\u{fffd}[31mc\u{fffd}d"
        );
        assert_eq!(one_line("grün & <b>"), "grün & <b>");
        assert_eq!(
            html("<b a=\"1\" c='2'>&\u{1b}"),
            "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;\u{fffd}"
        );
    }
}
