//! One reader of a file that grows: span by span as it is committed, waiting without polling, holding
//! nothing but its place.

use super::channel::{Channel, End, State};
use crate::store::Asset;
use std::{
    future::Future,
    ops::Range,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};
use tokio::sync::watch;

/// A value of this type follows a channel from one offset to another, or for as long as it grows.
pub struct Tail {
    channel: Arc<Channel>,
    watch: Watch,
    /// What is still to come; the end is `u64::MAX` where it isn't known.
    span: Range<u64>,
    /// What follows when that has been given.
    then: Option<Range<u64>>,
    /// The same start, for those who ask how far behind readers are.
    position: Arc<AtomicU64>,
}

/// The receiver, or the wait that holds it.
enum Watch {
    Here(watch::Receiver<State>),
    Away(Pin<Box<dyn Future<Output = watch::Receiver<State>> + Send>>),
    /// For the moment in which one becomes the other.
    Nowhere,
}

/// What comes next.
#[derive(Debug)]
pub enum Next {
    /// These bytes are there; they lie in the asset.
    Span(Range<u64>, Arc<Asset>),
    /// Nothing: all that was asked for has been given.
    End,
    /// Nothing, although it isn't all.
    Cut,
}

impl Tail {
    pub(super) fn new(channel: Arc<Channel>, span: Range<u64>, position: Arc<AtomicU64>) -> Tail {
        let watch = Watch::Here(channel.watch());
        Tail { channel, watch, span, then: None, position }
    }

    /// Goes on at `offset` when what was asked for has been given, and follows the file from there.
    pub fn then_from(mut self, offset: u64) -> Tail {
        self.then = Some(offset..u64::MAX);
        self
    }

    /// The next bytes that are there, in a span that ends where a multiple of `most` lies in the file or
    /// before; waits for them.
    pub fn poll_next(&mut self, cx: &mut Context<'_>, most: u64) -> Poll<Next> {
        loop {
            match std::mem::replace(&mut self.watch, Watch::Nowhere) {
                Watch::Nowhere => return Poll::Ready(Next::Cut),
                Watch::Away(mut wait) => match wait.as_mut().poll(cx) {
                    Poll::Ready(receiver) => self.watch = Watch::Here(receiver),
                    Poll::Pending => {
                        self.watch = Watch::Away(wait);
                        return Poll::Pending;
                    }
                },
                Watch::Here(mut receiver) => {
                    let state = *receiver.borrow_and_update();
                    if let Some(next) = self.next(state, most) {
                        self.watch = Watch::Here(receiver);
                        return Poll::Ready(next);
                    }
                    self.watch = Watch::Away(Box::pin(async move {
                        // The sender is the channel's, which this reader holds.
                        let _ = receiver.changed().await;
                        receiver
                    }));
                }
            }
        }
    }

    fn next(&mut self, state: State, most: u64) -> Option<Next> {
        if self.span.is_empty()
            && let Some(then) = self.then.take()
        {
            self.advance(then.start);
            self.span = then;
        }
        let at = self.span.start;
        let end = self.span.end.min(state.length);
        if at >= self.span.end {
            return Some(Next::End);
        }
        if at < end {
            let boundary = (at / most + 1).saturating_mul(most);
            return Some(Next::Span(at..end.min(boundary), self.channel.asset()));
        }
        state.end.map(|end| match end {
            End::Whole => Next::End,
            End::Cut => Next::Cut,
        })
    }

    /// Notes that all before `offset` was taken.
    pub fn advance(&mut self, offset: u64) {
        self.span.start = offset;
        self.position.store(offset, Relaxed);
    }

    /// Waits until the file has grown past `length` or has ended; the state then.
    pub async fn grown(channel: &Channel, length: u64) -> State {
        let mut watch = channel.watch();
        match watch.wait_for(|state| state.length > length || state.end.is_some()).await {
            Ok(state) => *state,
            Err(_) => channel.state(),
        }
    }
}
