//! The index of a stream that is still being written: what has come since the last look is read, and no more.

use super::open::File;
use super::pes::HERTZ;
use super::{Core, TransportStream};
use crate::media::{Error, Source, Time};
use std::sync::{Arc, OnceLock};

/// A stream that was named and has not come after so much of the file, or after so long, is waited for no more: where
/// time begins is taken to be known.
const WAIT: (u64, i64) = (8 << 20, 5 * HERTZ as i64);

/// A value of this type is what is known of such a stream.
#[derive(Debug, Default)]
pub struct Growing(Option<Arc<TransportStream>>);

impl Growing {
    /// The index of what is there, and up to when more can't change it; none while that is too little.
    pub fn advance(
        &mut self,
        source: &dyn Source,
    ) -> Result<Option<(Arc<TransportStream>, Time)>, Error> {
        let stream = match &self.0 {
            Some(known) => known.grown(source)?,
            None => {
                let file = File { growing: true, ..File::new(source)? };
                let Some(core) = file.begun()? else { return Ok(None) };
                TransportStream { core, read_whole: OnceLock::new() }
            }
        };
        let stream = self.0.insert(Arc::new(stream)).clone();
        let core = stream.core();
        let edge = core.time(core.end);
        Ok((is_settled(core) && core.end > core.first).then_some((stream, edge)))
    }
}

/// Whether it is known where time begins: every stream has come.
fn is_settled(core: &Core) -> bool {
    let lasts = core.end.saturating_sub(core.first);
    let there = core.length.saturating_sub(core.begin);
    core.progress.pass.has_all() || there >= WAIT.0 || lasts >= WAIT.1
}
