//! Variables keep what they were given, for as long as their scope, in bounded room.

use super::*;
use std::boxed::Box;
use std::vec::Vec;

fn variables(scopes: &[Scope], process: u16) -> Variables {
    let session: Vec<Scope> = scopes.to_vec();
    let named = haproxy::Variables { process, session, ..haproxy::Variables::default() };
    Variables::new(Box::leak(Box::new(named)), 0, 4)
}

fn id(scope: Scope, index: u16) -> VariableId {
    VariableId { scope, index }
}

/// What it says, as text.
fn said(variables: &Variables, session: u32, variable: VariableId) -> Option<std::string::String> {
    let (mut bytes, mut more) = ([0; 20_000], [0; 64]);
    let mut room = Room::new(&mut bytes);
    let value = variables.value(Some(SessionId(session)), variable, &mut room)?;
    let text = value.text(&mut Room::new(&mut more));
    Some(std::string::String::from_utf8_lossy(text).into_owned())
}

fn set(variables: &Variables, variable: VariableId, value: Value<'_>, if_: &str) -> bool {
    let found = Provisos::NAMES.iter().find(|(name, _)| *name == if_);
    let provisos = found.map_or(Provisos::default(), |(_, proviso)| *proviso);
    variables.set(Some(SessionId(1)), variable, value, provisos, 0)
}

#[test]
fn scopes_begin_and_end() {
    let scopes = [Scope::Session, Scope::Transaction, Scope::Request, Scope::Response];
    let variables = variables(&scopes, 0);
    let all = || (0..4).map(|at| id(scopes[at], at as u16));
    let try_all = || all().map(|it| set(&variables, it, Value::Int(7), "")).collect::<Vec<_>>();
    let seen = || all().map(|it| said(&variables, 1, it).is_some()).collect::<Vec<_>>();
    assert_eq!(try_all(), [true, false, false, false], "no session yet");
    variables.begin(SessionId(1));
    assert_eq!(try_all(), [true, true, true, false]);
    variables.respond(SessionId(1));
    assert_eq!(seen(), [true, true, false, false]);
    assert_eq!(try_all(), [true, true, false, true]);
    assert_eq!(said(&variables, 2, id(Scope::Session, 0)), None, "another session's");
    variables.release(SessionId(1));
    variables.begin(SessionId(1));
    assert_eq!(seen(), [false; 4]);
}

#[test]
fn provisos_are_haproxys() {
    let variables = variables(&[Scope::Session], 0);
    let it = id(Scope::Session, 0);
    let (one, text, nothing) = (Value::Int(1), Value::Text(b"x"), Value::Text(b""));
    assert!(!set(&variables, it, one, "ifexists"));
    assert!(!set(&variables, it, one, "ifset"), "but it exists from here on");
    assert!(!set(&variables, it, one, "ifnotexists"));
    assert!(set(&variables, it, one, "ifnotset"));
    assert!(!set(&variables, it, one, "ifnotset"));
    assert!(!set(&variables, it, Value::Int(1), "ifgt"));
    assert!(!set(&variables, it, Value::Int(0), "iflt"));
    assert!(set(&variables, it, Value::Int(5), "iflt"));
    assert!(set(&variables, it, Value::Int(3), "ifgt"));
    assert!(!set(&variables, it, one, "ifempty"), "a number is never empty");
    assert!(!set(&variables, it, text, "ifempty"));
    assert!(!set(&variables, it, nothing, "ifnotempty"));
    assert_eq!(said(&variables, 1, it).as_deref(), Some("3"));
    assert!(set(&variables, it, nothing, "ifempty"));
    assert_eq!(said(&variables, 1, it).as_deref(), Some(""));
    assert!(variables.unset(Some(SessionId(1)), it, 0));
    assert_eq!(said(&variables, 1, it), None);
    assert!(!set(&variables, it, one, "ifexists"));
}

#[test]
fn texts_have_a_bound_and_come_back() {
    let variables = variables(&[Scope::Session, Scope::Session], 0);
    let (a, b) = (id(Scope::Session, 0), id(Scope::Session, 1));
    let most = limits::VARIABLE_BLOCKS * limits::VARIABLE_BLOCK_BYTES;
    let long = std::vec![b'x'; 16_384];
    for round in 0..2 * most / long.len() {
        assert!(set(&variables, a, Value::Text(&long), ""), "{round}");
        assert!(set(&variables, b, Value::Binary(b"\0\x01"), ""));
        assert!(set(&variables, b, Value::Addr(Addr::v4(1)), ""));
    }
    assert_eq!(said(&variables, 1, a).map(|text| text.len()), Some(long.len()));
    let whole = std::vec![b'y'; most];
    assert!(!set(&variables, b, Value::Text(&whole), ""), "more than there is");
    assert_eq!(said(&variables, 1, b), None);
    variables.release(SessionId(1));
    assert_eq!(variables.store.borrow().texts.free_count, limits::VARIABLE_BLOCKS);
    assert!(set(&variables, b, Value::Text(&whole), ""), "all of it is free again");
}

#[test]
fn variables_of_the_process_have_no_session() {
    let variables = variables(&[], 1);
    let it = id(Scope::Process, 0);
    assert!(!set(&variables, it, Value::Int(1), "ifnotexists"), "named is there");
    assert!(set(&variables, it, Value::Int(1), ""));
    assert_eq!(said(&variables, 3, it).as_deref(), Some("1"));
    assert!(!variables.has_news(), "nobody else is there");
    assert!(variables.set(None, it, Value::Text(b"abc"), Provisos::default(), 0b110));
    assert!(variables.has_news());
    let long = [b'x'; TOLD_BYTES + 1];
    assert!(!variables.set(None, it, Value::Text(&long), Provisos::default(), 0b110));
    assert_eq!(said(&variables, 3, it).as_deref(), Some("abc"));
}
