//! Arguments in parentheses: `req.payload(0,4)`, `ipmask(24)`, `defined(HOST)`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What an argument must be. A name of something else is looked up later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Text,
    Ipv4,
    Mask4,
    Ipv6,
    Mask6,
    Frontend,
    Backend,
    Table,
    Server,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Int => "integer",
            Kind::Text => "string",
            Kind::Ipv4 => "IPv4 address",
            Kind::Mask4 => "IPv4 mask",
            Kind::Ipv6 => "IPv6 address",
            Kind::Mask6 => "IPv6 mask",
            Kind::Frontend => "frontend",
            Kind::Backend => "backend",
            Kind::Table => "table",
            Kind::Server => "server",
        }
    }

    /// Whether nothing at all is a value of it.
    fn may_be_empty(self) -> bool {
        matches!(self, Kind::Text | Kind::Frontend | Kind::Backend | Kind::Table | Kind::Server)
    }

    fn fits(self, text: &str) -> bool {
        match self {
            Kind::Int => int(text).is_some(),
            Kind::Ipv4 => text.parse::<core::net::Ipv4Addr>().is_ok(),
            Kind::Mask4 => super::address::mask4(text).is_some(),
            Kind::Ipv6 => text.parse::<core::net::Ipv6Addr>().is_ok(),
            Kind::Mask6 => super::address::mask6(text).is_some(),
            Kind::Text | Kind::Frontend | Kind::Backend | Kind::Table | Kind::Server => true,
        }
    }
}

/// How many arguments there may be, and of which kinds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// So many must be there.
    pub(super) least: usize,
    /// The kind of each that may.
    pub(super) kinds: &'static [Kind],
}

/// Arguments, and where the text goes on behind them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arguments<'t> {
    /// Each, without its quotes.
    pub(super) values: Vec<String>,
    /// What follows.
    pub(super) rest: &'t str,
}

/// What is wrong with arguments.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong<'t> {
    /// HAProxy's words.
    pub(super) message: String,
    /// The argument, from 0.
    pub(super) at: usize,
    /// Where the text could not be read on.
    pub(super) rest: &'t str,
}

/// Reads the arguments in front of `text`. A name that may be left out and must be there is there,
/// and empty.
pub(super) fn read<'t>(text: &'t str, shape: Shape) -> Result<Arguments<'t>, Wrong<'t>> {
    let Some(mut rest) = text.strip_prefix('(') else { return absent(text, shape) };
    let mut values = Vec::new();
    while values.len() < shape.kinds.len() {
        let at = values.len();
        let kind = shape.kinds[at];
        let (value, behind) = one(rest).map_err(|(done, left)| {
            let message = format!(
                "failed to parse '{left}' after '{done}' as type '{}' at position {}",
                kind.name(),
                at + 1
            );
            Wrong { message, at, rest: left }
        })?;
        rest = behind;
        if value.is_empty() && !kind.may_be_empty() {
            if at >= shape.least {
                break;
            }
            let (name, position) = (kind.name(), at + 1);
            let message = format!("expected type '{name}' at position {position}, but got nothing");
            return Err(Wrong { message, at, rest });
        }
        if !kind.fits(&value) {
            let (name, position) = (kind.name(), at + 1);
            let message =
                format!("failed to parse '{value}' as type '{name}' at position {position}");
            return Err(Wrong { message, at, rest });
        }
        values.push(value);
        match rest.strip_prefix(',') {
            Some(behind) if values.len() < shape.kinds.len() => rest = behind,
            _ => break,
        }
    }
    if values.len() < shape.least {
        return Err(missing(values.len(), shape, rest));
    }
    match rest.strip_prefix(')') {
        Some(rest) => Ok(Arguments { values, rest }),
        None => {
            let before = if rest.is_empty() { String::new() } else { format!(" before '{rest}'") };
            let at = if values.len() > 1 { values.len() - 1 } else { values.len() };
            Err(Wrong { message: format!("expected ')'{before}"), at, rest })
        }
    }
}

/// Without parentheses, a mandatory argument is one that is empty, if it may be.
fn absent(text: &str, shape: Shape) -> Result<Arguments<'_>, Wrong<'_>> {
    let mut values = Vec::new();
    if let (Some(kind), 1..) = (shape.kinds.first(), shape.least) {
        if !kind.may_be_empty() {
            let name = kind.name();
            let message = format!("expected type '{name}' at position 1, but got nothing");
            return Err(Wrong { message, at: 0, rest: text });
        }
        values.push(String::new());
    }
    if values.len() < shape.least {
        return Err(missing(values.len(), shape, text));
    }
    Ok(Arguments { values, rest: text })
}

fn missing<'t>(got: usize, shape: Shape, rest: &'t str) -> Wrong<'t> {
    let (least, name) = (shape.least, shape.kinds[got].name());
    let message = format!("missing arguments (got {got}/{least}), type '{name}' expected");
    Wrong { message, at: got, rest }
}

/// One argument, up to a comma or a closing parenthesis that is not quoted.
fn one(text: &str) -> Result<(String, &str), (String, &str)> {
    let mut value = String::new();
    let mut quote = None;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match (character, quote) {
            ('"' | '\'', None) => quote = Some(character),
            ('"' | '\'', Some(open)) if open == character => quote = None,
            ('\\', None | Some('"')) => match characters.peek().map(|&(_, next)| next) {
                None => return Err((value, &text[at..])),
                Some(next) => {
                    let meant = match next {
                        '\\' | ' ' | '"' | '\'' => Some(next),
                        'r' => Some('\r'),
                        'n' => Some('\n'),
                        't' => Some('\t'),
                        _ => None,
                    };
                    value.push(meant.unwrap_or('\\'));
                    if meant.is_some() {
                        characters.next();
                    }
                }
            },
            (',' | ')', None) => return Ok((value, &text[at..])),
            _ => value.push(character),
        }
    }
    Ok((value, ""))
}

/// A number of HAProxy's: digits, with a sign or without, and nothing else; it saturates.
pub(super) fn int(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let limit = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    Some(text.parse().unwrap_or(limit))
}

#[cfg(test)]
mod tests {
    //! Arguments are read as HAProxy reads them, and named when they are wrong.

    use super::*;

    const TWO: Shape = Shape { least: 1, kinds: &[Kind::Int, Kind::Text] };
    const TABLE: Shape = Shape { least: 1, kinds: &[Kind::Table] };

    #[test]
    fn good_ones() {
        let read = |text, shape| read(text, shape).map(|it| (it.values.join("|"), it.rest));
        assert_eq!(read("(1,a),x", TWO), Ok(("1|a".into(), ",x")));
        assert_eq!(read("(-12)", TWO), Ok(("-12".into(), "")));
        assert_eq!(read(r#"(1,"a,b)'\"c")]"#, TWO), Ok(("1|a,b)'\"c".into(), "]")));
        assert_eq!(read(",lower", TABLE), Ok((String::new(), ",lower")));
        assert_eq!(read("(t)", TABLE), Ok(("t".into(), "")));
        assert_eq!(read("()", Shape { least: 0, kinds: &[] }), Ok((String::new(), "")));
    }

    #[test]
    fn wrong_ones() {
        let read = |text, shape| read(text, shape).expect_err(text).message;
        assert_eq!(read("", TWO), "expected type 'integer' at position 1, but got nothing");
        assert_eq!(read("(x)", TWO), "failed to parse 'x' as type 'integer' at position 1");
        assert_eq!(read("(1", TWO), "expected ')'");
        assert_eq!(read("(1,a,b)", TWO), "expected ')' before ',b)'");
        let one = Shape { least: 2, kinds: &[Kind::Text, Kind::Text] };
        assert_eq!(read("(a)", one), "missing arguments (got 1/2), type 'string' expected");
    }
}
