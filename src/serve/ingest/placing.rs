//! Requests to write that look for their place among the streams, which they do one after the other: those on disks that
//! may not answer hold up each other alone.

use crate::{
    live::Refused,
    serve::{off_runtime::OffRuntime, service::Service},
    store::Disks,
};
use std::{io, sync::Arc};
use tokio::{sync::Semaphore, time::timeout};

/// How many look on one kind of disks at once. Each that waits on a thread keeps one from those who read.
const AT_ONCE: usize = 4;

/// A value of this type lets so many look at once, on either kind of disks.
pub(in crate::serve) struct Placing {
    own: Arc<Semaphore>,
    far: Arc<Semaphore>,
}

impl Default for Placing {
    fn default() -> Placing {
        let turns = || Arc::new(Semaphore::new(AT_ONCE));
        Placing { own: turns(), far: turns() }
    }
}

/// Does `work`, which has to do with a place among the streams, when its turn has come; waiting for that takes no
/// thread. Where its folder's own disk is not enough, it is done again for all: `TimedOut` if none of these
/// answers for as long as a writer may be silent.
pub(super) async fn place_by_place<T: Send + 'static>(
    service: &Service,
    work: impl Fn(Disks) -> Result<T, Refused> + Clone + Send + 'static,
) -> Result<T, Refused> {
    let app = &service.app;
    let (near, turn) = (work.clone(), app.placing.own.clone().acquire_owned().await);
    let done = OffRuntime::start(move || {
        let _turn = turn;
        Ok(near(Disks::Own))
    });
    match done.await.map_err(Refused::Io)? {
        Err(Refused::Elsewhere) => {}
        done => return done,
    }
    let done = async {
        let turn = app.placing.far.clone().acquire_owned().await;
        let work = OffRuntime::start_within(&app.threads.far, move || {
            let _turn = turn;
            Ok(work(Disks::All))
        });
        work.await
    };
    match timeout(app.config.ingest.idle, done).await {
        Ok(done) => done.map_err(Refused::Io)?,
        Err(_) => Err(Refused::Io(io::ErrorKind::TimedOut.into())),
    }
}
