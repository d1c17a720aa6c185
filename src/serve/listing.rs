//! A folder as an answer: its names are read, and shown as a page or as JSON. How many such answers are made and held at
//! once is bounded here.

use super::{
    answer::{Answer, With},
    body::Body,
    live,
    off_runtime::OffRuntime,
    service::{Service, failed, is_elsewhere},
};
use crate::{
    pages::{self, Entry, Listing, Node},
    plan::content_type,
    store::{Disks, folder::Name, root::Place},
};
use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, VARY},
};
use std::{cmp::Reverse, ffi::OsString, io, os::fd::OwnedFd, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most names that a folder's listing shows.
const MOST_NAMES: usize = 10_000;

/// A listing of so many bytes waits for no permit to be in memory until it has been sent.
const SHORT_PAGE: usize = 64 * 1024;

/// Longer ones held in memory at once until they have been sent; further ones wait. One takes some MiB.
const LONG: usize = 32;

/// Folders whose names are read at once, for listings of any length.
const READING: usize = 32;

/// Listings composed at once: each takes a processor for as long as a slow disk takes, and twice its
/// length.
const COMPOSING: usize = 2;

/// A value of this type bounds the listings in memory.
pub(super) struct Listings {
    own: Permits,
    /// Of folders on other disks than the root's, which may not answer.
    other: Permits,
    composing: Semaphore,
}

/// A value of this type bounds those of folders on one kind of disks.
struct Permits {
    reading: Semaphore,
    long: Arc<Semaphore>,
}

impl Default for Permits {
    fn default() -> Permits {
        Permits { reading: Semaphore::new(READING), long: Arc::new(Semaphore::new(LONG)) }
    }
}

impl Default for Listings {
    fn default() -> Listings {
        let (own, other) = (Permits::default(), Permits::default());
        Listings { own, other, composing: Semaphore::new(COMPOSING) }
    }
}

impl Listings {
    fn of(&self, disks: Disks) -> &Permits {
        match disks {
            Disks::Own => &self.own,
            Disks::All => &self.other,
        }
    }
}

impl Service {
    /// The answer to a request for a folder that was found on these disks.
    pub(super) async fn listing(
        &self,
        answer: Answer,
        request: &Request<()>,
        place: Place,
        folder: OwnedFd,
        on: Disks,
    ) -> Response<Body> {
        let json = prefers_json(request);
        let vary = HeaderValue::from_static("Accept");
        let fresh = HeaderValue::from_static("no-cache");
        match self.page(&place, Arc::new(folder), on, json).await {
            Ok(bytes) if json => answer.composed(StatusCode::OK, pages::JSON, bytes),
            Ok(bytes) => {
                let policy = HeaderValue::from_static(pages::content_security_policy());
                let page = answer.composed(StatusCode::OK, pages::HTML, bytes);
                page.with(CONTENT_SECURITY_POLICY, policy)
            }
            Err(error) => failed(answer, &place, &error),
        }
        .with(VARY, vary)
        .with(CACHE_CONTROL, fresh)
    }

    /// The listing of a folder that was found on these disks.
    async fn page(
        &self,
        place: &Place,
        folder: Arc<OwnedFd>,
        mut on: Disks,
        json: bool,
    ) -> io::Result<Bytes> {
        let mut permit = None;
        loop {
            let listings = self.app.listings.of(on);
            let reading = listings.reading.acquire().await;
            let (at, of) = (place.clone(), folder.clone());
            let read = self
                .look(on, move |app, disks| app.cache.root().names(&at, &of, MOST_NAMES, disks));
            let (names, truncated) = match read.await {
                Err(error) if on == Disks::Own && is_elsewhere(&error) => {
                    on = Disks::All;
                    continue;
                }
                read => read?,
            };
            // Composing a long page takes as much time as a slow disk does; a disk that is waited for
            // has no turn.
            let turn = self.app.listings.composing.acquire().await;
            let (app, at) = (self.app.clone(), place.clone());
            let composed = OffRuntime::start(move || {
                let mut listing = listing(&at, names, truncated);
                live::list(&app, &at, &mut listing);
                Ok(if json { listing.json() } else { listing.html() })
            });
            let page = composed.await?;
            drop(turn);
            if page.len() <= SHORT_PAGE {
                return Ok(page);
            }
            if permit.is_none() {
                permit = listings.long.clone().try_acquire_owned().ok();
            }
            if let Some(permit) = permit {
                return Ok(Bytes::from_owner(Page { page, _permit: permit }));
            }
            // Whoever waits holds nothing in memory, and reads again.
            drop((page, reading));
            permit = listings.long.clone().acquire_owned().await.ok();
        }
    }
}

/// A value of this type is a long listing, which counts as one until it has been sent.
struct Page {
    page: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Page {
    fn as_ref(&self) -> &[u8] {
        &self.page
    }
}

/// Whether the client would rather have JSON than HTML: of the two, those that it names, it gives JSON the greater
/// weight, or the same and names it first.
fn prefers_json(request: &Request<()>) -> bool {
    let accept = request.headers().get_all(ACCEPT);
    let items = accept.iter().filter_map(|line| line.to_str().ok()).flat_map(|l| l.split(','));
    let named = items.filter_map(|item| {
        let essence = item.split(';').next()?.trim().to_ascii_lowercase();
        let is_json = essence == "application/json";
        (is_json || essence == "text/html").then(|| (weight(item), is_json))
    });
    let wanted = named.filter(|(weight, _)| *weight > 0).min_by_key(|(weight, _)| Reverse(*weight));
    wanted.is_some_and(|(_, is_json)| is_json)
}

/// The weight of an item of `Accept` in thousandths (RFC 9110 §12.4.2); 1,000 if it gives none, or none that can
/// be read.
fn weight(item: &str) -> u16 {
    let mut parameters = item.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let given = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    let weight = given.and_then(|(_, weight)| weight.trim().parse::<f32>().ok());
    let weight = weight.filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(1.0);
    (weight * 1000.0).round() as u16
}

/// A folder's relative links need the slash at the end of its URL.
pub(super) fn to_folder(answer: Answer, place: &Place, query: Option<&str>) -> Response<Body> {
    let segments: Vec<_> = place.segments().collect();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    match HeaderValue::try_from(format!("/{}/{query}", pages::href(&segments))) {
        Ok(location) => answer.message(StatusCode::MOVED_PERMANENTLY).with(LOCATION, location),
        Err(_) => answer.message(StatusCode::BAD_REQUEST),
    }
}

/// The listing of a folder that holds `names`.
fn listing(place: &Place, names: Vec<Name>, truncated: bool) -> Listing {
    let entry = |name: Name| {
        let node = match name.length {
            None => Node::Folder,
            Some(length) => {
                let value = content_type(&name.name);
                let content_type = value.to_str().unwrap_or_default().to_owned().into();
                Node::File { length, content_type }
            }
        };
        Entry { name: name.name, node, modified: name.modified, stream: None }
    };
    let path = place.segments().map(OsString::from).collect();
    let mut listing = Listing { path, entries: names.into_iter().map(entry).collect(), truncated };
    listing.sort();
    listing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_for_those_who_ask_for_it() {
        let cases = [
            (None, false),
            (Some("*/*"), false),
            (Some("application/json"), true),
            (Some("Application/JSON; q=0.9"), true),
            (Some("text/html,application/xhtml+xml,application/json"), false),
            (Some("application/json, text/html"), true),
            (Some("text/plain"), false),
            (Some("application/json; q=0"), false),
            (Some("application/json;q=0.0, text/plain"), false),
            (Some("application/json; Q=0.000"), false),
            (Some("text/html;q=0.8, application/json"), true),
            (Some("application/json;q=0.5, text/html;q=0.501"), false),
            (Some("application/json;q=0.5, text/html;q=0.5"), true),
            (Some("text/html;q=0.00, application/json;q=0.001"), true),
            (Some("text/html;level=1;q=0.1, application/json;charset=utf-8;q=0.2"), true),
            (Some("application/json;q=x, text/html;q=0.9"), true),
        ];
        for (accept, expected) in cases {
            let mut request = Request::new(());
            if let Some(accept) = accept {
                request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(prefers_json(&request), expected, "{accept:?}");
        }
    }
}
