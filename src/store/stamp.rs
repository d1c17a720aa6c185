//! The tag that a file had as a stream, kept with the file in an extended attribute, so that it is known
//! by the same name when it has ended as while it grew. Never believed of a file that was written to since.

use super::identity::Identity;
use rustix::fs::XattrFlags;
use std::{fs::File, io, time::UNIX_EPOCH};

/// Where it is kept: `TAG SIZE NANOSECONDS`, as size and time of the file say that it is still the one.
const NAME: &str = "user.reelmap.tag";

/// Longer than any stamp.
const MOST: usize = 128;

/// The tag of `file`, whose state is `identity`; `None` if it has none, or was written to since.
pub(crate) fn read(file: &File, identity: &Identity) -> Option<String> {
    let mut buffer = [0; MOST];
    let length = rustix::fs::fgetxattr(file, NAME, &mut buffer).ok()?;
    let text = std::str::from_utf8(buffer.get(..length)?).ok()?;
    let (tag, state) = text.split_once(' ')?;
    (state == of(identity) && is_tag(tag)).then(|| tag.to_owned())
}

/// Keeps `tag` with `file` as it is now. Fails where the file system has no extended attributes.
pub fn write(file: &File, tag: &str) -> io::Result<()> {
    let how = rustix::fs::AtFlags::EMPTY_PATH;
    let stat = rustix::fs::statx(file, c"", how, super::identity::WANTED)?;
    let stamp = format!("{tag} {}", of(&Identity::of(&stat)));
    Ok(rustix::fs::fsetxattr(file, NAME, stamp.as_bytes(), XattrFlags::empty())?)
}

fn of(identity: &Identity) -> String {
    let since = identity.modified().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{} {}", identity.size, since.as_nanos())
}

/// Whoever may write the file may write the stamp: it is checked like any other text from outside, and is no longer
/// than what is made of it may be (a boundary of 70 bytes, RFC 2046 §5.1.1).
fn is_tag(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=48).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::identity::WANTED;
    use rustix::fs::AtFlags;
    use std::io::Write;

    fn identity(file: &File) -> Identity {
        Identity::of(&rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, WANTED).unwrap())
    }

    #[test]
    fn a_stamp_lasts_as_long_as_the_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film");
        std::fs::write(&path, "film").unwrap();
        let mut file = File::options().append(true).read(true).open(&path).unwrap();
        assert_eq!(read(&file, &identity(&file)), None);
        write(&file, "live-1a").unwrap();
        assert_eq!(read(&file, &identity(&file)).as_deref(), Some("live-1a"));
        let moved = folder.path().join("moved");
        std::fs::rename(&path, &moved).unwrap();
        let again = File::open(&moved).unwrap();
        assert_eq!(read(&again, &identity(&again)).as_deref(), Some("live-1a"));
        file.write_all(b"!").unwrap();
        assert_eq!(read(&file, &identity(&file)), None);
    }

    #[test]
    fn a_stamp_is_not_trusted_to_be_a_tag() {
        for bad in ["", "a b", "\"", "a\r\nb", "é"] {
            assert!(!is_tag(bad), "{bad:?}");
        }
        assert!(is_tag(&"a".repeat(48)) && !is_tag(&"a".repeat(49)));
        assert!(is_tag("live-17c3a"));
    }
}
