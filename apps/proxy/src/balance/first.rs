//! `first`: the first server that is not full, so that as few as possible are in use.

use super::Question;

#[derive(Debug)]
pub(super) struct First;

impl First {
    pub(super) fn next<F: Fn(u16) -> bool>(
        &self,
        used: &[bool],
        question: &Question<'_, F>,
    ) -> Option<u16> {
        let with_room = |server: &u16| used[*server as usize] && (question.has_room)(*server);
        let mut servers = (0..used.len() as u16).filter(with_room);
        let first = servers.next()?;
        if question.avoid == Some(first) { servers.next().or(Some(first)) } else { Some(first) }
    }
}
