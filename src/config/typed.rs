//! What is typed as one value, or stands in the environment: read, or refused with what to write instead.

use clap::error::{ContextKind, ContextValue};
use std::{fmt::Display, net::SocketAddr, ops::RangeInclusive, path::Path, str::FromStr};

/// Reads a whole number of that range.
pub(super) fn number<T>(
    range: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: FromStr + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    move |typed| {
        let number = typed.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            format!("write a whole number from {} to {}", range.start(), range.end())
        })
    }
}

pub(super) fn bytes(typed: &str) -> Result<u64, String> {
    let why = "write a number of bytes without a unit, such as 20971520 for 20 MiB";
    typed.parse().map_err(|_| why.to_owned())
}

pub(super) fn address(typed: &str) -> Result<SocketAddr, String> {
    let why = "write an address and a port, such as 127.0.0.1:8080, [::1]:8080, or 0.0.0.0:8080 for every network";
    typed.parse().map_err(|_| match typed.rsplit_once(':') {
        Some((host, port)) if host_name(host) && port.parse::<u16>().is_ok() => {
            format!("names such as {host} are not looked up: {why}")
        }
        _ => why.to_owned(),
    })
}

/// Whether `typed` could be the name of a host: letters, and what stands between them.
fn host_name(typed: &str) -> bool {
    typed.contains(|c: char| c.is_ascii_alphabetic())
        && typed.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// Whether a flag of its own is set, as its variable says.
pub(super) fn yes_or_no(typed: &str) -> Result<bool, String> {
    match typed.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "t" | "y" => Ok(true),
        "false" | "no" | "off" | "0" | "f" | "n" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

/// What to type instead where a folder stands in the place of a subcommand.
pub fn said_of_a_folder(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    Path::new(typed).is_dir().then(|| format!("To serve that folder: reelmap serve {typed}"))
}

/// A sentence about the variable that a refused value stands in, if it stands in one.
pub fn said_in_the_environment(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (argument, value) = (text(ContextKind::InvalidArg)?, text(ContextKind::InvalidValue)?);
    let flag = argument.split([' ', '=']).next()?.trim_matches(['-', '[', ']']);
    let variable = format!("REELMAP_{}", flag.replace('-', "_").to_uppercase());
    let said = std::env::var(&variable).ok()?;
    let holds = said.split(',').any(|said| said == value);
    holds.then(|| format!("The value stands in the environment, as {variable}."))
}
