//! The characters that XML and HTML write by name or number. Each stands for one character: nothing expands.

use std::borrow::Cow;

/// XML's own five (XML 1.0, section 4.6), and those that reports in HTML use.
const NAMED: [(&str, char); 9] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("deg", '°'),
    ("micro", 'µ'),
    ("ndash", '-'),
];

/// The character that stands between `&` and `;`.
pub(super) fn character(name: &str) -> Option<char> {
    let Some(number) = name.strip_prefix('#') else {
        return NAMED.iter().find(|(known, _)| *known == name).map(|(_, char)| *char);
    };
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    };
    char::from_u32(code.ok()?).filter(|char| *char != '\0')
}

/// A text with its entities replaced; those that are not known stay as they are.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    const NAME_BYTES_MAX: usize = 12;
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let name = after.bytes().take(NAME_BYTES_MAX).position(|byte| byte == b';').map(|end| &after[..end]);
        if let Some((name, char)) = name.and_then(|name| Some((name, character(name)?))) {
            out.push(char);
            rest = &after[name.len() + 1..];
        } else {
            out.push('&');
            rest = after;
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_become_one_character_or_stay() {
        assert_eq!(unescape("40&nbsp;&deg;C &#65;&#x42; &lol9; a&b; &"), "40 °C AB &lol9; a&b; &");
        assert_eq!(character("#x110000"), None);
    }
}
