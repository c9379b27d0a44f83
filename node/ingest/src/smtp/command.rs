//! Command lines (RFC 5321, section 4.1.1, and the extensions).

use super::address::{Address, PathFault, parse_path};
use super::reply::{
    BAD_ARGUMENT, BAD_RECIPIENT, BAD_SENDER, NO_MAIL_PROTOCOL, NO_RELAYING, NOT_TEXT, Reply, UNKNOWN_COMMAND,
};

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    Hello(Hello),
    StartTls,
    Auth {
        mechanism: &'a str,
        initial: Option<&'a str>,
    },
    Mail {
        path: Option<Address<'a>>,
        parameters: &'a str,
    },
    Rcpt {
        path: Option<Address<'a>>,
        parameters: &'a str,
    },
    Data,
    Bdat {
        bytes: u64,
        is_last: bool,
    },
    Rset,
    Vrfy,
    /// EXPN, TURN, ETRN and their like.
    NotOffered,
    Help,
    Noop,
    Quit,
}

/// The three ways to say hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hello {
    Helo,
    Ehlo,
    Lhlo,
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommandFault {
    /// The line is answered with this; the next line is read.
    Refused(Reply),
    /// Where the next command begins cannot be known, or the peer speaks another protocol: it is told
    /// this, and the connection is closed.
    Closed(Reply),
}

type Parse = for<'a> fn(&'a str) -> Result<Command<'a>, Reply>;

const VERBS: [(&str, Parse); 20] = [
    ("HELO", |argument| hello(Hello::Helo, argument)),
    ("EHLO", |argument| hello(Hello::Ehlo, argument)),
    ("LHLO", |argument| hello(Hello::Lhlo, argument)),
    ("STARTTLS", |argument| alone(Command::StartTls, argument)),
    ("AUTH", auth),
    ("MAIL", mail),
    ("RCPT", rcpt),
    ("DATA", |argument| alone(Command::Data, argument)),
    ("BDAT", bdat),
    ("RSET", |argument| alone(Command::Rset, argument)),
    ("VRFY", |argument| if argument.is_empty() { Err(BAD_ARGUMENT) } else { Ok(Command::Vrfy) }),
    ("EXPN", |_| Ok(Command::NotOffered)),
    ("TURN", |_| Ok(Command::NotOffered)),
    ("ETRN", |_| Ok(Command::NotOffered)),
    ("SEND", |_| Ok(Command::NotOffered)),
    ("SOML", |_| Ok(Command::NotOffered)),
    ("SAML", |_| Ok(Command::NotOffered)),
    ("HELP", |_| Ok(Command::Help)),
    ("NOOP", |_| Ok(Command::Noop)),
    ("QUIT", |argument| alone(Command::Quit, argument)),
];

/// Verbs of HTTP: a browser that was tricked into talking to a mail server. A line that begins like a header
/// (`word:`) is the content of a mail, or of HTTP, where commands should be.
const FOREIGN_VERBS: [&str; 6] = ["CONNECT", "DELETE", "GET", "OPTIONS", "POST", "PUT"];

/// Reads a line without its end.
pub(super) fn parse(line: &[u8]) -> Result<Command<'_>, CommandFault> {
    let text = std::str::from_utf8(line).ok().filter(|text| !text.contains(|char: char| char.is_control()));
    let Some(text) = text else { return Err(refused(line, NOT_TEXT)) };
    let (verb, argument) = text.split_once(' ').unwrap_or((text, ""));
    let known = VERBS.iter().find(|(name, _)| name.eq_ignore_ascii_case(verb));
    if let Some((_, parse)) = known {
        return parse(argument.trim_matches(' ')).map_err(|reply| refused(line, reply));
    }
    let is_foreign = FOREIGN_VERBS.iter().any(|name| name.eq_ignore_ascii_case(verb)) || verb.ends_with(':');
    Err(if is_foreign { CommandFault::Closed(NO_MAIL_PROTOCOL) } else { refused(line, UNKNOWN_COMMAND) })
}

/// How a line is refused. After BDAT come as many octets as it says; when that cannot be read, the octets
/// cannot be told from commands.
pub(super) fn refused(line: &[u8], reply: Reply) -> CommandFault {
    let announces_octets = line.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"BDAT"));
    if announces_octets { CommandFault::Closed(reply) } else { CommandFault::Refused(reply) }
}

fn alone<'a>(command: Command<'a>, argument: &str) -> Result<Command<'a>, Reply> {
    if argument.is_empty() { Ok(command) } else { Err(BAD_ARGUMENT) }
}

fn hello(hello: Hello, name: &str) -> Result<Command<'_>, Reply> {
    if name.is_empty() { Err(BAD_ARGUMENT) } else { Ok(Command::Hello(hello)) }
}

fn auth(argument: &str) -> Result<Command<'_>, Reply> {
    let mut words = argument.split(' ');
    let mechanism = words.next().filter(|word| !word.is_empty()).ok_or(BAD_ARGUMENT)?;
    match (words.next(), words.next()) {
        (initial, None) => Ok(Command::Auth { mechanism, initial }),
        _ => Err(BAD_ARGUMENT),
    }
}

fn mail(argument: &str) -> Result<Command<'_>, Reply> {
    let (path, parameters) = envelope(argument, "FROM:", BAD_SENDER)?;
    Ok(Command::Mail { path, parameters })
}

fn rcpt(argument: &str) -> Result<Command<'_>, Reply> {
    let (path, parameters) = envelope(argument, "TO:", BAD_RECIPIENT)?;
    Ok(Command::Rcpt { path, parameters })
}

/// `FROM:<path> parameters`. A space before the path is against the grammar, but old devices put one.
fn envelope<'a>(
    argument: &'a str,
    keyword: &str,
    fault: Reply,
) -> Result<(Option<Address<'a>>, &'a str), Reply> {
    let (head, rest) = argument.split_at_checked(keyword.len()).ok_or(BAD_ARGUMENT)?;
    if !head.eq_ignore_ascii_case(keyword) {
        return Err(BAD_ARGUMENT);
    }
    let (path, parameters) = parse_path(rest.trim_start_matches(' ')).map_err(|error| match error {
        PathFault::Syntax => fault,
        PathFault::Routed => NO_RELAYING,
    })?;
    if !parameters.is_empty() && !parameters.starts_with(' ') {
        return Err(fault);
    }
    Ok((path, parameters))
}

/// RFC 3030, section 2.
fn bdat(argument: &str) -> Result<Command<'_>, Reply> {
    let (size, last) = argument.split_once(' ').unwrap_or((argument, ""));
    let is_last = last.trim_start_matches(' ').eq_ignore_ascii_case("LAST");
    let is_number = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
    match size.parse() {
        Ok(bytes) if is_number && (is_last || last.is_empty()) => Ok(Command::Bdat { bytes, is_last }),
        _ => Err(BAD_ARGUMENT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_without_case_and_with_spaces_at_their_end() {
        let bdat = |bytes, is_last| Command::Bdat { bytes, is_last };
        for (line, command) in [
            ("quit", Command::Quit),
            ("DATA  ", Command::Data),
            ("eHlO client.example.com", Command::Hello(Hello::Ehlo)),
            ("AUTH PLAIN", Command::Auth { mechanism: "PLAIN", initial: None }),
            ("AUTH PLAIN =", Command::Auth { mechanism: "PLAIN", initial: Some("=") }),
            ("mail from:<> SIZE=1", Command::Mail { path: None, parameters: " SIZE=1" }),
            ("BDAT 12", bdat(12, false)),
            ("BDAT 0 last", bdat(0, true)),
            ("Turn", Command::NotOffered),
            ("VRFY a", Command::Vrfy),
        ] {
            assert_eq!(parse(line.as_bytes()), Ok(command), "{line}");
        }
    }

    #[test]
    fn wrong_arguments_are_refused_and_wrong_octet_counts_close() {
        for line in
            ["DATA x", "HELO", "VRFY", "AUTH", "AUTH PLAIN a b", "MAIL <a@b>", "RCPT FROM:<a@b>", "MAIL"]
        {
            assert_eq!(parse(line.as_bytes()), Err(CommandFault::Refused(BAD_ARGUMENT)), "{line}");
        }
        for line in
            ["BDAT", "BDAT x", "BDAT +1", "BDAT -1", "BDAT 1 FIRST", "BDAT 18446744073709551616", "bdat 1\t"]
        {
            assert!(matches!(parse(line.as_bytes()), Err(CommandFault::Closed(_))), "{line}");
        }
        assert_eq!(parse(b"RCPT TO:<@a:b@c>"), Err(CommandFault::Refused(NO_RELAYING)));
        assert_eq!(parse(b"RCPT TO:<a@b>x"), Err(CommandFault::Refused(BAD_RECIPIENT)));
        assert_eq!(parse(b"NOOP \xff"), Err(CommandFault::Refused(NOT_TEXT)));
        assert_eq!(parse(b"NO\0OP"), Err(CommandFault::Refused(NOT_TEXT)));
    }

    #[test]
    fn other_protocols_and_lines_of_content_close() {
        for line in ["GET / HTTP/1.1", "post /", "Host: example.com", "Subject: x"] {
            assert_eq!(parse(line.as_bytes()), Err(CommandFault::Closed(NO_MAIL_PROTOCOL)), "{line}");
        }
    }
}
