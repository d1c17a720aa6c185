//! What of a body waits to be written: frames, up to as many as are written at once, and within what all writers
//! together may hold. Writes nothing.

use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that are written at once, and taken from a client while those before them are being written.
/// Each write wakes a thread; with fewer bytes, that costs more than the write.
const MOST: usize = 1024 * 1024;

/// Bytes that a writer may hold in any case, while it has none of them written: so each goes on.
const FLOOR: u32 = 16 * 1024;

/// Bytes that all writers together may hold beyond that.
const ROOM: usize = 64 * 1024 * 1024;

/// A shorter frame is copied. It would keep all of the buffer that it was read into, which may be as large as a
/// request's head, and a client can make one of each byte.
const SHORT: usize = 8 * 1024;

/// A value of this type is the memory in which the bytes of all writers wait.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Room {
        Room(Arc::new(Semaphore::new(ROOM)))
    }
}

/// A value of this type is that of writers to disks of this machine, and of writers to those that may not answer.
#[derive(Debug, Default)]
pub(in crate::serve) struct Rooms {
    own: Room,
    far: Room,
}

impl Rooms {
    pub(super) fn of(&self, remote: bool) -> &Room {
        if remote { &self.far } else { &self.own }
    }
}

/// A value of this type is what one writer will have written at once. It takes room as it grows, as much again
/// as it has, and gives that back when it is dropped.
#[derive(Debug)]
pub(super) struct Batch {
    room: Room,
    taken: Option<OwnedSemaphorePermit>,
    bytes: usize,
    frames: Vec<Bytes>,
    /// Those that came last, if they are short.
    short: BytesMut,
}

impl Batch {
    pub(super) fn new(room: &Room) -> Batch {
        let (frames, short) = (Vec::new(), BytesMut::new());
        Batch { room: room.clone(), taken: None, bytes: 0, frames, short }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Whether it may have another frame, of any length. While others of its writer are being written, only where there is
    /// room for it.
    pub(super) fn takes_more(&mut self, is_writing: bool) -> bool {
        let floor = if is_writing { 0 } else { FLOOR as usize };
        while self.bytes < MOST {
            let taken = self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            if self.bytes < floor + taken {
                return true;
            }
            let more = u32::try_from(taken).unwrap_or(FLOOR).max(FLOOR);
            let Ok(more) = self.room.0.clone().try_acquire_many_owned(more) else { return false };
            match &mut self.taken {
                Some(taken) => taken.merge(more),
                None => self.taken = Some(more),
            }
        }
        false
    }

    pub(super) fn push(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        if frame.len() >= SHORT {
            self.end_short();
            self.frames.push(frame);
            return;
        }
        if self.short.capacity() - self.short.len() < frame.len() {
            self.end_short();
            self.short = BytesMut::with_capacity(2 * SHORT);
        }
        self.short.extend_from_slice(&frame);
    }

    /// Its frames, in order.
    pub(super) fn frames(&mut self) -> &mut [Bytes] {
        self.end_short();
        &mut self.frames
    }

    fn end_short(&mut self) {
        if !self.short.is_empty() {
            self.frames.push(self.short.split().freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: usize = 32 * 1024;

    fn frame(length: usize) -> Bytes {
        vec![7; length].into()
    }

    /// As many frames as the batch takes.
    fn fill(batch: &mut Batch, is_writing: bool) {
        while batch.takes_more(is_writing) {
            batch.push(frame(FRAME));
        }
    }

    #[test]
    fn one_writer_alone_has_all_that_is_written_at_once() {
        let room = Room::default();
        let (mut first, mut next) = (Batch::new(&room), Batch::new(&room));
        fill(&mut first, false);
        fill(&mut next, true);
        assert_eq!((first.bytes, next.bytes), (MOST, MOST));
        drop((first, next));
        assert_eq!(room.0.available_permits(), ROOM);
    }

    #[test]
    fn many_writers_hold_the_room_and_a_frame_each() {
        let room = Room::default();
        let mut batches: Vec<_> = (0..1000).map(|_| Batch::new(&room)).collect();
        batches.iter_mut().for_each(|batch| fill(batch, false));
        let held: usize = batches.iter().map(|batch| batch.bytes).sum();
        assert!(held <= ROOM + 1000 * (FLOOR as usize + FRAME), "{held}");
        assert!(batches.iter().all(|batch| batch.bytes >= FRAME));
        // While these are being written, none takes more.
        let mut next: Vec<_> = (0..1000).map(|_| Batch::new(&room)).collect();
        while room.0.clone().try_acquire_many_owned(FLOOR).map(OwnedSemaphorePermit::forget).is_ok()
        {
        }
        next.iter_mut().for_each(|batch| fill(batch, true));
        assert!(next.iter().all(Batch::is_empty));
        drop(batches);
        next.iter_mut().for_each(|batch| fill(batch, true));
        assert!(!next[0].is_empty());
    }

    #[test]
    fn short_frames_keep_no_buffer_and_all_come_in_order() {
        let mut batch = Batch::new(&Room::default());
        let mut sent = Vec::new();
        for length in [1, 10, SHORT - 1, SHORT, 1, FRAME, FRAME, 3, 4000, 5000, 6000, 7000, SHORT] {
            let mut buffer = BytesMut::zeroed(4 * FRAME);
            buffer[..length].fill(sent.len() as u8);
            sent.extend_from_slice(&buffer[..length]);
            let frame = buffer.split_to(length).freeze();
            batch.push(frame);
            // Its buffer is all there again, unless the frame is in it.
            buffer.clear();
            assert_eq!(buffer.try_reclaim(4 * FRAME), length < SHORT, "{length}");
        }
        assert_eq!(batch.bytes, sent.len());
        assert_eq!(batch.frames().concat(), sent);
    }
}
