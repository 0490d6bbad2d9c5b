//! Indents JSON text without a change to its values.

use std::iter;

use serde::de::IgnoredAny;

/// Indents JSON text. Order, numbers and texts stay exactly as they are, which a parsed value would not guarantee. Control
/// characters beyond ASCII are escaped, because a terminal might interpret them.
///
/// # Errors
/// When the text is no JSON.
pub(super) fn indented(json: &str) -> Result<String, serde_json::Error> {
    serde_json::from_str::<IgnoredAny>(json)?;
    let mut text = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut characters = json.chars().peekable();
    let new_line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(iter::repeat_n("  ", depth));
    };
    while let Some(character) = characters.next() {
        if in_string {
            match character {
                '\u{7f}'..='\u{9f}' => text.push_str(&format!("\\u{:04x}", u32::from(character))),
                _ => text.push(character),
            }
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        match character {
            ' ' | '\t' | '\r' | '\n' => {}
            '"' => {
                in_string = true;
                text.push('"');
            }
            ':' => text.push_str(": "),
            ',' => {
                text.push(',');
                new_line(&mut text, depth);
            }
            '{' | '[' => {
                text.push(character);
                while characters.next_if(char::is_ascii_whitespace).is_some() {}
                match characters.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => text.push(end),
                    None => {
                        depth += 1;
                        new_line(&mut text, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut text, depth);
                text.push(character);
            }
            other => text.push(other),
        }
    }
    Ok(text)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::indented;

    #[test]
    fn only_white_space_changes() {
        let json = r#"{"z":9007199254740993,"a":[ ],"b":{},"c":[1.0e2,"x:{\",\\",null], "d" : {"e":true}}"#;
        let expected = "{\n  \"z\": 9007199254740993,\n  \"a\": [],\n  \"b\": {},\n  \"c\": [\n    1.0e2,\n    \
                        \"x:{\\\",\\\\\",\n    null\n  ],\n  \"d\": {\n    \"e\": true\n  }\n}";
        assert_eq!(indented(json).unwrap(), expected);
        assert_eq!(indented("\"\u{9b}\"").unwrap(), "\"\\u009b\"");
        assert!(indented("{").is_err());
    }
}
