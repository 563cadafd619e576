//! Text as it would be typed into a form.

/// A text without a byte order mark before it and without one line break after it, which editors
/// and shells add to files and variables.
///
/// Spaces stay: they may be meant. Secrets are read so from every source, and a provider should
/// read the account's name so.
///
/// ```
/// assert_eq!(auth_core::as_typed("ada@example.com\r\n"), "ada@example.com");
/// assert_eq!(auth_core::as_typed(" correct horse "), " correct horse ");
/// ```
pub fn as_typed(text: &str) -> &str {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let line = text.strip_suffix('\n').unwrap_or(text);
    line.strip_suffix('\r').unwrap_or(line)
}

/// Whether a text can be typed into a field of one line: it contains no control character, no other
/// line break and no byte order mark. RFC 8265 (section 4.2) allows none of them in a password.
///
/// Invisible characters that some keyboards type are let through, such as the zero-width space of
/// Khmer and the joiners within emoji.
///
/// ```
/// assert!(auth_core::can_be_typed(" correct horse "));
/// assert!(!auth_core::can_be_typed("correct\thorse"));
/// ```
pub fn can_be_typed(text: &str) -> bool {
    const SEPARATORS: [char; 3] = ['\u{2028}', '\u{2029}', '\u{feff}'];
    !text.contains(|c: char| c.is_control() || SEPARATORS.contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_12_one_line_break_at_the_end_and_a_byte_order_mark_are_not_typed() {
        for text in [
            "pw",
            "pw\n",
            "pw\r\n",
            "pw\r",
            "\u{feff}pw",
            "\u{feff}pw\r\n",
        ] {
            assert_eq!(as_typed(text), "pw", "{text:?}");
        }
        for (text, typed) in [
            ("", ""),
            ("\n", ""),
            (" pw ", " pw "),
            ("pw \n", "pw "),
            ("pw\n\n", "pw\n"),
            ("pw\n\r", "pw\n"),
            ("\npw", "\npw"),
            ("\u{feff}\u{feff}pw", "\u{feff}pw"),
            ("pw\u{feff}", "pw\u{feff}"),
        ] {
            assert_eq!(as_typed(text), typed, "{text:?}");
        }
    }

    #[test]
    fn rule_12_control_characters_cant_be_typed_and_all_else_can() {
        for text in [
            "a\nb",
            "a\r",
            "\ta",
            "a\0",
            "\u{7f}",
            "\u{85}",
            "\u{2028}",
            "a\u{feff}",
        ] {
            assert!(!can_be_typed(text), "{text:?}");
        }
        for text in [
            "",
            " a ",
            "pässwörd",
            "密码",
            "\u{a0}",
            "\u{200b}",
            "👩\u{200d}🚀\u{fe0f}",
        ] {
            assert!(can_be_typed(text), "{text:?}");
        }
    }
}
