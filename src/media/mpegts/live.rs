//! The live edge: the newest place at which a decoder can start, and the tables that lie before it.

use super::packet::Framing;
use super::pictures::Pictures;
use super::walk::Walk;
use super::{Core, TransportStream};
use crate::media::{Error, Sample, Source};

/// One step back, and how far back is looked.
const STEP: u64 = 256 << 10;
const REACH: u64 = 64 << 20;

/// A value of this type is where one can join a stream that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The newest sync sample; its bytes may not all be there yet.
    pub sync: Sample,
    /// The newest packets that begin a PAT and the PMT before it, where they lie near enough.
    pub programs: Option<u64>,
    pub streams: Option<u64>,
}

impl TransportStream {
    /// The newest sync sample that begins before `end`, and the tables before it. Reads back from `end`, and
    /// no more than one group of pictures in a stream that repeats its tables. None is looked for before
    /// `since`, where an earlier look ended that found none.
    pub fn latest_sync(
        &self,
        source: &dyn Source,
        end: u64,
        since: u64,
    ) -> Result<Option<Edge>, Error> {
        self.core().latest_sync(source, end, since)
    }
}

impl Core {
    fn latest_sync(
        &self,
        source: &dyn Source,
        end: u64,
        since: u64,
    ) -> Result<Option<Edge>, Error> {
        let Some(main) = &self.progress.pass.main else { return Ok(None) };
        let tables = &self.progress.pass.tables;
        let Framing { stride, .. } = self.framing;
        let end = end.min(source.length());
        let near = self.progress.gathered.last.map_or(self.first, |last| last.decoded);
        let (mut edge, mut to) = (None::<Edge>, end);
        // One that had just begun there could not be told yet.
        let since = since.saturating_sub(STEP);
        while to > self.begin && end - to < REACH && (edge.is_some() || to > since) {
            let from =
                self.begin + to.saturating_sub(STEP).saturating_sub(self.begin) / stride * stride;
            let sniffer = main.sniffer.clone();
            let mut pictures = Pictures::new(main.pid, main.codec, sniffer, main.clock).after(near);
            let (mut programs, mut streams, mut sync) = (Vec::new(), Vec::new(), None);
            let mut walk = Walk::new(source, self.framing, from, end, STEP as usize).anywhere();
            while let Some((at, packet)) = walk.step()? {
                let pid = packet.pid();
                let ours = pid == main.pid && edge.is_none();
                if at >= to && !(pictures.is_young() && !(ours && packet.begins())) {
                    break;
                }
                if ours {
                    let span = (at, at + stride);
                    pictures.take(span, packet, &mut |unit| {
                        sync = Some(unit).filter(|unit| unit.sync).or(sync);
                    });
                }
                if packet.begins() && at < to {
                    match pid {
                        0 => programs.push(at),
                        _ if tables.is_map(pid) => streams.push(at),
                        _ => {}
                    }
                }
            }
            pictures.finish(&mut |unit| sync = Some(unit).filter(|unit| unit.sync).or(sync));
            if edge.is_none() {
                let sync = sync.map(|sync| self.sample(sync));
                edge = sync.map(|sync| Edge { sync, programs: None, streams: None });
            }
            if let Some(edge) = &mut edge {
                let before =
                    |places: &[u64]| places.iter().copied().rfind(|&at| at < edge.sync.span.start);
                edge.programs = edge.programs.or(before(&programs));
                edge.streams = edge.streams.or(before(&streams));
                if edge.programs.is_some() && edge.streams.is_some() {
                    break;
                }
            }
            to = from;
        }
        Ok(edge)
    }
}
