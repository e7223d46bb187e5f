//! What an application may ask of the control plane, and hears from it.

use alloc::string::String;

use penstock_config::haproxy::Patience;
use penstock_stack::{App, Cx, Endpoint};
use penstock_wire::Addr;

/// One of an application's names: its position in [`Application::names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameId(pub u16);

/// Why a name has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Absence {
    /// There is no such name.
    NoSuchName,
    /// It has none.
    NoAddress,
    /// Those who were asked will not say.
    Refusal,
    /// They cannot.
    Failure,
    /// Nobody answers.
    Silence,
}

/// An application that can stand on the control plane. An ordinary [`App`] says nothing more.
pub trait Application: App {
    /// The names that it wants to have resolved, for as long as the machine runs. Asked once, on
    /// core 0, before anything starts.
    fn names(&self) -> &[String] {
        &[]
    }

    /// Who is to be asked for them, before the machine's own name servers.
    fn name_servers(&self) -> &[Endpoint] {
        &[]
    }

    /// How the name of this number is to be asked for; none: when its time is over, and while no server
    /// answers, what was known last goes on to count.
    fn patience(&self, name: NameId) -> Option<Patience> {
        let _ = name;
        None
    }

    /// `name` has these addresses now, in the order in which they are to be preferred. Called on
    /// every core, the first time when they are known and again whenever they have changed. None:
    /// there is no such name, or it has no address.
    fn on_name(&mut self, cx: &mut Cx<'_>, name: NameId, addresses: &[Addr]) {
        let _ = (cx, name, addresses);
    }

    /// The same on core 0, when `name` has no address, and why.
    fn on_nameless(&mut self, cx: &mut Cx<'_>, name: NameId, why: Absence) {
        let _ = why;
        self.on_name(cx, name, &[]);
    }
}
