//! The moov: which tracks there are, and where their tables lie (ISO/IEC 14496-12 §8.2 to §8.5).

use super::{
    boxes::{Place, Window},
    codec,
    edits::Edits,
    tables::Tables,
};
use crate::media::{Error, Kind, Source, Time, Track};
use std::collections::BTreeSet;

/// More sample entries than any track has.
const MOST_ENTRIES: usize = 64;

/// More tracks than any file has.
const MOST_TRACKS: usize = 1024;

/// A value of this type is what a moov says.
#[derive(Debug, Default)]
pub struct Moov {
    pub tracks: Vec<Trak>,
    /// Fragments may follow: their defaults, a track each.
    pub fragments: Option<Vec<Defaults>>,
    /// The tracks that others refer to for their chapters.
    pub chapters: BTreeSet<u32>,
}

/// A value of this type is a track: what it is, and where its tables lie.
#[derive(Debug)]
pub struct Trak {
    pub facts: Track,
    /// The header's number for it.
    pub id: u32,
    /// Ticks a second of its media; never zero.
    pub scale: u32,
    /// Or where and why its edit list is not read: that matters where times are looked up in this very track.
    pub edits: Result<Edits, (u64, String)>,
    pub tables: Tables,
    /// The first sample entry.
    pub entry: Option<Place>,
    /// The track it refers to for its timecode.
    pub timecode: Option<u32>,
}

/// A value of this type is what a track's fragments leave unsaid (trex, §8.8.3).
#[derive(Clone, Copy, Debug, Default)]
pub struct Defaults {
    pub track: u32,
    /// The number of the sample entry, from 1 on.
    pub entry: u32,
    pub duration: u32,
    pub size: u32,
    pub flags: u32,
}

/// A trak as it's met: clocks are known only when all of it has been seen.
#[derive(Default)]
struct Draft {
    facts: Track,
    id: u32,
    handler: [u8; 4],
    scale: u32,
    duration: u64,
    elst: Option<Place>,
    tables: Tables,
    entry: Option<Place>,
    /// The types of the other sample entries.
    others: Vec<[u8; 4]>,
    timecode: Option<u32>,
}

impl Moov {
    /// Reads the moov at `place`: its tracks' headers, and of their tables where they lie.
    pub fn read(source: &dyn Source, place: &Place) -> Result<Moov, Error> {
        let mut window = Window::new(source, place.end);
        let mut moov = Moov::default();
        let mut drafts = Vec::new();
        let mut scale = 0;
        window.children(place, |window, child| {
            match &child.kind {
                b"mvhd" => scale = clock(window, &child)?.0,
                b"trak" if drafts.len() >= MOST_TRACKS => {
                    let what = format!("more than {MOST_TRACKS} tracks are not read");
                    return Err(Error::broken(child.start, what));
                }
                b"trak" => drafts.push(draft(window, &child, &mut moov.chapters)?),
                b"mvex" => moov.fragments = Some(defaults(window, &child)?),
                b"cmov" => {
                    return Err(Error::broken(
                        child.start,
                        "the moov is compressed, and that is not read",
                    ));
                }
                _ => {}
            }
            Ok(())
        })?;
        for draft in drafts {
            moov.tracks.push(settle(source, &mut window, draft, scale)?);
        }
        Ok(moov)
    }
}

/// The clock and the duration of an mvhd or mdhd (§8.2.2, §8.4.2).
fn clock(window: &mut Window, place: &Place) -> Result<(u32, u64), Error> {
    match window.version(place)?.0 {
        1 => Ok((window.u32(place.body + 20)?, window.u64(place.body + 24)?)),
        _ => {
            let duration = window.u32(place.body + 16)?;
            Ok((window.u32(place.body + 12)?, duration.into()))
        }
    }
}

fn draft(window: &mut Window, trak: &Place, chapters: &mut BTreeSet<u32>) -> Result<Draft, Error> {
    let mut draft = Draft::default();
    window.children(trak, |window, child| {
        match &child.kind {
            b"tkhd" => {
                let version = window.version(&child)?.0;
                draft.id = window.u32(child.body + if version == 1 { 20 } else { 12 })?;
            }
            b"edts" => window.children(&child, |_, child| {
                if child.is(b"elst") {
                    draft.elst = Some(child);
                }
                Ok(())
            })?,
            b"tref" => window.children(&child, |window, child| {
                if child.is(b"tmcd") && child.length() >= 4 {
                    draft.timecode = Some(window.u32(child.body)?);
                } else if child.is(b"chap") {
                    for index in 0..(child.length() / 4).min(MOST_TRACKS as u64) {
                        if chapters.len() < MOST_TRACKS {
                            chapters.insert(window.u32(child.body + index * 4)?);
                        }
                    }
                }
                Ok(())
            })?,
            b"mdia" => {
                window.children(&child, |window, child| media(window, &child, &mut draft))?
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(draft)
}

fn media(window: &mut Window, place: &Place, draft: &mut Draft) -> Result<(), Error> {
    match &place.kind {
        b"mdhd" => {
            (draft.scale, draft.duration) = clock(window, place)?;
            let version = window.version(place)?.0;
            let language = window.u16(place.body + if version == 1 { 32 } else { 20 })?;
            draft.facts.language = language_of(language);
        }
        b"hdlr" => draft.handler = window.bytes(place.body + 8)?,
        b"minf" => window.children(place, |window, child| match child.is(b"stbl") {
            true => window.children(&child, |window, child| {
                if child.is(b"stsd") {
                    draft.entry = window.place(child.body.saturating_add(8), child.end)?;
                    draft.others = other_entries(window, &child)?;
                }
                draft.tables.note(window, &child)
            }),
            false => Ok(()),
        })?,
        _ => {}
    }
    Ok(())
}

/// The types of a track's other sample entries than the first (§8.5.2).
fn other_entries(window: &mut Window, stsd: &Place) -> Result<Vec<[u8; 4]>, Error> {
    let inside = Place { body: stsd.body.saturating_add(8), ..*stsd };
    let count = window.u32(stsd.body.saturating_add(4))? as usize;
    let (mut kinds, most) = (Vec::new(), count.min(MOST_ENTRIES));
    window.children(&inside, |_, entry| {
        if kinds.len() < most {
            kinds.push(entry.kind);
        }
        Ok(())
    })?;
    Ok(kinds.get(1..).unwrap_or_default().to_vec())
}

/// Whether none of the other sample entries has the codec of the first. Of such a track ffmpeg, too, shows what the first
/// one describes; a few codecs have several names.
fn is_alone(first: [u8; 4], others: &[[u8; 4]]) -> bool {
    let renamed = [b"apcn", b"apch", b"dvpp", b"dvcp", b"jpeg", b"AV1x"].contains(&&first);
    !others.is_empty() && !renamed && !others.contains(&first)
}

/// Three letters of five bits (§8.4.2); "und" and QuickTime's own numbers say nothing.
fn language_of(word: u16) -> Option<String> {
    let letter = |shift: u16| char::from(0x60 + (word >> shift & 31) as u8);
    let text: String = [10, 5, 0].map(letter).iter().collect();
    (text.bytes().all(|byte| byte.is_ascii_lowercase()) && text != "und").then_some(text)
}

fn defaults(window: &mut Window, mvex: &Place) -> Result<Vec<Defaults>, Error> {
    let mut list = Vec::new();
    window.children(mvex, |window, child| {
        if child.is(b"trex") && list.len() < MOST_TRACKS {
            list.push(Defaults {
                track: window.u32(child.body + 4)?,
                entry: window.u32(child.body + 8)?,
                duration: window.u32(child.body + 12)?,
                size: window.u32(child.body + 16)?,
                flags: window.u32(child.body + 20)?,
            });
        }
        Ok(())
    })?;
    Ok(list)
}

fn settle(
    source: &dyn Source,
    window: &mut Window,
    draft: Draft,
    movie: u32,
) -> Result<Trak, Error> {
    // A clock of no ticks is none: the movie's then, or one tick a second. The edit list, whose durations are
    // on the movie's, says nothing without it.
    let scale = [draft.scale, movie, 1].into_iter().find(|&scale| scale > 0).unwrap_or(1);
    let edits = match draft.elst.filter(|_| movie > 0) {
        Some(place) => match Edits::read(window, &place, movie, scale) {
            Err(Error::Broken { offset, what }) => Err((offset, what)),
            read => Ok(read?),
        },
        None => Ok(Edits::none()),
    };
    let mut facts = draft.facts;
    facts.id = draft.id.into();
    facts.kind = match &draft.handler {
        b"vide" => Kind::Video,
        b"soun" => Kind::Audio,
        _ => Kind::Other,
    };
    if let Some(entry) = &draft.entry {
        match codec::describe(window, entry, &mut facts) {
            // What the entry doesn't say of the codec is no reason to say nothing of the time.
            Err(Error::Broken { .. }) => facts.codec = codec::name(entry.kind),
            other => other?,
        }
    }
    let mut tables = draft.tables;
    if let Some(entry) = &draft.entry {
        let format = codec::format(window, entry, facts.kind).unwrap_or(entry.kind);
        tables.first_entry_alone = is_alone(format, &draft.others);
        if facts.kind == Kind::Audio && codec::is_intra(format) {
            // Whatever the tables say.
            (tables.stss, tables.stps, tables.access) = (None, None, None);
        }
    }
    if let Some(entry) = draft.entry.filter(|_| facts.kind == Kind::Audio) {
        match codec::packing(window, &entry) {
            Ok(packing) => tables.note_packing(source, packing)?,
            Err(Error::Broken { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let media = match tables.duration(source)? {
        0 => draft.duration,
        sum => sum,
    };
    let media = i64::try_from(media).unwrap_or(i64::MAX);
    let length = edits.as_ref().ok().map(|edits| edits.length(media));
    facts.duration = length.filter(|&length| length > 0).map(|length| Time::new(length, scale));
    Ok(Trak {
        facts,
        id: draft.id,
        scale,
        edits,
        tables,
        entry: draft.entry,
        timecode: draft.timecode,
    })
}
