//! A Rust file, and its text without what is not code.

/// One file.
pub(super) struct Source {
    /// From the root of the repository.
    pub(super) path: String,
    pub(super) text: String,
    /// The same lines and columns, with spaces for comments and for what stands in quotes.
    pub(super) code: String,
    /// With spaces for what stands in quotes only.
    pub(super) prose: String,
}

/// A word of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'s> {
    pub(super) text: &'s str,
    /// Byte offset in the code.
    pub(super) at: usize,
    /// From 1.
    pub(super) line: usize,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let (code, prose) = masked(text);
        Self { path: path.to_owned(), text: text.to_owned(), code, prose }
    }

    /// Identifiers, keywords and numbers, in order.
    pub(super) fn words(&self) -> Vec<Word<'_>> {
        let mut words = Vec::new();
        for (index, line) in self.code.split('\n').enumerate() {
            let offset = line.as_ptr() as usize - self.code.as_ptr() as usize;
            let mut start = None;
            for (at, char) in line.char_indices().chain([(line.len(), ' ')]) {
                match (start, is_word(char)) {
                    (None, true) => start = Some(at),
                    (Some(from), false) => {
                        words.push(Word { text: &line[from..at], at: offset + from, line: index + 1 });
                        start = None;
                    }
                    _ => (),
                }
            }
        }
        words
    }

    /// Every attribute of the code without its spaces, with the line of its beginning: `#[expect(..)]`.
    pub(super) fn attributes(&self) -> Vec<(usize, String)> {
        let starts = self.code.match_indices('#');
        let attribute = |(at, _): (usize, &str)| {
            let body = self.code[at + 1..].trim_start_matches('!');
            let end = body.starts_with('[').then(|| closing(body, '[', ']'))??;
            let text: String = body[..end].chars().filter(|char| !char.is_whitespace()).collect();
            Some((self.line_of(at), text))
        };
        starts.filter_map(attribute).collect()
    }

    /// The line, from 1, of a byte of the code.
    pub(super) fn line_of(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }
}

/// One past the bracket that closes the first of `text`.
pub(super) fn closing(text: &str, open: char, close: char) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, char) in text.char_indices() {
        if char == open {
            depth += 1;
        } else if char == close {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(at + 1);
            }
        }
    }
    None
}

pub(super) fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Code,
    Comment,
    Quoted,
}

/// The text with spaces for comments and quotes, and for quotes only.
fn masked(text: &str) -> (String, String) {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut prose) = (String::new(), String::new());
    let mut at = 0;
    while at < chars.len() {
        let (kind, length) = piece(&chars, at);
        for &char in &chars[at..at + length] {
            let blank = if char == '\n' { '\n' } else { ' ' };
            code.push(if kind == Kind::Code { char } else { blank });
            prose.push(if kind == Kind::Quoted { blank } else { char });
        }
        at += length;
    }
    (code, prose)
}

/// What begins here, and how many characters of it.
fn piece(chars: &[char], at: usize) -> (Kind, usize) {
    let rest = &chars[at..];
    let in_word = at > 0 && is_word(chars[at - 1]);
    match rest {
        ['/', '/', ..] => (Kind::Comment, length_until(rest, |rest| rest[0] == '\n')),
        ['/', '*', ..] => (Kind::Comment, block_comment(rest)),
        ['"', ..] => (Kind::Quoted, quoted(rest)),
        ['r', '"' | '#', ..] if !in_word => raw_quoted(rest, 1),
        ['b' | 'c', 'r', '"' | '#', ..] if !in_word => raw_quoted(rest, 2),
        // A character, or else the mark of a lifetime.
        ['\'', '\\', _, ..] => (Kind::Quoted, 3 + length_until(&rest[3..], |rest| rest[0] == '\'') + 1),
        ['\'', _, '\'', ..] => (Kind::Quoted, 3),
        _ => (Kind::Code, 1),
    }
}

fn length_until(chars: &[char], is_end: impl Fn(&[char]) -> bool) -> usize {
    (0..chars.len()).find(|at| is_end(&chars[*at..])).unwrap_or(chars.len())
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

fn raw_quoted(rest: &[char], hashes_at: usize) -> (Kind, usize) {
    let hashes = rest[hashes_at..].iter().take_while(|char| **char == '#').count();
    let body = hashes_at + hashes;
    if rest.get(body) != Some(&'"') {
        return (Kind::Code, 1);
    }
    let ends =
        |rest: &[char]| rest[0] == '"' && rest[1..].iter().take_while(|char| **char == '#').count() >= hashes;
    let length = body + 1 + length_until(&rest[body + 1..], ends) + 1 + hashes;
    (Kind::Quoted, length.min(rest.len()))
}

#[test]
fn comments_and_quotes_are_told_from_code() {
    let text = "let a = \"x \\\" // y\"; // \"z\"\n/* b /* c */ d */ e::<'f>('\"', r#\"g\"h\"#, 'i')";
    let source = Source::new("a.rs", text);
    let words: Vec<&str> = source.words().iter().map(|word| word.text).collect();
    assert_eq!(words, ["let", "a", "e", "f"]);
    assert_eq!(source.words()[2].line, 2);
    assert!(source.prose.contains("// \"z\"") && !source.prose.contains('y'));
    assert_eq!(source.code.chars().count(), text.chars().count());
}

#[test]
fn attributes_are_found_over_several_lines_and_not_in_comments() {
    let source = Source::new("a.rs", "// #[no]\n#[expect(\n  a,\n  b = \"]\"\n)]\n#![c]");
    assert_eq!(source.attributes(), [(2, "[expect(a,b=)]".to_owned()), (6, "[c]".to_owned())]);
}
