//! What an application may ask of the control plane, and hears from it.

use alloc::string::String;

use penstock_stack::{App, Cx, Endpoint};
use penstock_wire::Addr;

/// One of an application's names: its position in [`Application::names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameId(pub u16);

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

    /// `name` has these addresses now, in the order in which they are to be preferred. Called on
    /// every core, the first time when they are known and again whenever they have changed. None:
    /// there is no such name, or it has no address. While no server answers, nothing is said: what
    /// was known last goes on to count.
    fn on_name(&mut self, cx: &mut Cx<'_>, name: NameId, addresses: &[Addr]) {
        let _ = (cx, name, addresses);
    }
}
