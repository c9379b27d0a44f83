//! Files and functions that can be read in one go.

use super::Fault;
use super::source::{Source, closing};

/// Lines of a file; over this its first comment says why.
const FILE_LINES_MAX: usize = 500;

/// Lines of a function, from its name to its last bracket.
const FUNCTION_LINES_MAX: usize = 70;

/// How a longer file says why.
const REASON: &str = "//! Longer than 500 lines: ";

pub(super) fn median(sources: &[Source]) -> usize {
    let mut lines: Vec<usize> = sources.iter().map(|source| source.text.lines().count()).collect();
    lines.sort_unstable();
    lines[lines.len() / 2]
}

pub(super) fn faults(source: &Source) -> Vec<Fault> {
    let lines = source.text.lines().count();
    let mut faults = Vec::new();
    if lines > FILE_LINES_MAX && !says_why(&source.text) {
        let what = format!("{lines} lines: split it, or say why in its first comment (`{REASON}...`)");
        faults.push(Fault::new(&source.path, lines, what));
    }
    faults.extend(functions(source).filter(|(.., lines)| *lines > FUNCTION_LINES_MAX).map(
        |(name, line, lines)| {
            let what = format!("`{name}` has {lines} lines, over {FUNCTION_LINES_MAX}");
            Fault::new(&source.path, line, what)
        },
    ));
    faults
}

fn says_why(text: &str) -> bool {
    let mut comment = text.lines().take_while(|line| line.starts_with("//!"));
    comment.any(|line| line.strip_prefix(REASON).is_some_and(|reason| reason.trim().len() > 20))
}

/// Name, line and length in lines of every function with a body.
fn functions(source: &Source) -> impl Iterator<Item = (&str, usize, usize)> {
    let words = source.words();
    // `fn()` is a type.
    let is_named = |from: usize, to: usize| source.code[from..to].trim().is_empty();
    let names = words
        .windows(2)
        .filter(|pair| pair[0].text == "fn" && is_named(pair[0].at + pair[0].text.len(), pair[1].at));
    let names: Vec<_> = names.map(|pair| pair[1]).collect();
    names.into_iter().filter_map(|name| {
        let rest = &source.code[name.at..];
        let body = rest.find('{')?;
        // A signature that ends first has no body.
        let signature = rest[..body].find(';').is_none_or(|end| rest[..end].contains('['));
        let end = signature.then(|| closing(&rest[body..], '{', '}'))??;
        let lines = rest[..body + end].matches('\n').count() + 1;
        Some((name.text, name.line, lines))
    })
}

#[test]
fn a_file_of_more_than_500_lines_says_why_or_is_split() {
    let long = "//! A room.\n".to_owned() + &"\n".repeat(500);
    assert_eq!(faults(&Source::new("a.rs", &long))[0].line, 501);
    let reasoned = format!("//! A room.\n//!\n{REASON}its table is one thing.\n{}", "\n".repeat(500));
    assert_eq!(faults(&Source::new("a.rs", &reasoned)), []);
    let empty_reason = format!("{REASON}yes\n{}", "\n".repeat(500));
    assert_eq!(faults(&Source::new("a.rs", &empty_reason)).len(), 1);
}

#[test]
fn a_function_of_more_than_70_lines_is_named() {
    let long = format!(
        "trait T {{ fn a(); }} struct S {{ d: fn() -> u8 }}\nfn b() {{\n{}}}\nfn c() {{}}\n",
        "d();\n".repeat(69)
    );
    let found = faults(&Source::new("a.rs", &long));
    assert_eq!(found, [Fault::new("a.rs", 2, "`b` has 71 lines, over 70")]);
}

#[test]
fn the_median_is_the_middle_file() {
    let sources = ["\n", "\n\n", &"\n".repeat(9)].map(|text| Source::new("a.rs", text));
    assert_eq!(median(&sources), 2);
}
