//! Where the instructions go, by function: what callgrind's file says, per connection.

use std::collections::HashMap;

/// A function's share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// Its name, without the hash that the compiler appends.
    pub name: String,
    /// Instructions of its own, with what was inlined into it.
    pub own: u64,
    /// The same with everything it called.
    pub inclusive: u64,
}

/// Reads a callgrind file: every function, the most expensive by itself first.
pub fn functions(text: &str) -> Vec<Function> {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut functions: HashMap<&str, Function> = HashMap::new();
    let mut caller = "";
    let mut called = false;
    for line in text.lines() {
        // How often a function was called says nothing: callgrind also counts what it does not
        // collect.
        if let Some(reference) = line.strip_prefix("fn=") {
            caller = resolve(&mut names, reference);
        } else if let Some(reference) = line.strip_prefix("cfn=") {
            resolve(&mut names, reference);
            called = true;
        } else if let Some(cost) = cost(line) {
            let function = functions.entry(caller).or_default();
            function.inclusive += cost;
            // The line behind `calls=` is what the called function cost with all it called.
            if !std::mem::take(&mut called) {
                function.own += cost;
            }
        }
    }
    let named = |(name, function): (&str, Function)| Function { name: name.into(), ..function };
    let mut functions: Vec<Function> = functions.into_iter().map(named).collect();
    functions.sort_by(|a, b| b.own.cmp(&a.own).then_with(|| a.name.cmp(&b.name)));
    functions
}

/// `(12) name` says a name once, `(12)` says it again.
fn resolve<'a>(names: &mut HashMap<&'a str, &'a str>, reference: &'a str) -> &'a str {
    match reference.split_once(' ') {
        Some((number, name)) => {
            // Recursion levels are functions of their own to callgrind.
            names.insert(number, name);
            name
        }
        None => names.get(reference).copied().unwrap_or(reference),
    }
}

/// The instructions of a cost line, `+3 120 …`: position, then the first event.
fn cost(line: &str) -> Option<u64> {
    let mut words = line.split(' ');
    let position = words.next()?;
    let numeric = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    if position != "*" && !numeric(position.trim_start_matches(['+', '-'])) {
        return None;
    }
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Own cost leaves calls out, inclusive cost has them, names are resolved by number.
    #[test]
    fn own_and_inclusive_cost() {
        let text = "events: Ir\nfn=(1) outer\n10 5\n+1 7\ncfn=(2) inner\ncalls=3 20\n* 30\n\
                    fn=(2)\n20 30\nfn=(1)\n12 1\ntotals: 43\n";
        let functions = functions(text);
        let inner = Function { name: "inner".into(), own: 30, inclusive: 30 };
        let outer = Function { name: "outer".into(), own: 13, inclusive: 43 };
        assert_eq!(functions, [inner, outer]);
    }
}
